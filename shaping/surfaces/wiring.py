"""`wire`: put a reward expression where a model learns from, or around an environment."""

from __future__ import annotations

from typing import Any, Literal, cast

import gymnasium as gym
from pettingzoo import ParallelEnv
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
from shapegym.shaping.surfaces.gym_env import ShapedEnv
from shapegym.shaping.surfaces.layers import batch_layers, shaped_layers
from shapegym.shaping.surfaces.parallel_env import ShapedParallelEnv
from shapegym.shaping.surfaces.sb3_buffers import HindsightBuffer
from shapegym.shaping.surfaces.sb3_replay import HindsightReplay
from shapegym.shaping.surfaces.sb3_vec import MeasuringVecEnv, ShapedVecEnv
from shapegym.shaping.surfaces.vector_env import ShapedVectorEnv
from shapegym.shaping.types import Expression

_HAND_OBSERVATIONS_ON = (VecMonitor, VecCheckNan, VecVideoRecorder)
"""Wrappers between buffer and environments that leave observations as they are."""


def wire(
    model_or_env: Any,
    expression: Expression,
    *,
    gamma: float | None = None,
    seed: int = 0,
    on_nonfinite: Literal["raise", "zero"] = "raise",
    pay_at_end: bool = False,
) -> Any:
    """Make a model learn from the shaped reward of ``expression``, or wrap an environment that pays it.

    An SB3 algorithm is changed in place and returned. Its innermost ``VecEnv`` is measured, so that terms see observations and
    task rewards as the environment gives them, and its rollout or replay buffer is replaced by one that pays with hindsight. The
    rewards that the environment returns stay the task's: ``ep_rew_mean`` and evaluations report the task. Wire before learning.
    After ``Algorithm.load`` (and ``model.load_replay_buffer``), wire again and restore what terms remember with ``load_engine``.

    An environment (SB3 ``VecEnv``, Gymnasium ``Env`` or ``VectorEnv``, PettingZoo ``ParallelEnv``) is returned wrapped by the
    surface that pays at every step.

    Args:
        model_or_env: what to shape.
        expression: the reward.
        gamma: the agent's discount, for potentials; a model has its own.
        seed: of the random choices that terms make.
        on_nonfinite: a NaN or infinite part is an error ("raise"), or counts as 0 with a warning ("zero").
        pay_at_end: environments only: allow episodic nodes by paying an episode's sum at its last step.

    Raises:
        WiringError: if the shaping would be dropped, paid twice or rescaled; nothing has changed then.
        ShapingError: if the expression does not fit.
    """
    if isinstance(model_or_env, BaseAlgorithm):
        if pay_at_end:
            raise WiringError(
                "pay_at_end is for environments; a model's buffer pays with hindsight. Leave it out."
            )
        return _wire_model(model_or_env, expression, gamma, seed, on_nonfinite)
    for kind, surface in _SURFACES.items():
        if isinstance(model_or_env, kind):
            return surface(
                model_or_env,
                expression,
                gamma=gamma,
                seed=seed,
                on_nonfinite=on_nonfinite,
                pay_at_end=pay_at_end,
            )
    raise WiringError(
        f"Cannot wire {model_or_env!r} ({type(model_or_env).__name__}): it is neither an SB3 algorithm or VecEnv, nor a Gymnasium "
        "Env or VectorEnv, nor a PettingZoo ParallelEnv."
    )


_SURFACES: dict[type, Any] = {
    VecEnv: ShapedVecEnv,
    gym.Env: ShapedEnv,
    gym.vector.VectorEnv: ShapedVectorEnv,
    ParallelEnv: ShapedParallelEnv,
}


def engine_of(model_or_env: Any) -> RewardEngine:
    """Return the engine that shapes a model or environment.

    Raises:
        WiringError: if there is none, or several.
    """
    engines = [layer.engine for layer in shaped_layers(model_or_env)]
    if not engines:
        raise WiringError(f"This {type(model_or_env).__name__} is not shaped: call shapegym.wire(...) first.")
    if len(engines) > 1:
        raise WiringError(
            f"This {type(model_or_env).__name__} has {len(engines)} engines, one for each layer or environment that shapes; ask "
            "that layer for its own (layer.engine)."
        )
    return engines[0]


