"""What is known of a task: states, what each action leads to, and how good that is for the task. Arrays only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shapegym.shaping.kernels.best_policy import follow, solve

Floats: TypeAlias = NDArray[np.float64]
Indices: TypeAlias = NDArray[np.int64]
Mask: TypeAlias = NDArray[np.bool_]

_TOLERANCE, _SWEEPS = 1e-9, 2_000
_WANDER = 200
"""Steps of the half-trained agent whose visits say which states matter."""


@dataclass(frozen=True, eq=False)
class Graph:
    """A decision process as lists: S states, G groups (a state and an action), E edges (outcomes of a group).

    Attributes:
        first_group: (S + 1,), groups of state s are first_group[s] .. first_group[s + 1] - 1.
        first_edge: (G + 1,), the same of the edges of groups.
        target: (E,), the state that an edge leads to.
        probability: (E,), sums to 1 over a group.
        steps: (E,), steps of the environment that an edge takes.
        ends: (E,), whether the episode ends there.
        start: (S,), how probable it is that an episode begins in a state.
    """

    first_group: Indices
    first_edge: Indices
    target: Indices
    probability: Floats
    steps: Indices
    ends: Mask
    start: Floats

    @property
    def states(self) -> int:
        """S."""
        return len(self.first_group) - 1

    @cached_property
    def state_of_group(self) -> Indices:
        """(G,)."""
        return np.repeat(np.arange(self.states), np.diff(self.first_group))

    @cached_property
    def group_of_edge(self) -> Indices:
        """(E,)."""
        return np.repeat(np.arange(len(self.first_edge) - 1), np.diff(self.first_edge))

    def endless(self) -> Graph:
        """Return the same process, but that episodes go on in the state in which they end."""
        source = self.state_of_group[self.group_of_edge]
        return Graph(
            self.first_group,
            self.first_edge,
            np.where(self.ends, source, self.target),
            self.probability,
            self.steps,
            np.zeros_like(self.ends),
            self.start,
        )

    def expected(self, edges: Floats) -> Floats:
        """Mean over the edges of each group, (..., E) -> (..., G)."""
        return np.add.reduceat(edges * self.probability, self.first_edge[:-1], axis=-1)

    def weight(self, gamma: float) -> Floats:
        """(E,): probability times discount, 0 where the episode ends."""
        return np.where(self.ends, 0.0, self.probability * gamma**self.steps)

    def best(self, pay: Floats, gamma: float, allowed: Mask | None = None) -> tuple[Floats, Floats]:
        """Return what acting best is worth, by state (S,) and by group (G,), where groups pay (G,)."""
        weight = self.weight(gamma)
        values = self._solved_by(
            solve, pay, weight, np.ones(len(pay), np.bool_) if allowed is None else allowed
        )
        return values, pay + np.add.reduceat(weight * values[self.target], self.first_edge[:-1])

    def followed(self, pay: Floats, gamma: float, allowed: Mask) -> Floats:
        """Return what each state is worth (S,) to an agent that takes each of the ``allowed`` groups (G,) as often."""
        return self._solved_by(follow, pay, self.weight(gamma), allowed)

    def _solved_by(self, kernel: Callable[..., int], pay: Floats, weight: Floats, allowed: Mask) -> Floats:
        values = np.zeros(self.states)
        kernel(
            self.first_group,
            self.first_edge,
            self.target,
            weight,
            np.ascontiguousarray(pay),
            allowed,
            _TOLERANCE * max(float(np.abs(pay).max(initial=0.0)), 1e-300),
            _SWEEPS,
            values,
        )
        return values

    def most(self, groups: Floats) -> Floats:
        """The largest of the groups of each state, (G,): repeated for all of its groups."""
        return np.repeat(np.maximum.reduceat(groups, self.first_group[:-1]), np.diff(self.first_group))

    def least(self, groups: Floats) -> Floats:
        """The same of the smallest."""
        return -self.most(-groups)

    def visits(self, good: Mask) -> Floats:
        """How often an agent is in each state that takes a good action half of the time and any the other half, (S,)."""
        choices = np.diff(self.first_group)[self.state_of_group]
        many = np.add.reduceat(good.astype(np.float64), self.first_group[:-1])[self.state_of_group]
        policy = 0.5 / choices + np.where(many > 0, 0.5 * good / np.maximum(many, 1), 0.5 / choices)
        flow = np.where(self.ends, 0.0, policy[self.group_of_edge] * self.probability)
        source = self.state_of_group[self.group_of_edge]
        here, seen = self.start.copy(), np.zeros(self.states)
        for _ in range(_WANDER):
            seen += here
            here = np.bincount(self.target, flow * here[source], self.states).astype(np.float64)
        return seen / max(seen.sum(), 1e-300)


@dataclass(frozen=True, eq=False)
class Known(Graph):
    """A part of a task, closed: what is known of it, to judge rewards by.

    Attributes:
        rows: (E + 1,), transitions rows[e] .. rows[e + 1] - 1 of the evidence are the steps of edge e.
        gain: (E,), what an edge is worth to the task: 1 for a success, or the task's own reward where that is paid on the way.
        task: (E,), the task's own reward.
        gamma: the agent's discount.
        slack: steps by which ways may be longer than they look; 0 where states are exact.
    """

    rows: Indices
    gain: Floats
    task: Floats
    gamma: float
    slack: float = 0.0

    @cached_property
    def _solved(self) -> tuple[Floats, Floats]:
        return self.best(self.expected(self.gain), self.gamma)

    @property
    def worth(self) -> Floats:
        """What each state is worth to the task, (S,)."""
        return self._solved[0]

    @property
    def solvable(self) -> bool:
        """Whether the task can be solved from where episodes begin."""
        return float(self.start @ self.worth) > 0

    @cached_property
    def bad(self) -> Mask:
        """Groups that lead away from the solution, by more than half a step and the slack, (G,)."""
        by_group = self._solved[1]
        best = self.worth[self.state_of_group]
        return (best > 0) & (by_group < best * self.gamma ** (0.5 + self.slack))

    @cached_property
    def good(self) -> Mask:
        """Groups that lead to the solution as fast as any, (G,)."""
        best = self.worth[self.state_of_group]
        return (best > 0) & (self._solved[1] >= best * self.gamma**0.25)

    @cached_property
    def presence(self) -> Floats:
        """How often a half-trained agent is in each state, (S,)."""
        return self.visits(self.good)


def value_of(array: Any, row: int) -> Any:
    """An entry of a feature's array as a plain value, for people."""
    value = array[row]
    return tuple(value.tolist()) if getattr(value, "ndim", 0) else value.item()
