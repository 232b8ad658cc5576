"""`check_wiring`: every way in which a model's shaping is dropped, paid twice or rescaled on its way to the learner.

It reads the layers and buffers of a model and changes nothing. What cannot be seen from outside, a callback that edits
``self.locals["rewards"]``, is caught when a wired model's buffer gets a reward that is not the measured one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import gymnasium as gym
from gymnasium.wrappers import NormalizeReward
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import NStepReplayBuffer
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnvWrapper, VecMonitor, VecNormalize
from stable_baselines3.her.her_replay_buffer import HerReplayBuffer

from shapegym.shaping.errors import WiringError
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.promises import Keeps
from shapegym.shaping.surfaces.binding import Binding
from shapegym.shaping.surfaces.gym_env import ShapedEnv
from shapegym.shaping.surfaces.layers import batch_layers, is_wrapped, lane_layers, shaped_layers
from shapegym.shaping.surfaces.sb3_buffers import HindsightBuffer
from shapegym.shaping.surfaces.sb3_vec import MeasuringVecEnv, ShapedVecEnv
from shapegym.shaping.tree import guarantee_losses, has_task_reward, keeps_of, learns_weights
from shapegym.shaping.types import Combinator, times_task_is_paid
from shapegym.shaping.written import cut

Severity: TypeAlias = Literal["error", "warning", "info"]

EXPLANATIONS: dict[str, str] = {
    "unshaped": "No expression shapes this model: it learns from the task reward alone. Use shapegym.wire.",
    "buffer-detached": "The shaped buffer was loaded and has no expression. Call shapegym.wire, after load_replay_buffer.",
    "measured-not-paid": (
        "The environment measures an expression, but the buffer does not pay it: it was replaced after shapegym.wire. Wire a new "
        "model, after loading its buffer."
    ),
    "environment-replaced": (
        "The buffer pays an expression that the environment does not measure any more: set_env was called after shapegym.wire. "
        "Wire a new model."
    ),
    "shaped-twice": (
        "The reward is shaped more than once ({what}): the outer expression takes the inner one's shaped reward for the task's. "
        "Keep one surface, with the sum of the expressions."
    ),
    "dropped-outside-normalize": (
        "{what} is outside VecNormalize, but an off-policy algorithm stores the reward that VecNormalize got: what it does to "
        "rewards never reaches the replay buffer. Put it inside VecNormalize, or use shapegym.wire(model, expression)."
    ),
    "task-rescaled": (
        "VecNormalize rescales the task reward by a moving factor before {what} adds the shaping, which stays as it is. Put "
        "VecNormalize outside ShapedVecEnv; for a wired model set norm_reward=False."
    ),
    "reward-normalised-by-lane": (
        "gymnasium's NormalizeReward rescales the reward by a factor that moves, differs from lane to lane, and is computed across "
        "resets: task and shaping lose their proportion. Use VecNormalize outside ShapedVecEnv, or a normalised term."
    ),
    "missed-by-hindsight": (
        "{what} changes the reward of real transitions only: HER asks the environment for the reward of virtual goals (80 % of a "
        "batch by default). Use shapegym.wire(model, expression) instead, which shapes virtual transitions too."
    ),
    "nested-monitors": (
        "{what} monitors report every episode, and the outermost overwrites the others in info['episode']. Keep one."
    ),
    "monitor-sees-shaped": (
        "A monitor is outside the shaping, so ep_rew_mean and evaluate_policy report the shaped return. Put it inside, as in "
        "ShapedEnv(Monitor(env), ...), or use shapegym.wire(model, expression)."
    ),
    "gamma-mismatch": (
        "The potential {what} discounts with another gamma than the model: the shaping does not telescope, and optimal policies "
        "can change. Make them equal; shapegym.wire(model, ...) takes the model's."
    ),
    "n-step-gamma-mismatch": "n-step returns are discounted with {what}: make both equal (replay_buffer_kwargs).",
    "task-dropped": (
        "The expression has no TaskReward(), so the model does not learn from the task. Add it, unless that is meant."
    ),
    "task-paid-twice": (
        "The expression pays the task reward {what} times: gate, renorm, constrained and blend include it already. Leave the "
        "extra one out, unless that is meant."
    ),
    "weights-stay": (
        "{what} does not learn the weights of a blend, which stay as they began. Train with BARFI, or say learn=False if that is "
        "meant."
    ),
    "term-remark": "{what}",
    "guarantee-lost": "{what}, so these may change. Add the part that keeps them outside of this node.",
}
"""What each finding means and what to do, by its code."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about a model's shaping that its owner should know.

    Attributes:
        code: a key of `EXPLANATIONS`.
        severity: "error": the learner does not get the reward of the expression; "warning": it does, but logs mislead or
            statistics interfere; "info": a property of the set-up that may be meant.
        message: what happens, and what to do.
    """

    code: str
    severity: Severity
    message: str

    def __repr__(self) -> str:
        return f"<{cut(str(self))}>"

    def __str__(self) -> str:
        return f"{self.severity}: {self.message} [{self.code}]"


def check_wiring(model: BaseAlgorithm, *, raise_on_error: bool = False) -> list[Finding]:
    """Return what is wrong or remarkable about how a model is shaped; nothing for a correct set-up.

    Args:
        model: an SB3 algorithm with an environment: wired, or with shaping wrappers around its environments.
        raise_on_error: raise instead, if there is an error among the findings.

    Raises:
        WiringError: if ``raise_on_error`` and there is one, naming all errors.
    """
    if model.env is None:
        raise WiringError("The model has no environment: call model.set_env(env) first.")
    findings = [finding for check in _CHECKS for finding in check(model)]
    errors = [finding for finding in findings if finding.severity == "error"]
    if raise_on_error and errors:
        raise WiringError("\n".join(map(str, errors)))
    return findings


def _finding(code: str, severity: Severity, what: object = "") -> Finding:
    return Finding(code, severity, EXPLANATIONS[code].format(what=what))


def _attachment(model: BaseAlgorithm) -> Iterator[Finding]:
    """Environment and buffer of a wired model still belong to each other."""
    buffer = _buffer(model)
    measuring = next((layer for layer in batch_layers(model) if isinstance(layer, MeasuringVecEnv)), None)
    if isinstance(buffer, HindsightBuffer):
        if not buffer.is_attached:
            yield _finding("buffer-detached", "error")
        elif buffer.source is not measuring:
            yield _finding("environment-replaced", "error")
    elif measuring is not None:
        yield _finding("measured-not-paid", "error")
    elif not shaped_layers(model):
        yield _finding("unshaped", "info")


def _shaped_twice(model: BaseAlgorithm) -> Iterator[Finding]:
    names = [type(layer).__name__ for layer in _path(model) if isinstance(layer, Binding)]
    if len(names) > 1:
        yield _finding("shaped-twice", "error", " around ".join(names))


def _vec_normalize(model: BaseAlgorithm) -> Iterator[Finding]:
    """What stands outside ``VecNormalize`` is invisible to a replay buffer; what is inside it is rescaled as a whole."""
    outside = list(batch_layers(model))
    normalize = next((layer for layer in outside if isinstance(layer, VecNormalize)), None)
    if normalize is None:
        return
    inside = outside[outside.index(normalize) :]
    del outside[outside.index(normalize) :]
    shaping = [layer for layer in outside if isinstance(layer, ShapedVecEnv)]
    if isinstance(model, OffPolicyAlgorithm):
        for layer in outside:
            if layer in shaping:
                yield _finding("dropped-outside-normalize", "error", "ShapedVecEnv")
            elif _is_foreign(layer):
                yield _finding("dropped-outside-normalize", "warning", type(layer).__name__)
    elif shaping and normalize.norm_reward:
        yield _finding("task-rescaled", "warning", "ShapedVecEnv")
    if normalize.norm_reward and any(isinstance(layer, MeasuringVecEnv) for layer in inside):
        yield _finding("task-rescaled", "error", "the buffer")


def _normalize_reward(model: BaseAlgorithm) -> Iterator[Finding]:
    if shaped_layers(model) and is_wrapped(model.env, NormalizeReward):
        yield _finding("reward-normalised-by-lane", "warning")


def _hindsight(model: BaseAlgorithm) -> Iterator[Finding]:
    """SB3's HER calls ``compute_reward`` of the innermost environment, past every wrapper."""
    if isinstance(_buffer(model), HerReplayBuffer):
        names = [type(layer).__name__ for layer in batch_layers(model) if isinstance(layer, ShapedVecEnv)]
        names += [kind.__name__ for kind in (ShapedEnv, gym.RewardWrapper) if is_wrapped(model.env, kind)]
        for name in names:
            yield _finding("missed-by-hindsight", "error", name)


