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

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import csr_matrix, vstack
from scipy.sparse.csgraph import connected_components, dijkstra

from shapegym.shaping.audit.arguments import FLAGS, Array, Given, Mask, table
from shapegym.shaping.audit.mdp import MDP
from shapegym.shaping.errors import AuditError

Indices = NDArray[np.int64]
Ways = tuple[csr_matrix, Indices]
"""What each transition costs, and the action that it takes, (S, S) each."""

_TOLERANCE = 1e-9
"""Share of the largest value below which a gain is rounding error."""

_SOLVER = 1e-6
"""The same for the values of linear programs, which are solved to 1e-7."""

_STEP = 1e-3
"""What a step costs beside -log of its probability: ways are the likeliest, and the shortest of these."""


@dataclass(frozen=True)
class Move:
    """A step of an exploit: s, a, s', P(s' | s, a), and what the two rewards pay for it."""

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
class FoundExploit:
    """Behaviour that the shaped reward prefers to every solution of the task.

    Attributes:
        lead: the likeliest way from the start to the loop; all of the behaviour if there is none.
        turn: once around the loop, by its likeliest outcomes; empty if the behaviour ends.
        policy: state -> action of the loop; outcomes may lead through more states than one turn does.
        gain: mean of g over the steps of the loop; without a loop, of the whole behaviour, discounted from its start.
        shaped: what it is worth in shaped reward, from the first state of the loop.
        task: the same in task reward.
        lure: what the best policy for the shaped reward gets beyond every solution of the task, discounted, from the start; 0 if
            the loop does not repay the way there. NaN without a discount.
    """

    lead: tuple[Move, ...]
    turn: tuple[Move, ...]
    policy: dict[int, int]
    gain: float
    shaped: Worth
    task: Worth
    lure: float

    @property
    def loops(self) -> bool:
        """Whether it goes on for ever."""
        return bool(self.turn)


