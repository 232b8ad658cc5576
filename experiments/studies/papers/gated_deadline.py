"""Gated dense rewards keep an agent submitting where the same rewards, added directly, keep it busy until the deadline.

Source: G-RA, "Stabilizing Long-term Multi-turn Reinforcement Learning with Gated Rewards" 2025 (arXiv 2508.10548).

PPO on two tasks whose deadline cannot be seen. On shapegym/ToolCalls-v0 the outcome alone suffices; on shapegym/ToolChain-v0 a
submission with content is rare at first. The dense part is that of the tasks' proxies, for calls and progress, times a weight:

* outcome: the task reward alone;
* D-RA: task reward + dense part;
* G-RA: the dense part only for episodes whose outcome reaches a gate: below every outcome (0), at a submission (0.25), at the top
  (1);
* the same two relative to groups of 16 episodes, as in GRPO, without discount.

Scores are those of the last tenth of the training episodes: completion (something was submitted), content (more than an empty
submission), the task return and the shaped return.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from shapegym.agents.factory import make_agent
from shapegym.experiments.named import reward_named
from shapegym.experiments.processes import in_processes
from shapegym.experiments.stats import aggregate
from shapegym.experiments.studies.claims import Claim, Findings, ResultTable, StudyRequest, with_ends
from shapegym.shaping.algebra import Scale, TaskReward
from shapegym.shaping.combinators.gate import gate
from shapegym.shaping.combinators.groups import group_relative
from shapegym.shaping.types import Expression

SEEDS = 5
CALLS, CHAIN = "tool_calls", "tool_chain"
ENVS = {CALLS: "shapegym/ToolCalls-v0", CHAIN: "shapegym/ToolChain-v0"}
WEIGHTS = (0.05, 0.15, 0.5)
GATES = {"below": 0.0, "submitted": 0.25, "top": 1.0}
STEPS, QUICK_STEPS = 50_000, 2_048
GROUP = 16


class Arm(NamedTuple):
    """A reward on a task."""

    task: str  # a key of `ENVS`
    kind: str  # "outcome", "D-RA" or "G-RA"
    weight: float = 0.0  # of the dense part
    gate: str = ""  # a key of `GATES`; "" without a gate
    grouped: bool = False  # relative to groups of episodes


class ArmCurve(NamedTuple):
    """Means over each tenth of the episodes of a run, (10,) each."""

    completion: np.ndarray
    content: np.ndarray
    task_return: np.ndarray
    shaped_return: np.ndarray


ARMS = tuple(
    arm
    for task in ENVS
    for arm in (
        Arm(task, "outcome"),
        *(Arm(task, "D-RA", weight) for weight in WEIGHTS),
        *(Arm(task, "G-RA", weight, name) for weight in WEIGHTS for name in GATES),
        *(Arm(task, "D-RA", weight, grouped=True) for weight in WEIGHTS[1:]),
        *(Arm(task, "G-RA", weight, "submitted", grouped=True) for weight in WEIGHTS[1:]),
    )
)


def run(request: StudyRequest) -> Findings:
    """See the module."""
    steps = QUICK_STEPS if request.quick else STEPS
    request.say(f"{len(ARMS)} rewards, {len(request.seeds)} seed(s), {steps} steps each")
    jobs = [(arm, seed, steps) for arm in ARMS for seed in request.seeds]
    curves = iter(in_processes(train, jobs, request.workers))
    found = {
        arm: ArmCurve(*map(np.stack, zip(*(next(curves) for _ in request.seeds), strict=True)))
        for arm in ARMS
    }
    return Findings(
        claims=(
            *_completion(found),
            _signature(found),
            *_rare_content(found),
            _gate_below(found),
            *_groups(found),
        ),
        tables=tuple(_table(task, found) for task in ENVS),
        notes=(
            f"PPO with its default settings, {steps} steps; groups: of {GROUP} episodes, gamma = lambda = 1.",
            "A gate does not remove the reward for calls, it only makes it depend on a submission: the larger the weight, the "
            "later and the less safely the agent submits.",
        ),
    )


def reward_of(arm: Arm) -> Expression:
    """Return the reward of an arm."""
    dense = Scale(_dense(arm.task), arm.weight) if arm.weight else None
    reward: Expression = TaskReward()
    if dense is not None:
        reward = gate(dense, threshold=GATES[arm.gate]) if arm.gate else TaskReward() + dense
    return group_relative(reward, GROUP) if arm.grouped else reward


def train(job: tuple[Arm, int, int]) -> ArmCurve:
    """Train one agent and return its curve."""
    arm, seed, steps = job
    undiscounted: dict[str, Any] = {"gamma": 1.0, "gae_lambda": 1.0} if arm.grouped else {}
    model = make_agent("PPO", ENVS[arm.task], reward_of(arm), seed=seed, **undiscounted)
    episodes = _Episodes()
    model.learn(steps, callback=episodes)
    task, shaped = np.array(episodes.returns).T
    tenths = [
        [part.mean() for part in np.array_split(values, 10)]
        for values in (task > 0, task >= 0.5, task, shaped)  # by the four outcomes 0, 0.25, 0.5 and 1
    ]
    return ArmCurve(*map(np.array, tenths))


class _Episodes(BaseCallback):
    """Keeps what every episode of the training earned."""

    def __init__(self) -> None:
        super().__init__()
        self.returns: list[tuple[float, float]] = []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        self._drain()

    def _on_training_end(self) -> None:
        self._drain()

    def _drain(self) -> None:
        records = self.model.get_env().drain_records()  # type: ignore[union-attr]
        self.returns += [(record.task_return, record.shaped_return) for record in records]


def _dense(task: str) -> Expression:
    """The dense part of the task's proxy: the second addend, without its weight."""
    (_, weighted) = reward_named(f"{task}_proxy")[0].of
    return weighted.of