def _wire_model(
    model: BaseAlgorithm,
    expression: Expression,
    gamma: float | None,
    seed: int,
    on_nonfinite: Literal["raise", "zero"],
) -> BaseAlgorithm:
    buffer_name, buffer = _buffer_of(model)
    shaped_class = _shaped_class(buffer)
    _check_environment(model)
    _check_gamma(model, gamma)
    outer, venv = None, cast(VecEnv, model.env)
    while isinstance(venv, VecEnvWrapper):
        outer, venv = venv, venv.venv
    rolls_out = isinstance(buffer, RolloutBuffer)
    measuring = MeasuringVecEnv(
        venv,
        expression,
        capacity=buffer.buffer_size if rolls_out else 1,
        gamma=model.gamma,  # type: ignore[attr-defined]
        seed=seed,
        on_nonfinite=on_nonfinite,
        whole_episodes=not rolls_out,
    )
    shaped: HindsightBuffer
    if isinstance(buffer, HindsightReplay):
        buffer.reattach(measuring)
        shaped = buffer
    else:
        between = [layer for layer in batch_layers(model) if isinstance(layer, VecEnvWrapper)]
        keep = not all(isinstance(layer, _HAND_OBSERVATIONS_ON) for layer in between)
        shaped = shaped_class.in_place_of(buffer, measuring, keep_observations=keep)
    # Nothing was changed up to here; nothing can fail from here on.
    if outer is None:
        model.env = measuring
    else:
        outer.venv = measuring
    setattr(model, buffer_name, shaped)
    model._last_obs = None  # learn() resets the environment, so that the first s_t is measured
    return model


def _buffer_of(model: BaseAlgorithm) -> tuple[str, BaseBuffer]:
    for name in ("rollout_buffer", "replay_buffer"):
        buffer = getattr(model, name, None)
        if isinstance(buffer, BaseBuffer):
            return name, buffer
    raise WiringError(
        f"{type(model).__name__} has no rollout or replay buffer to pay with hindsight. Wrap its environment instead: "
        "shapegym.wire(env, expression, gamma=...)."
    )


def _shaped_class(buffer: BaseBuffer) -> type[HindsightBuffer]:
    if isinstance(buffer, HindsightBuffer):
        if buffer.is_attached:
            raise WiringError(
                "This model is wired already: its rewards would be shaped twice. Wire a new model."
            )
        return type(buffer)
    if not isinstance(buffer, RolloutBuffer) and buffer.size() > 0:
        raise WiringError(
            f"The replay buffer holds {buffer.size()} transitions with unshaped rewards. Wire before learning, or empty it first "
            "(model.replay_buffer.reset())."
        )
    if type(buffer) not in HindsightBuffer.registry:
        mixin = "HindsightRollout" if isinstance(buffer, RolloutBuffer) else "HindsightReplay"
        name = type(buffer).__name__
        raise WiringError(
            f"{name} has no shaped counterpart. Derive one, which registers it: class Shaped{name}({mixin}, {name}), with the "
            "mixin from shapegym.shaping.surfaces.sb3_rollout or sb3_replay."
        )
    return HindsightBuffer.registry[type(buffer)]


def _check_environment(model: BaseAlgorithm) -> None:
    if model.env is None:
        raise WiringError("The model has no environment: call model.set_env(env) first.")
    shaped = shaped_layers(model)
    if shaped:
        raise WiringError(
            f"The model's environment is shaped already by {type(shaped[0]).__name__}: its rewards would be shaped twice. Give the "
            "model the plain environment."
        )
    for layer in batch_layers(model):
        if isinstance(layer, VecNormalize) and layer.norm_reward:
            raise WiringError(
                "VecNormalize rescales the task reward before the buffer gets it, and the shaped reward could not follow. Use "
                "VecNormalize(..., norm_reward=False), and a normalised term in the expression if you need one."
            )


def _check_gamma(model: BaseAlgorithm, gamma: float | None) -> None:
    discount = getattr(model, "gamma", None)
    if discount is None:
        raise WiringError(f"{type(model).__name__} has no gamma, so potentials cannot be shaped for it.")
    if gamma is not None and gamma != discount:
        raise DiscountError(
            f"gamma={gamma} was given, but the model discounts with {discount}. Leave gamma out."
        )
