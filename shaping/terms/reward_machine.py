"""Reward machines: rewards for doing things in an order, as a finite automaton that events move.

    coffee = RewardMachine(
        edges=(
            Edge("start", Event("features.at_machine"), "carrying", reward=0.1),
            Edge("start", Event("features.broke_vase"), "failed"),
            Edge("carrying", Event("features.broke_vase"), "failed"),
            Edge("carrying", Event("features.at_office"), "done", reward=1.0),
        ),
        terminal=("done", "failed"),
    )

Source: Toro Icarte et al. 2018, "Using Reward Machines for High-Level Task Specification and Decomposition in Reinforcement
Learning"; 2022, "Reward Machines: Exploiting Reward Function Structure in Reinforcement Learning" (simple machines). What the
machine knows is no part of the task's observation: `shapegym.shaping.surfaces.machine_env` lets a policy see it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeAlias

import numpy as np
from annotated_types import Ge, Lt, MinLen
from typing_extensions import override

from shapegym.shaping.errors import ExpressionError, suggest
from shapegym.shaping.limits import Limited
from shapegym.shaping.promises import Replay
from shapegym.shaping.terms.events import Event
from shapegym.shaping.transitions import Spec, State, Transitions
from shapegym.shaping.types import Elementwise, Example, Expression, Term

STATE = "machine_state"
"""The feature by which `MachineObservation` tells the state of a machine, a number."""

Name: TypeAlias = Annotated[str, MinLen(1), "the name of a state, a text"]


@dataclass(frozen=True)
class Edge(Limited):
    """From ``source`` to ``target`` at a step where ``on`` > 0, which pays ``reward``.

    ``on`` is any expression that is known at its step, so labels are combined as rewards are: ``a * b`` is both, ``a + b`` either,
    ``1 - a`` not a. A loop from a state to itself pays for events that change nothing.
    """

    in_words: ClassVar[str] = "an edge such as Edge(source, on, target, reward)"

    source: Name
    on: Elementwise
    target: Name
    reward: float = 0.0


@dataclass(frozen=True)
class RewardMachine(Term):
    """r_t = the reward of the edge that the machine takes at step t, 0 if it takes none.

    The machine begins each episode in ``start``. Of the edges that leave its state it takes the first, in the order written, whose
    event holds, one a step; without one it stays. In a terminal state it stays for good and pays nothing more; the episode goes on
    unless the task ends it (or `MachineObservation`, which ends it by default).

    Bounded by the largest reward. Keeps nothing; `MachinePotential` leads towards its rewards and keeps optimal policies. Replay:
    stamped (depends on what happened before in the episode).

    Args:
        edges: the machine; its states are the names that occur.
        terminal: states in which the machine is done. Every state that no edge leaves must be among them.
        start: where episodes begin; the source of the first edge if it is not given.

    Raises:
        ExpressionError: if a state cannot be reached or left, which mostly is a name that was written in two ways.
    """

    edges: Annotated[tuple[Edge, ...], MinLen(1)]
    terminal: tuple[Name, ...] = ()
    start: str = ""

    replay: ClassVar[Replay] = Replay.STAMP
    bound = property(lambda self: float(max(abs(edge.reward) for edge in self.edges)))
    remembers = property(lambda self: dict.fromkeys(("before", "now"), (Ge(0), Lt(len(self.states)))))
    _moves: ClassVar[tuple[tuple[int, int, float], ...]]
    """Source, target and reward of every edge, states by number."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.start:
            object.__setattr__(self, "start", self.edges[0].source)
        states, left = self.states, {edge.source for edge in self.edges}
        moves = ((states.index(edge.source), states.index(edge.target), edge.reward) for edge in self.edges)
        object.__setattr__(self, "_moves", tuple(moves))
        reached, grows = {self.start}, True
        while grows:
            targets = {edge.target for edge in self.edges if edge.source in reached}
            grows, reached = not targets <= reached, reached | targets
        named = [name for edge in self.edges for name in (edge.source, edge.target)]
        for name in (*self.terminal, self.start):
            self._require(name in named, f"no edge leads to or from {name!r}.{suggest(name, set(named))}")
        for name in states:
            self._require(name in reached, f"{name!r} cannot be reached from {self.start!r}.")
            self._require(
                (name in left) is not (name in self.terminal),
                f"{name!r} is terminal, and an edge leaves it."
                if name in self.terminal
                else f"no edge leaves {name!r}, and it is not terminal.{suggest(name, [*left, *self.terminal])}",
            )

    def _require(self, holds: bool, otherwise: str) -> None:
        if not holds:
            raise ExpressionError(f"RewardMachine: {otherwise}")

    @property
    def states(self) -> tuple[str, ...]:
        """The names of its states: the start, then in the order in which edges name them."""
        ends = (name for edge in self.edges for name in (edge.source, edge.target))
        return tuple(dict.fromkeys((self.start or self.edges[0].source, *ends)))

    @property
    def children(self) -> tuple[Expression, ...]:
        """The events of its edges, in order."""
        return tuple(edge.on for edge in self.edges)

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(MACHINE), Example(cls((Edge("a", _THIRD, "b", 1.0), Edge("b", _FIRST, "a", -0.5)))))

    @override
    def init(self, spec: Spec) -> State:
        return self.fresh(spec.num_lanes)

    @override
    def remark(self, spec: Spec) -> str | None:
        if spec.features is None or STATE in spec.features:
            return None
        return (
            "what it pays depends on the state that it is in, and a policy that does not see that cannot learn it: wrap the "
            "environment (shapegym.shaping.surfaces.machine_env.MachineObservation), unless the observation tells."
        )

    @override
    def observe(self, transitions: Transitions, state: State, *inputs: Any) -> None:
        self.advance(transitions, state, inputs)

    @override
    def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        paid: np.ndarray = state["paid"]
        return paid

    def fresh(self, num_lanes: int) -> State:
        """Return what a walk through the machine remembers of each lane: states by number, before and after, and what was paid."""
        return {
            "before": np.zeros(num_lanes, dtype=np.int64),
            "now": np.zeros(num_lanes, dtype=np.int64),
            "paid": np.zeros(num_lanes),
        }

    def advance(self, transitions: Transitions, state: State, events: Sequence[np.ndarray]) -> None:
        """Take one step in every lane; ``events`` are the values of the edges' events, (B,) each."""
        before = np.where(transitions.first, 0, state["now"])
        after, paid = before.copy(), np.zeros(len(before))
        for (source, target, reward), value in zip(self._moves[::-1], events[::-1], strict=True):
            takes = (before == source) & (value > 0)  # the first edge comes last, and overwrites
            after[takes], paid[takes] = target, reward
        state["before"], state["paid"] = before, paid
        state["now"] = np.where(transitions.active, after, state["now"])

    def values(self, gamma: float) -> np.ndarray:
        """Return v(u) of every state: the best discounted reward that events could bring, if they happened as one likes.

        v(u) = max(max over edges from u of reward + gamma v(target), gamma v(u)), and 0 in terminal states: the machine as a
        Markov decision process of its own, in which waiting is an action. ``gamma`` is below 1.
        """
        size = len(self.states)
        choices = [[(state, 0.0)] for state in range(size)]  # waiting
        for source, target, reward in self._moves:
            choices[source].append((target, reward))
        policy = [0] * size
        while (
            True
        ):  # policy iteration: the fixed point of value iteration, exact and as fast for a gamma near 1
            taken = [options[choice] for options, choice in zip(choices, policy, strict=True)]
            follow = np.eye(size)[[target for target, _ in taken]]
            values = np.linalg.solve(np.eye(size) - gamma * follow, np.array([reward for _, reward in taken]))
            best = [
                _best(options, choice, values, gamma) for options, choice in zip(choices, policy, strict=True)
            ]
            if best == policy:
                return values
            policy = best


def _best(options: list[tuple[int, float]], choice: int, values: np.ndarray, gamma: float) -> int:
    """The option that is worth most; ``choice`` if it is as good up to rounding."""
    worth = [float(reward + gamma * values[target]) for target, reward in options]
    most = max(worth)
    return choice if worth[choice] >= most - 1e-12 * (1.0 + abs(most)) else worth.index(most)


_FIRST, _SECOND, _THIRD = (Event("features.event", equals=number) for number in (1, 2, 3))

MACHINE = RewardMachine(
    (
        Edge("start", _FIRST, "armed", 0.25),
        Edge("start", _THIRD, "start", -0.125),
        Edge("armed", _SECOND * _FIRST, "start"),
        Edge("armed", _SECOND, "done", 1.0),
    ),
    terminal=("done",),
)
"""What examples walk through, on `shapegym.shaping.testing.ScriptedEnv`."""