def _completion(found: dict[Arm, ArmCurve]) -> tuple[Claim, ...]:
    direct, gated = (_last(found[arm].completion) for arm in _pair(CALLS, WEIGHTS[1]))
    rises = found[Arm(CALLS, "D-RA", WEIGHTS[1])].shaped_return
    better = [
        _last(found[with_gate].completion).mean() - _last(found[without].completion).mean()
        for task in ENVS
        for without, with_gate in (_pair(task, weight) for weight in WEIGHTS[1:])
    ]
    return (
        Claim(
            f"ToolCalls, weight {WEIGHTS[1]}: completion >= 0.9 with G-RA and < 0.8 with D-RA, whose shaped return rises",
            bool(gated.mean() >= 0.9 and direct.mean() < 0.8 and (rises[:, -1] > rises[:, 0]).all()),
            f"G-RA {_shown(gated)}, D-RA {_shown(direct)}; shaped return {rises[:, 0].mean():.2f} -> {rises[:, -1].mean():.2f}",
        ),
        Claim(
            f"Weights {WEIGHTS[1:]}, both tasks: G-RA completes more than D-RA",
            bool(min(better) > 0),
            f"by {min(better):.2f} to {max(better):.2f}",
        ),
    )


def _signature(found: dict[Arm, ArmCurve]) -> Claim:
    curve = found[Arm(CALLS, "D-RA", WEIGHTS[-1])]
    task, shaped = (values[:, -1] - values[:, 1] for values in (curve.task_return, curve.shaped_return))
    return Claim(
        f"ToolCalls, D-RA, weight {WEIGHTS[-1]}: the task return falls from the second tenth on while the shaped one rises, "
        "in every run",
        bool((task < 0).all() and (shaped > 0).all()),
        f"task {task.mean():+.2f}, shaped {shaped.mean():+.2f}",
    )


def _rare_content(found: dict[Arm, ArmCurve]) -> tuple[Claim, ...]:
    outcome = found[Arm(CHAIN, "outcome")]
    alone, content = _last(outcome.task_return), _last(outcome.content)
    pairs = [found[_pair(CHAIN, weight)[1]] for weight in WEIGHTS]
    gated = [_last(curve.task_return) for curve in pairs]
    return (
        Claim(
            f"ToolChain, weight {WEIGHTS[1]}: the mean task return of G-RA is above that of the outcome alone",
            bool(gated[1].mean() > alone.mean()),
            f"{_shown(gated[1])} and {_shown(alone)}; most submissions have content in {(_last(pairs[1].content) > 0.5).sum()} "
            f"and {(content > 0.5).sum()} of {len(alone)} runs",
        ),
        Claim(
            "ToolChain: that holds in every run and at every weight",
            bool(min(values.min() for values in gated) > alone.max()),
            ", ".join(f"{_shown(values)} at {weight}" for values, weight in zip(gated, WEIGHTS, strict=True)),
        ),
    )


def _gate_below(found: dict[Arm, ArmCurve]) -> Claim:
    def completion(*arm: Any) -> float:
        return float(_last(found[Arm(*arm)].completion).mean())

    gaps = [
        abs(completion(task, "D-RA", weight) - completion(task, "G-RA", weight, "below"))
        for task in ENVS
        for weight in WEIGHTS
    ]
    text = "A gate below every outcome is D-RA: completion differs by at most 0.1"
    return Claim(text, bool(max(gaps) <= 0.1), f"largest difference {max(gaps):.2f}")


def _groups(found: dict[Arm, ArmCurve]) -> tuple[Claim, ...]:
    direct = found[Arm(CALLS, "D-RA", WEIGHTS[-1], "", True)]
    gated = [
        _last(found[Arm(task, "G-RA", weight, "submitted", True)].completion)
        for task in ENVS
        for weight in WEIGHTS[1:]
    ]
    shown = np.abs(direct.shaped_return).max()
    return (
        Claim(
            f"GRPO hides the collapse: D-RA at weight {WEIGHTS[-1]} completes < 0.1, and the mean pay stays within 0.1 of 0",
            bool(_last(direct.completion).mean() < 0.1 and shown < 0.1),
            f"completion {_shown(_last(direct.completion))}, largest mean pay {shown:.2f}",
        ),
        Claim(
            f"GRPO with gates: completion >= 0.85 at weights {WEIGHTS[1:]} on both tasks",
            bool(min(values.mean() for values in gated) >= 0.85),
            ", ".join(map(_shown, gated)),
        ),
    )


def _pair(task: str, weight: float) -> tuple[Arm, Arm]:
    """D-RA, and G-RA with the gate that the paper would choose: below success."""
    return Arm(task, "D-RA", weight), Arm(task, "G-RA", weight, "submitted")


def _last(values: np.ndarray) -> np.ndarray:
    return values[:, -1]


def _shown(values: np.ndarray) -> str:
    return with_ends(aggregate({"": values}, np.mean))


def _table(task: str, found: dict[Arm, ArmCurve]) -> ResultTable:
    return ResultTable(
        f"{ENVS[task]}, last tenth of training: mean over seeds",
        ("reward", "weight", "gate", "completion", "content", "task return", "shaped return"),
        (
            (
                arm.kind + ", GRPO" * arm.grouped,
                f"{arm.weight:g}" if arm.weight else "",
                arm.gate,
                *(float(_last(values).mean()) for values in curve),
            )
            for arm, curve in found.items()
            if arm.task == task
        ),
    )
