"""The exported checks: every node of this project passes them, and each broken promise is found and named."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest

from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.errors import FeatureError
from shapegym.shaping.promises import Replay
from shapegym.shaping.terms.potential import Potential
from shapegym.shaping.testing import ComplianceError, check_expression, examples
from shapegym.shaping.testing.scripted import ScriptedEnv
from shapegym.shaping.transitions import Spec, State, Transitions
from shapegym.shaping.types import NODES, Example, Expression, Term

CASES = [
    pytest.param(example, id=f"{name}-{number}")
    for name, shown in examples().items()
    for number, example in enumerate(shown)
]


@pytest.fixture(autouse=True)
def _forget_test_nodes() -> Iterator[None]:
    before = dict(NODES)
    yield
    NODES.clear()
    NODES.update(before)


@pytest.mark.parametrize("example", CASES)
def test_every_node_keeps_the_contract(example: Example) -> None:
    check_expression(example.node, partial(ScriptedEnv, example.observation))


def test_a_registered_environment_is_named_by_its_id() -> None:
    check_expression(TaskReward() + Potential("obs[2]"), "CartPole-v1", gamma=0.98)


def test_a_feature_the_environment_lacks_is_named() -> None:
    with pytest.raises(FeatureError, match="Did you mean 'progress'"):
        check_expression(Potential("features.progres", gamma=0.9), partial(ScriptedEnv, "box", declare=False))


def node(**methods: Any) -> Expression:
    """A term with these methods and facts that pays 1 otherwise."""
    body = {"measure": lambda self, transitions, state: np.ones(transitions.num_lanes), **methods}
    kind = dataclass(frozen=True)(type("Mine", (Term,), {"__module__": __name__, **body}))
    globals()["Mine"] = kind  # where pickle looks for it
    return kind()  # type: ignore[no-any-return]


def count(self: Any, transitions: Transitions, state: State) -> None:
    state["n"][...] += 1


def paid_count(self: Any, transitions: Transitions, state: State) -> np.ndarray:
    return np.full(transitions.num_lanes, state["n"][0])


COUNTER = {"init": lambda self, spec: {"n": np.zeros(1)}}
STAMP = {"replay": Replay.STAMP}
draws = itertools.count()


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        (
            {"measure": lambda self, t, s: np.ones(1)},
            r"float64 \(3,\), one number a lane, got float64 \(1,\)",
        ),
        ({"measure": lambda self, t, s: np.ones(t.num_lanes, np.float32)}, "got float32"),
        ({"measure": lambda self, t, s: [0.0, 0.0, 0.0]}, r"got \[0.0, 0.0, 0.0\]"),
        ({"measure": lambda self, t, s: np.log(np.zeros_like(t.reward))}, "not finite"),
        ({"measure": lambda self, t, s: t.reward * next(draws)}, "twice"),
        (
            {**COUNTER, "measure": lambda self, t, s: count(self, t, s) or t.reward},
            "measure changed its state",
        ),
        ({**COUNTER, **STAMP, "observe": count, "measure": paid_count}, "active=False"),
        ({"measure": lambda self, t, s: t.reward * t.first.any()}, "declares Replay.RECOMPUTE"),
        ({**STAMP, "measure": lambda self, t, s: np.arange(t.num_lanes, dtype=float)}, "another order"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_a_broken_promise_is_found(methods: dict[str, Any], message: str) -> None:
    check_expression(node())
    with pytest.raises(ComplianceError, match=message):
        check_expression(node(**methods))


def mean_reward(transitions: Transitions) -> np.ndarray:
    active = transitions.active
    return np.full(transitions.num_lanes, transitions.reward[active].sum() / max(1, active.sum()))


MIXES = {
    "the mean": mean_reward,
    "the largest": lambda t: t.reward - t.reward.max(),
    "any that ends": lambda t: np.full(t.num_lanes, float(t.terminated.any())),
    "any that begins": lambda t: t.reward * t.first.any(),
    "the order": lambda t: np.argsort(np.argsort(t.reward)).astype(float),
}


@pytest.mark.parametrize("kind", Replay)
@pytest.mark.parametrize("mixed", MIXES)
def test_a_part_that_mixes_lanes_is_found_however_it_is_replayed(kind: Replay, mixed: str) -> None:
    with pytest.raises(ComplianceError, match=r"RECOMPUTE|other lanes|other rows|another order"):
        check_expression(node(replay=kind, measure=lambda self, t, s: MIXES[mixed](t)))


def test_a_term_that_no_process_could_be_sent_is_named() -> None:
    @dataclass(frozen=True)
    class Local(Term):
        def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
            return transitions.reward

    with pytest.raises(ComplianceError, match=r"Local.*cannot be pickled.*top of a module"):
        check_expression(Local())


def test_state_that_is_not_saved_is_found() -> None:
    hidden: dict[int, tuple[State, Any]] = {}  # holds the states, so that their ids stay their own

    def init(self: Any, spec: Spec) -> State:
        return {"key": next(draws)}

    def total(state: State) -> Any:
        return hidden.get(id(state), (state, 0.0))[1]

    def observe(self: Any, transitions: Transitions, state: State) -> None:
        hidden[id(state)] = (state, total(state) + transitions.active)

    def measure(self: Any, transitions: Transitions, state: State) -> np.ndarray:
        return np.zeros(transitions.num_lanes) + total(state)

    with pytest.raises(ComplianceError, match="after loading a saved state"):
        check_expression(node(init=init, observe=observe, measure=measure, replay=Replay.STAMP))