def _monitors(model: BaseAlgorithm) -> Iterator[Finding]:
    path = _path(model)
    monitors = [depth for depth, layer in enumerate(path) if isinstance(layer, (Monitor, VecMonitor))]
    paying = [depth for depth, layer in enumerate(path) if isinstance(layer, (ShapedVecEnv, ShapedEnv))]
    if len(monitors) > 1:
        yield _finding("nested-monitors", "warning", len(monitors))
    if monitors and paying and monitors[0] < paying[-1]:
        yield _finding("monitor-sees-shaped", "warning")


def _discounts(model: BaseAlgorithm) -> Iterator[Finding]:
    gamma = getattr(model, "gamma", None)
    for engine in _engines(model):
        for term, name, state in zip(engine.terms, engine.term_names, engine.states, strict=True):
            telescopes = Keeps.POLICIES in keeps_of(term)  # unlike a running scale with a gamma
            if telescopes and state.get("gamma", gamma) != gamma:
                yield _finding("gamma-mismatch", "error", f"{name!r} ({state['gamma']}, not {gamma})")
    buffer = _buffer(model)
    if isinstance(buffer, NStepReplayBuffer) and buffer.gamma != gamma:
        yield _finding("n-step-gamma-mismatch", "error", f"{buffer.gamma}, everything else with {gamma}")


