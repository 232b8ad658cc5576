"""`wire`: put a reward expression where a model learns from, or around an environment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Unpack, cast

import gymnasium as gym
from pettingzoo import AECEnv, ParallelEnv
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import BaseBuffer, RolloutBuffer
from stable_baselines3.common.vec_env import (
    VecCheckNan,
    VecEnv,
    VecEnvWrapper,
    VecMonitor,
    VecNormalize,
    VecVideoRecorder,
)

from shapegym.shaping.errors import DiscountError, WiringError
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.surfaces import sb3_her, sb3_rollout  # noqa: F401  deriving shaped buffers registers them
from shapegym.shaping.surfaces.binding import BindingOptions, require_options
from shapegym.shaping.surfaces.gym_env import ShapedEnv
from shapegym.shaping.surfaces.layers import batch_layers, is_wrapped, shaped_layers, vec_layers
from shapegym.shaping.surfaces.parallel_env import ShapedParallelEnv
from shapegym.shaping.surfaces.sb3_buffers import HindsightBuffer, WiredHere
from shapegym.shaping.surfaces.sb3_replay import HindsightReplay
from shapegym.shaping.surfaces.sb3_vec import MeasuringVecEnv, ShapedVecEnv
from shapegym.shaping.surfaces.vector_env import ShapedVectorEnv
from shapegym.shaping.types import Expression

_HAND_OBSERVATIONS_ON = (VecMonitor, VecCheckNan, VecVideoRecorder)
"""Wrappers between buffer and environments that leave observations as they are."""


def wire(model_or_env: Any, expression: Expression, **options: Unpack[BindingOptions]) -> Any:
    """Make a model learn from the shaped reward of ``expression``, or wrap an environment that pays it.

    An SB3 algorithm is changed in place and returned. Its innermost ``VecEnv`` is measured, so that terms see observations and
    task rewards as the environment gives them, and its rollout or replay buffer is replaced by one that pays with hindsight. The
    rewards that the environment returns stay the task's: ``ep_rew_mean`` and evaluations report the task. Wire before learning.
    After ``Algorithm.load`` (and ``model.load_replay_buffer``), wire again and restore what terms remember with ``load_engine``; a
    loaded model that is not wired refuses to learn.

    An environment (SB3 ``VecEnv``, Gymnasium ``Env`` or ``VectorEnv``, PettingZoo ``ParallelEnv``) is returned wrapped by the
    surface that pays at every step.

    Args:
        model_or_env: what to shape.
        expression: the reward.
        options: see `BindingOptions`. A model has its own ``gamma``; its buffer pays with hindsight, so ``pay_at_end`` is for
            environments, and a rollout buffer says itself when to learn, so ``learn_every`` is not for it.

    Raises:
        TypeError: for an option that there is not.
        WiringError: if the shaping would be dropped, paid twice or rescaled; nothing has changed then.
        ShapingError: if the expression does not fit.
    """
    require_options("wire", options)
    if isinstance(model_or_env, BaseAlgorithm):
        return _wire_model(model_or_env, expression, options)
    for kind, surface in _SURFACES.items():
        if isinstance(model_or_env, kind):
            return surface(model_or_env, expression, **options)
    raise WiringError(
        f"Cannot wire {model_or_env!r} ({type(model_or_env).__name__}): it is neither an SB3 algorithm or VecEnv, nor a Gymnasium "
        "Env or VectorEnv, nor a PettingZoo ParallelEnv."
    )


_SURFACES: dict[type, Any] = {
    VecEnv: ShapedVecEnv,
    gym.Env: ShapedEnv,
    gym.vector.VectorEnv: ShapedVectorEnv,
    ParallelEnv: ShapedParallelEnv,
    AECEnv: ShapedParallelEnv,  # which says what to do
}


def engine_of(model_or_env: Any) -> RewardEngine:
    """Return the engine that shapes a model or environment.

    Raises:
        WiringError: if there is none, or several.
    """
    engines = [layer.engine for layer in shaped_layers(model_or_env)]
    if len(engines) == 1:
        return engines[0]
    problem = (
        f"has {len(engines)} engines, one for each layer or environment that shapes; ask that layer for its own (layer.engine)."
        if engines
        else "is not shaped: call shapegym.wire(...) first."
    )
    raise WiringError(f"This {type(model_or_env).__name__} {problem}")


def _wire_model(model: BaseAlgorithm, expression: Expression, options: BindingOptions) -> BaseAlgorithm:
    name, buffer = _buffer_of(model)
    rolls_out = isinstance(buffer, RolloutBuffer)
    obstacle = next(_obstacles(model, buffer, options), None)
    if obstacle is not None:
        raise WiringError(obstacle)
    discount, gamma = model.gamma, options.get("gamma")  # type: ignore[attr-defined]
    if gamma is not None and gamma != discount:
        raise DiscountError(
            f"gamma={gamma} was given, but the model discounts with {discount}. Leave gamma out."
        )
    *between, venv = vec_layers(model)
    bound: BindingOptions = {**options, "gamma": discount, "pay_at_end": not rolls_out}
    measuring = MeasuringVecEnv(venv, expression, capacity=buffer.buffer_size if rolls_out else 1, **bound)
    shaped: HindsightBuffer
    if isinstance(buffer, HindsightReplay) and buffer.was_paid:
        buffer.reattach(measuring)
        shaped = buffer
    else:
        keep = not all(isinstance(layer, _HAND_OBSERVATIONS_ON) for layer in between)
        shaped_class = HindsightBuffer.registry[type(buffer)]
        shaped = shaped_class.in_place_of(buffer, measuring, keep_observations=keep)
    # Nothing was changed up to here; nothing can fail from here on.
    if between:
        cast(VecEnvWrapper, between[-1]).venv = measuring
    else:
        model.env = measuring
    setattr(model, name, shaped)
    _make_loading_safe(model, name, type(shaped))
    model._last_obs = None  # learn() resets the environment, so that the first s_t is measured
    return model


def _make_loading_safe(model: BaseAlgorithm, name: str, shaped_class: type[HindsightBuffer]) -> None:
    """Let what `Algorithm.load` makes of the saved model have a shaped buffer too, which refuses to learn before it is wired.

    An algorithm that asks for no class of buffer (RecurrentPPO) refuses where SB3 asks every one before it learns.
    """
    if getattr(model, f"{name}_class", None) is not None:
        setattr(model, f"{name}_class", shaped_class)
    elif name == "rollout_buffer":  # no algorithm with rollouts has action noise
        model.action_noise = WiredHere()


def _buffer_of(model: BaseAlgorithm) -> tuple[str, Any]:
    """The buffer and the attribute that holds it; None if there is none."""
    found = ((name, getattr(model, name, None)) for name in ("rollout_buffer", "replay_buffer"))
    return next((pair for pair in found if isinstance(pair[1], BaseBuffer)), ("", None))


def _obstacles(model: BaseAlgorithm, buffer: Any, options: BindingOptions) -> Iterator[str]:
    """Say why a model cannot be wired; a check may rely on those before it."""
    algorithm, kind = type(model).__name__, type(buffer).__name__
    rolls_out = isinstance(buffer, RolloutBuffer)
    if options.get("pay_at_end"):
        yield "pay_at_end is for environments; a model's buffer pays with hindsight. Leave it out."
    if rolls_out and "learn_every" in options:
        yield (
            "learn_every is for rewards that are paid at once; a rollout is learned from as a whole, before it is paid. Leave it "
            "out."
        )
    if buffer is None:
        yield (
            f"{algorithm} has no rollout or replay buffer to pay with hindsight. Wrap its environment instead: "
            "shapegym.wire(env, expression, gamma=...)."
        )
    was_paid = isinstance(buffer, HindsightReplay) and buffer.was_paid
    if isinstance(buffer, HindsightBuffer) and buffer.is_attached:
        yield "This model is wired already: its rewards would be shaped twice. Wire a new model."
    elif not rolls_out and not was_paid and buffer.size() > 0:
        yield (
            f"The replay buffer holds {buffer.size()} transitions with unshaped rewards. Wire before learning, or empty it first "
            "(model.replay_buffer.reset())."
        )
    elif type(buffer) not in HindsightBuffer.registry:
        mixin = "HindsightRollout" if rolls_out else "HindsightReplay"
        yield (
            f"{kind} has no shaped counterpart. Derive one, which registers it: class Shaped{kind}({mixin}, {kind}), with the "
            "mixin from shapegym.shaping.surfaces.sb3_rollout or sb3_replay."
        )
    if model.env is None:
        yield "The model has no environment: call model.set_env(env) first."
    for layer in shaped_layers(model):
        yield (
            f"The model's environment is shaped already by {type(layer).__name__}: its rewards would be shaped twice. Give the "
            "model the plain environment, one of its own (model.set_env)."
        )
    if is_wrapped(model.env, ShapedEnv):
        yield (
            "The model's environment is shaped already by ShapedEnv, in its workers: its rewards would be shaped twice. Give the "
            "model the plain environment."
        )
    for layer in batch_layers(model):
        if isinstance(layer, VecNormalize) and layer.norm_reward:
            yield (
                "VecNormalize rescales the task reward before the buffer gets it, and the shaped reward could not follow. Use "
                "VecNormalize(..., norm_reward=False), and a normalised term in the expression if you need one."
            )
    if getattr(model, "gamma", None) is None:
        yield f"{algorithm} has no gamma, so potentials cannot be shaped for it."