def find_exploit(
    P: Given,
    task: Given,
    shaped: Given,
    gamma: float,
    *,
    terminal: Given | None = None,
    start: Given,
    allowed: Given | None = None,
) -> FoundExploit | None:
    """Return an exploit, or None if there is none: a loop if there are any, else behaviour that ends.

    The loop is the one that the best policy for the shaped reward runs into from the start, else that of the highest gain in the
    task. That is the solution of a linear program over stationary frequencies x(s, a) (Puterman 1994, section 9.3): maximise
    sum x g subject to inflow = outflow in every state; where outcomes are certain, that is the cycle of maximum mean gain (Karp
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
    mdp = MDP.of(P, gamma, terminal)
    choices = FLAGS._replace(words="bool with an action in every state", holds=lambda rows: rows.any(axis=1))
    actions = (
        np.ones(mdp.pairs, np.bool_) if allowed is None else table("allowed", allowed, choices, mdp.pairs)
    )
    search = _Search(mdp, mdp.table(task), mdp.table(shaped), mdp.start(start), actions)
    return search.discounted() if gamma < 1 else search.averaged()


class _Search:
    """One search: the task, both rewards as tables, where episodes start, and what may be done."""

    def __init__(self, mdp: MDP, task: Array, shaped: Array, start: Array, allowed: Mask) -> None:
        self.mdp, self.start, self.allowed, self.tables = mdp, start, allowed, (task, shaped)
        self.task, self.shaped = mdp.expected(task), mdp.expected(shaped)
        self.ways = self._ways(allowed)
        reached = self._reached(self.ways)
        self.live, self.ends = reached & ~mdp.terminal, bool(reached[mdp.terminal].any())
        self.staying = self._staying()

    def discounted(self) -> FoundExploit | None:
        """With gamma < 1."""
        mdp, start = self.mdp, self.start
        q_task, q_shaped = (self._q(reward, self.allowed) for reward in (self.task, self.shaped))
        solved = q_task.max(axis=1)
        optimal = self.allowed & (q_task >= solved[:, None] - _TOLERANCE * (1e-300 + _size(q_task)))
        solution = self._q(self.shaped, optimal).max(axis=1)
        lure = float(start @ (q_shaped.max(axis=1) - solution))
        noise = _TOLERANCE * (_size(self.shaped) + _size(solution))
        gain = mdp.advantage(self.shaped, solution)
        policy = q_shaped.argmax(axis=1)
        followed = ways = self._ways(np.arange(mdp.pairs[1]) == policy[:, None])
        loops = _Loop.classes(mdp.P, np.flatnonzero(self._reached(ways) & self.live), policy)
        loop = max(loops, key=lambda each: each.mean(gain), default=None)
        if loop is None or loop.mean(gain) <= noise:  # the best behaviour runs into none: look for any
            ways, loop = self.ways, self._best_loop(gain)
        both = (self.shaped, solution), (self.task, solved)
        if loop is not None and loop.mean(gain) > noise:
            first, lead, turn = self._shown(loop, ways)
            paid, got = (Worth(loop.value(r, mdp.gamma)[first], float(best[first])) for r, best in both)
            return FoundExploit(lead, turn, loop.policy, loop.mean(gain), paid, got, max(lure, 0.0))
        if lure <= noise:
            return None
        rows = np.eye(mdp.pairs[1])[policy]
        paid, got = (Worth(float(start @ mdp.value(r, rows)), float(start @ best)) for r, best in both)
        return FoundExploit(self._episode(followed), (), {}, lure, paid, got, lure)

    def averaged(self) -> FoundExploit | None:
        """With gamma = 1: averages a step."""
        noise = _SOLVER * (_size(self.shaped) + _size(self.task))
        found = self._best_loop(self.shaped)
        if found is None:
            return None
        best_task = self._best_loop(self.task)
        solution = best_task.mean(self.task) if best_task else 0.0
        if self.ends and solution <= noise:
            solution = baseline = 0.0
        else:
            among = self._frequencies(self.shaped, at_least=(self.task, solution - noise))
            baseline = float((among[0] * self.shaped).sum()) if among else 0.0
        gain = found.mean(self.shaped) - baseline
        if gain <= noise:
            return None
        _, lead, turn = self._shown(found, self.ways)
        worth = Worth(found.mean(self.shaped), baseline), Worth(found.mean(self.task), solution)
        return FoundExploit(lead, turn, found.policy, gain, *worth, float("nan"))

    def _ways(self, allowed: Mask) -> Ways:
        """By allowed actions."""
        costs = _STEP - np.log(np.maximum(self.mdp.P, 1e-300))
        costs[~(allowed[:, :, None] & self.mdp.possible)] = np.inf
        cost = costs.min(axis=1)
        s, after = np.nonzero(np.isfinite(cost))
        return csr_matrix((cost[s, after], (s, after)), shape=cost.shape), costs.argmin(axis=1)

    def _reached(self, ways: Ways) -> Mask:
        """The states to which ways from the start lead, (S,)."""
        return np.isfinite(dijkstra(ways[0], indices=np.flatnonzero(self.start > 0), min_only=True))

    def _staying(self) -> Mask:
        """(S, A): what may be done for ever, the actions of the maximal end components (de Alfaro 1997, section 3.3)."""
        staying, linked = self.allowed & self.live[:, None], self.mdp.P > 0
        while True:
            ways = (linked & staying[:, :, None]).any(axis=1)
            label = connected_components(csr_matrix(ways), directed=True, connection="strong")[1]
            leaves = (linked & (label != label[:, None])[:, None, :]).any(axis=2)
            if not (staying & leaves).any():
                return staying
            staying = staying & ~leaves

    def _q(self, reward: Array, allowed: Mask) -> Array:
        """Q*, with -inf for what may not be done."""
        return np.where(allowed, self.mdp.best_q(reward, allowed), -np.inf)

    def _best_loop(self, gain: Array) -> _Loop | None:
        """The loop of the highest mean gain that can be reached; None if every episode ends."""
        solved = self._frequencies(gain)
        if solved is None:
            return None
        often, price = solved
        # Where a state is too rare for digits, the action that costs nothing keeps the loop as good as it is.
        policy = np.where(self.staying, often - price, -np.inf).argmax(axis=1)
        loops = _Loop.classes(self.mdp.P, np.flatnonzero(self.staying.any(axis=1)), policy)
        return max(loops, key=lambda loop: loop.mean(gain), default=None)

    def _frequencies(
        self, gain: Array, at_least: tuple[Array, float] | None = None
    ) -> tuple[Array, Array] | None:
        """The stationary x(s, a) of the highest mean gain, and what less of it a use of each (s, a) would leave, (S, A) each.

        ``at_least`` bounds the mean of another reward. None without loops.
        """
        s, a = np.nonzero(self.staying)
        if not s.size:
            return None
        flow = csr_matrix(self.mdp.P[s, a]).T
        leave = csr_matrix((np.ones(s.size), (s, np.arange(s.size))), shape=flow.shape)
        balance = vstack([leave - flow, csr_matrix(np.ones((1, s.size)))])
        right = np.append(np.zeros(len(self.mdp.P)), 1.0)
        bound = {} if at_least is None else {"A_ub": -at_least[0][s, a][None], "b_ub": [-at_least[1]]}
        scale = max(_size(gain[s, a]), 1e-300)
        for presolve in (True, False):  # presolving may take very rare states for a contradiction
            options = {"presolve": presolve}
            result = linprog(-gain[s, a] / scale, A_eq=balance, b_eq=right, options=options, **bound)
            if result.x is not None:
                break
        else:
            raise AuditError(
                f"The loops of this task could not be compared: its probabilities span too many orders of magnitude for the "
                f"linear program ({result.message}). Make the rarest of them larger, or 0."
            )
        found = np.zeros((2, *self.mdp.pairs))
        found[:, s, a] = result.x, result.lower.marginals
        return found[0], found[1]

    def _shown(self, loop: _Loop, ways: Ways) -> tuple[int, tuple[Move, ...], tuple[Move, ...]]:
        """The first state of the loop, the way there, and one turn."""
        first, lead = self._way(np.flatnonzero(self.start > 0), loop.states, ways)
        chosen = np.zeros(self.mdp.pairs, np.bool_)
        chosen[loop.states, loop.actions] = True
        graph, taken = self._ways(chosen)
        step, back = graph[first], dijkstra(graph.T, indices=first)
        after = int(step.indices[np.argmin(step.data + back[step.indices])])
        _, rest = self._way(np.array([after]), np.array([first]), (graph, taken))
        return first, lead, (self._move(first, int(taken[first, after]), after), *rest)

    def _way(self, begin: Indices, goals: Indices, ways: Ways) -> tuple[int, tuple[Move, ...]]:
        """The goal that is nearest, and the shortest likely way there."""
        graph, taken = ways
        far, before, _ = dijkstra(graph, indices=begin, min_only=True, return_predecessors=True)
        state = goal = int(goals[np.argmin(far[goals])])
        moves: list[Move] = []
        while before[state] >= 0:
            previous = int(before[state])
            moves.append(self._move(previous, int(taken[previous, state]), state))
            state = previous
        return goal, tuple(reversed(moves))

    def _episode(self, ways: Ways) -> tuple[Move, ...]:
        """The likeliest way of a policy from the start to an end; where it has none, up to the first state that comes again."""
        state = int(self.start.argmax())
        _, moves = self._way(np.array([state]), np.flatnonzero(self.mdp.terminal), ways)
        if moves:
            return moves
        graph, taken = ways
        seen: set[int] = set()
        trace: list[Move] = []
        while not self.mdp.terminal[state] and state not in seen:
            seen.add(state)
            after = int(graph[state].indices[graph[state].data.argmin()])
            trace.append(self._move(state, int(taken[state, after]), after))
            state = after
        return tuple(trace)

    def _move(self, s: int, a: int, after: int) -> Move:
        task, shaped = self.tables
        return Move(s, a, after, *(float(table[s, a, after]) for table in (self.mdp.P, shaped, task)))


@dataclass(frozen=True, eq=False)
class _Loop:
    """A recurrent class of a deterministic policy: n states, actions, (n, n) transitions, (n,) stationary distribution."""

    states: Indices
    actions: Indices
    inner: Array
    often: Array

    @classmethod
    def classes(cls, P: Array, states: Indices, policy: Indices) -> list[_Loop]:
        """The loops of a policy (S,) among some states."""
        inner = P[states, policy[states]][:, states]
        count, label = connected_components(csr_matrix(inner > 0), directed=True, connection="strong")
        found = []
        for members in (np.flatnonzero(label == each) for each in range(count)):
            moves = inner[np.ix_(members, members)]
            if np.allclose(moves.sum(axis=1), 1.0):  # it is not left
                system = np.vstack([moves.T - np.eye(len(members)), np.ones(len(members))])
                often = np.linalg.lstsq(system, np.append(np.zeros(len(members)), 1.0), rcond=None)[0]
                found.append(cls(states[members], policy[states[members]], moves, often))
        return found

    @property
    def policy(self) -> dict[int, int]:
        """State -> action."""
        return dict(zip(self.states.tolist(), self.actions.tolist(), strict=True))

    def mean(self, reward: Array) -> float:
        """The long-run average of a reward (S, A)."""
        return float(self.often @ reward[self.states, self.actions])

    def value(self, reward: Array, gamma: float) -> dict[int, float]:
        """State -> discounted value of going round for ever."""
        system = np.eye(len(self.states)) - gamma * self.inner
        values = np.linalg.solve(system, reward[self.states, self.actions])
        return dict(zip(self.states.tolist(), values.tolist(), strict=True))


def _size(values: Array) -> float:
    """The largest finite magnitude."""
    return float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