def _expressions(model: BaseAlgorithm) -> Iterator[Finding]:
    for engine in _engines(model):
        if not has_task_reward(engine.expression):
            yield _finding("task-dropped", "warning")
        if (times := times_task_is_paid(engine.expression)) > 1:
            yield _finding("task-paid-twice", "warning", times)
        if learns_weights(engine.expression) and not getattr(model, "learns_weights", False):
            yield _finding("weights-stay", "info", type(model).__name__)
        for term, name in zip(engine.terms, engine.term_names, strict=True):
            if remark := term.remark(engine.spec):
                yield _finding("term-remark", "warning", f"{name!r}: {remark}")
        for loss in guarantee_losses(engine.expression):
            if (
                Keeps.POLICIES in loss.lost and isinstance(loss.node, Combinator) and not loss.node.linear
            ):  # a sum with a bonus is meant
                yield _finding("guarantee-lost", "info", loss)


_CHECKS = (
    _attachment,
    _shaped_twice,
    _vec_normalize,
    _normalize_reward,
    _hindsight,
    _monitors,
    _discounts,
    _expressions,
)


def _path(model: BaseAlgorithm) -> list[Any]:
    """All layers down to the environment of lane 0; lanes are wrapped alike."""
    return [*batch_layers(model), *(layer for lane in lane_layers(model)[:1] for layer in lane)]


def _buffer(model: BaseAlgorithm) -> Any:
    return getattr(model, "replay_buffer", None) or getattr(model, "rollout_buffer", None)


def _engines(model: BaseAlgorithm) -> list[RewardEngine]:
    """One engine for each expression: the lanes of a ``DummyVecEnv`` have equal ones."""
    engines = [layer.engine for layer in shaped_layers(model)]
    return list({engine.expression: engine for engine in engines}.values())


def _is_foreign(layer: Any) -> bool:
    known = ("stable_baselines3", "shapegym")
    return isinstance(layer, VecEnvWrapper) and type(layer).__module__.split(".")[0] not in known
