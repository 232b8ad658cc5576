"""Exploits: behaviour that pays more shaped reward than the task's own solution, found exactly on a finite task.

The gain of a step is what it pays beyond acting task-optimally, in shaped reward:

    g(s, a) = E[ R(s, a, S') + gamma B(S') ] - B(s),

B(s) the most shaped reward that a policy gets which takes optimal actions of the task only. A *loop exploit* is a loop whose steps
have a positive gain on average: going round for ever pays more than solving the task. Potentials cancel in g. So a reward that
differs from the task's by a potential of any sign, a redistribution over successors or a positive factor has the task's own
advantage for its gain, which is never positive: it has no exploit. Without a discount no B is needed: the gain is then what a
step pays beyond what the task's own best loops pay, or beyond 0 where the task is better ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import csr_matrix, vstack
from scipy.sparse.csgraph import connected_components, dijkstra

from shapegym.shaping.audit.model import Array, Mask, Model
from shapegym.shaping.errors import AuditError

_TOLERANCE = 1e-9
"""Share of the largest value below which a gain is rounding error."""

_STEP = 1e-3
"""What a step costs beside -log of its probability: ways are the likeliest, and the shortest of these."""


@dataclass(frozen=True)
class Move:
    """A step of an exploit.

    Attributes:
        state: s.
        action: a.
        next_state: s'.
        probability: P(s' | s, a).
        shaped: R(s, a, s').
        task: the task's reward of it.
    """

    state: int
    action: int
    next_state: int
    probability: float
    shaped: float
    task: float


@dataclass(frozen=True)
class Worth:
    """What behaviour is worth from one state: discounted, or, without a discount, a step on average.

    Attributes:
        exploit: of the exploit.
        solution: of the task-optimal policy that gets the most shaped reward.
    """

    exploit: float
    solution: float


@dataclass(frozen=True)
class Exploit:
    """Behaviour that the shaped reward prefers to every solution of the task.

    Attributes:
        lead: the likeliest way from the start to the loop; all of the behaviour if there is none.
        turn: once around the loop, by its likeliest outcomes; empty if the behaviour ends.
        states: of the loop; outcomes may lead through more of them than one turn does.
        gain: mean of g over the steps of the loop; without a loop, of the whole behaviour, discounted from its start.
        shaped: what it is worth in shaped reward, from the first state of the loop.
        task: the same in task reward.
        lure: what the best policy for the shaped reward gets beyond every solution of the task, discounted, from the start; 0 if
            the loop does not repay the way there. NaN without a discount.
    """

    lead: tuple[Move, ...]
    turn: tuple[Move, ...]
    states: tuple[int, ...]
    gain: float
    shaped: Worth
    task: Worth
    lure: float

    @property
    def loops(self) -> bool:
        """Whether it goes on for ever."""
        return bool(self.turn)


def find_exploit(
    P: NDArray[Any],
    task: NDArray[Any],
    shaped: NDArray[Any],
    gamma: float,
    *,
    terminal: NDArray[np.bool_] | None = None,
    start: NDArray[Any],
    allowed: NDArray[np.bool_] | None = None,
) -> Exploit | None:
    """Return the loop of the highest gain, else the shaped-optimal behaviour if it beats the task's solutions, else None.

    The loop is the solution of a linear program over stationary frequencies x(s, a) (Puterman 1994, section 9.3): maximise
    sum x g subject to inflow = outflow in every state. Where outcomes are certain, that is the cycle of maximum mean gain (Karp
    1978). Without a discount only loops are looked for.

    Args:
        P: (S, A, S).
        task: the task's reward, (S, A) or (S, A, S).
        shaped: the reward that is trained on.
        gamma: discount in [0, 1].
        terminal: (S,) bool; None = no terminal states.
        start: (S,), the start distribution.
        allowed: (S, A) bool, actions that may be taken, one at least in each state; None = all.

    Raises:
        AuditError: the arrays do not fit.
    """
    model = Model.of(P, gamma, terminal)
    begin = model.start(start)
    tables = model.table(task), model.table(shaped)
    actions = np.ones(model.pairs, np.bool_) if allowed is None else np.asarray(allowed)
    if actions.shape != model.pairs or actions.dtype != np.bool_ or not actions.any(axis=1).all():
        raise AuditError(f"allowed must be {model.pairs} bool with an action in every state.")
    search = _Search(model, *tables, begin, actions)
    return search.discounted() if gamma < 1 else search.averaged()


class _Search:
    """One search: the model, both rewards as tables, where episodes start, and what may be done."""

    def __init__(self, model: Model, task: Array, shaped: Array, start: Array, allowed: Mask) -> None:
        self.model, self.start, self.allowed = model, start, allowed
        self.tables = task, shaped
        self.task, self.shaped = model.expected(task), model.expected(shaped)
        costs = np.where(allowed[:, :, None], _costs(model.P), np.inf)
        costs[model.terminal] = np.inf
        self.fastest = costs.argmin(axis=1)
        self.graph = _graph(costs.min(axis=1))
        reached = np.isfinite(dijkstra(self.graph, indices=np.flatnonzero(start > 0), min_only=True))
        self.live, self.ends = reached & ~model.terminal, bool(reached[model.terminal].any())

    def discounted(self) -> Exploit | None:
        """With gamma < 1."""
        model = self.model
        q_task = self._q(self.task)
        optimal = self.allowed & (
            q_task >= _best(q_task)[:, None] - _TOLERANCE * (1e-300 + np.abs(q_task).max())
        )
        solution = model.best_q(self.shaped, optimal)
        solution = np.where(optimal, solution, -np.inf).max(axis=1)
        q_shaped = self._q(self.shaped)
        lure = float(self.start @ (_best(q_shaped) - solution))
        noise = _TOLERANCE * (np.abs(self.shaped).max() + np.abs(solution).max())
        gain = model.advantage(self.shaped, solution)
        if (policy := self._best_loop(gain)) is not None and policy.mean(gain) > noise:
            first, lead, turn = self._shown(policy)
            value = [policy.value(reward, model.gamma)[first] for reward in (self.shaped, self.task)]
            return Exploit(
                lead,
                turn,
                tuple(policy.states.tolist()),
                policy.mean(gain),
                Worth(value[0], float(solution[first])),
                Worth(value[1], float(_best(q_task)[first])),
                max(lure, 0.0),
            )
        if lure <= noise:
            return None
        actions = q_shaped.argmax(axis=1)
        lead = self._trace(actions)
        values = [
            float(self.start @ model.value(reward, np.eye(model.pairs[1])[actions]))
            for reward in (self.shaped, self.task)
        ]
        return Exploit(
            lead,
            (),
            (),
            lure,
            Worth(values[0], float(self.start @ solution)),
            Worth(values[1], float(self.start @ _best(q_task))),
            lure,
        )

    def averaged(self) -> Exploit | None:
        """With gamma = 1: averages a step."""
        noise = _TOLERANCE * (np.abs(self.shaped).max() + np.abs(self.task).max())
        found = self._best_loop(self.shaped)
        if found is None:
            return None
        best_task = self._best_loop(self.task)
        solution = best_task.mean(self.task) if best_task else 0.0
        if self.ends and solution <= noise:
            solution = baseline = 0.0
        else:
            among = self._best_loop(self.shaped, at_least=(self.task, solution - noise))
            baseline = among.mean(self.shaped) if among else solution
        gain = found.mean(self.shaped) - baseline
        if gain <= noise:
            return None
        _, lead, turn = self._shown(found)
        return Exploit(
            lead,
            turn,
            tuple(found.states.tolist()),
            gain,
            Worth(found.mean(self.shaped), baseline),
            Worth(found.mean(self.task), solution),
            float("nan"),
        )

    def _q(self, reward: Array) -> Array:
        """Q*, with -inf for what may not be done."""
        return np.where(self.allowed, self.model.best_q(reward, self.allowed), -np.inf)

    def _best_loop(self, gain: Array, at_least: tuple[Array, float] | None = None) -> _Loop | None:
        """The recurrent class of the highest mean gain that can be reached; None if every episode ends."""
        s, a = np.nonzero(self.allowed & self.live[:, None])
        if not s.size:
            return None
        flow = csr_matrix(self.model.P[s, a]).T
        leave = csr_matrix((np.ones(s.size), (s, np.arange(s.size))), shape=flow.shape)
        balance = vstack([leave - flow, csr_matrix(np.ones((1, s.size)))])
        right = np.append(np.zeros(len(self.model.P)), 1.0)
        bound = {} if at_least is None else {"A_ub": -at_least[0][s, a][None], "b_ub": [-at_least[1]]}
        scale = max(float(np.abs(gain[s, a]).max()), 1e-300)
        result = linprog(-gain[s, a] / scale, A_eq=balance, b_eq=right, method="highs", **bound)
        if result.x is None:
            return None
        often = np.zeros(self.model.pairs)
        often[s, a] = result.x
        return _Loop.within(self.model.P, often, gain)

    def _shown(self, loop: _Loop) -> tuple[int, tuple[Move, ...], tuple[Move, ...]]:
        """The first state of the loop, the way there, and one turn."""
        first, lead = self._way(np.flatnonzero(self.start > 0), loop.states, self.graph, self.fastest)
        count = len(self.model.P)
        cost, taken = np.full((count, count), np.inf), np.zeros((count, count), np.int64)
        cost[loop.states] = _costs(self.model.P[loop.states, loop.actions])
        taken[loop.states] = loop.actions[:, None]
        within = _graph(cost)
        back = dijkstra(within.T, indices=first)
        after = int(np.argmin(cost[first] + back))
        _, rest = self._way(np.array([after]), np.array([first]), within, taken)
        return first, lead, (self._move(first, int(taken[first, 0]), after), *rest)

    def _way(
        self, begin: NDArray[np.int64], goals: NDArray[np.int64], graph: csr_matrix, taken: NDArray[np.int64]
    ) -> tuple[int, tuple[Move, ...]]:
        """The goal that is nearest, and the shortest likely way there."""
        far, before, _ = dijkstra(graph, indices=begin, min_only=True, return_predecessors=True)
        state = goal = int(goals[np.argmin(far[goals])])
        moves: list[Move] = []
        while before[state] >= 0:
            previous = int(before[state])
            moves.append(self._move(previous, int(taken[previous, state]), state))
            state = previous
        return goal, tuple(reversed(moves))

    def _trace(self, actions: NDArray[np.int64]) -> tuple[Move, ...]:
        """The likeliest episode of a policy, up to its end or the first state that comes again."""
        state, seen = int(self.start.argmax()), set()
        moves: list[Move] = []
        while not self.model.terminal[state] and state not in seen:
            seen.add(state)
            after = int(self.model.P[state, actions[state]].argmax())
            moves.append(self._move(state, int(actions[state]), after))
            state = after
        return tuple(moves)

    def _move(self, s: int, a: int, after: int) -> Move:
        task, shaped = self.tables
        return Move(s, a, after, *(float(table[s, a, after]) for table in (self.model.P, shaped, task)))


@dataclass(frozen=True, eq=False)
class _Loop:
    """A recurrent class of a deterministic policy.

    Attributes:
        states: (n,).
        actions: (n,), taken there.
        inner: (n, n), transitions among them.
        often: (n,), the stationary distribution.
    """

    states: NDArray[np.int64]
    actions: NDArray[np.int64]
    inner: Array
    often: Array

    @classmethod
    def within(cls, P: Array, frequencies: Array, gain: Array) -> _Loop | None:
        """The best recurrent class among the states of a solution's support (S, A)."""
        support = np.flatnonzero(frequencies.sum(axis=1) > 1e-12)
        policy = frequencies.argmax(axis=1)
        best: _Loop | None = None
        for states in _closed_classes(P[support, policy[support]][:, support], support):
            inner = P[states, policy[states]][:, states]
            system = np.vstack([inner.T - np.eye(len(states)), np.ones(len(states))])
            often = np.linalg.lstsq(system, np.append(np.zeros(len(states)), 1.0), rcond=None)[0]
            loop = cls(states, policy[states], inner, often)
            if best is None or loop.mean(gain) > best.mean(gain):
                best = loop
        return best

    def mean(self, reward: Array) -> float:
        """The long-run average of a reward (S, A)."""
        return float(self.often @ reward[self.states, self.actions])

    def value(self, reward: Array, gamma: float) -> dict[int, float]:
        """State -> discounted value of going round for ever."""
        values = np.linalg.solve(
            np.eye(len(self.states)) - gamma * self.inner, reward[self.states, self.actions]
        )
        return dict(zip(self.states.tolist(), values.tolist(), strict=True))


def _closed_classes(inner: Array, names: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The classes of states that are not left once entered, by name."""
    whole = np.isclose(inner.sum(axis=1), 1.0)
    count, label = connected_components(csr_matrix(inner > 0), directed=True, connection="strong")
    classes = [np.flatnonzero(label == each) for each in range(count)]
    return [
        names[states]
        for states in classes
        if whole[states].all() and np.allclose(inner[np.ix_(states, states)].sum(axis=1), 1.0)
    ]


def _best(q: Array) -> Array:
    return q.max(axis=1)


def _costs(probability: Array) -> Array:
    """What a way pays for a transition; infinite where there is none."""
    return np.where(probability > 0, _STEP - np.log(np.maximum(probability, 1e-300)), np.inf)


def _graph(costs: Array) -> csr_matrix:
    """The finite entries of (S, S)."""
    s, after = np.nonzero(np.isfinite(costs))
    return csr_matrix((costs[s, after], (s, after)), shape=costs.shape)
