"""A reward as a table: what an expression pays for every transition of a finite task, computed by the engine itself.

With the table, what is otherwise measured on samples is exact: distances between rewards, policies that the reward asks for, loops.
Only expressions whose value depends on the transition alone have one. A weight that moves, a count or a gate remembers more.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from shapegym.agents.errors import TabulationError
from shapegym.agents.finite.model import first_action, model_of
from shapegym.envs.finite_task import FiniteTask
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.promises import Replay
from shapegym.shaping.transitions import Episodes, Spec, Transitions
from shapegym.shaping.tree import part_names, terms_of
from shapegym.shaping.types import Expression, is_episodic

Array = NDArray[np.float64]

_ROWS = 1 << 14
"""Transitions that are paid at a time; their observations are what takes room."""

_OF_THE_STEP = ("event", "success")
"""Features that tell of the step and not of the state that it led to."""

_BEYOND_THE_STATE = {"previous_action", "truncated", "ended"}
"""What a selector reads of a step and no table holds: the step before, and the clock."""


@dataclass(frozen=True, eq=False)
class Tables:
    """A finite task and what an expression pays in it.

    Rewards are expectations over the branches that lead from s by a to s', and 0 where none does and from terminal states. The
    time limit is in no table: a truncation ends an episode in an ordinary state, so a transition pays the same with and without it.
    A deadline terminates, which potentials see; what is paid then is in `branch_parts_at_deadline` only.

    Attributes:
        finite: the task as branches; its `captions` say what events are.
        gamma: the discount that potentials were bound with.
        branch_shaped: (S, A, K), what each branch pays.
        branch_parts: addend -> (S, A, K); they add up to `branch_shaped`.
        branch_parts_at_deadline: the same for the last step before a deadline; `branch_parts` if there is none.
        action_names: what actions are called; empty where they have no names.
        notes: what was taken for granted about the task, in words.
    """

    finite: FiniteTask
    gamma: float
    branch_shaped: Array
    branch_parts: dict[str, Array]
    branch_parts_at_deadline: dict[str, Array]
    action_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def terminal(self) -> NDArray[np.bool_]:
        """(S,) bool."""
        return self.finite.terminal

    @property
    def start(self) -> Array:
        """(S,), the distribution of s_0."""
        return self.finite.start

    @property
    def max_steps(self) -> int:
        """Steps after which an episode is truncated."""
        return self.finite.max_steps

    @cached_property
    def P(self) -> Array:
        """How probable each successor is, (S, A, S)."""
        return self._table(np.ones_like(self.branch_shaped), conditional=False)

    @cached_property
    def task(self) -> Array:
        """(S, A, S), the task reward."""
        return self._table(self.finite.reward)

    @cached_property
    def shaped(self) -> Array:
        """(S, A, S), what the expression pays."""
        return self._table(self.branch_shaped)

    @cached_property
    def parts(self) -> dict[str, Array]:
        """Addend -> (S, A, S), what it pays."""
        return {name: self._table(part) for name, part in self.branch_parts.items()}

    def _table(self, branches: Array, *, conditional: bool = True) -> Array:
        """Sum_k p_k x_k over the branches k that lead to s', divided by their probability if ``conditional``."""
        finite = self.finite
        shape = (finite.n_states, finite.n_actions, finite.n_states)
        s, a, _ = np.indices(finite.next_state.shape)
        total = np.zeros(shape)
        np.add.at(total, (s, a, finite.next_state), finite.probability * branches)
        return np.divide(total, self.P, out=np.zeros(shape), where=self.P > 0) if conditional else total


def tabulate(env: str | gym.Env, expression: Expression, gamma: float, *, states: int = 1000) -> Tables:
    """Return the tables of ``expression`` on a finite task.

    Args:
        env: an environment that is a finite task, or its id: one of shapegym.envs, one that carries its model (``unwrapped.P``, as
            FrozenLake, Taxi and CliffWalking do), one whose tables were registered (`register_tables`), or one without chance that
            a search sees all of: by snapshots, or by ``copy.deepcopy``.
        expression: elementwise, of terms that are pure in the transition.
        gamma: the agent's discount, in [0, 1].
        states: that are searched at most; 0 searches none.

    Raises:
        TabulationError: if the environment is no finite task, or what a term pays does not follow from s, a and s'; it is named.
        ShapingError: if the expression cannot be bound to the task.
    """
    require_tabular(expression)
    model = model_of(env, states)
    task, seen = model.task, model.seen
    spec = Spec(1, model.observation_space, model.action_space, model.features, gamma)
    parts = _branch_parts(task, seen, expression, spec, last=False)
    at_deadline = _branch_parts(task, seen, expression, spec, last=True) if task.deadline else parts
    total = np.zeros(task.next_state.shape)
    for part in parts.values():
        total += part
    return Tables(task, gamma, total, parts, at_deadline, model.action_names, model.notes)


def _branch_parts(
    task: FiniteTask, seen: NDArray[Any], expression: Expression, spec: Spec, *, last: bool
) -> dict[str, Array]:
    """What each branch pays, by addend; ``last``: if the episode terminates with it, wherever it leads."""
    before = _features_before(task, expression)
    after = {"state": np.arange(task.n_states), **task.features}
    branches = np.nonzero((task.probability > 0) & ~task.terminal[:, None, None])
    s, a, _ = branches
    s_next = task.next_state[branches]
    contributions = np.empty((0, 0))
    names: tuple[str, ...] = ()
    for begin in range(0, len(s), _ROWS):
        rows = slice(begin, begin + _ROWS)
        of_step = {name: getattr(task, name)[branches][rows] for name in _OF_THE_STEP}
        transitions = plain_transitions(
            obs=seen[s[rows]],
            action=a[rows] + first_action(spec.action_space),
            next_obs=seen[s_next[rows]],
            reward=task.reward[branches][rows],
            terminated=task.terminal[s_next[rows]] | last,
            features={name: table[s[rows]] for name, table in before.items()},
            next_features={**{name: table[s_next[rows]] for name, table in after.items()}, **of_step},
        )
        names, paid = pay_all(expression, spec, transitions)
        if not begin:
            contributions = np.empty((len(names), len(s)))
        contributions[:, rows] = paid
    parts = {}
    for name, paid in zip(names, contributions, strict=True):
        parts[name] = np.zeros(task.next_state.shape)
        parts[name][branches] = paid
    return parts


def require_tabular(expression: Expression) -> None:
    """Check that what the expression pays depends on the transition alone.

    Raises:
        TabulationError: if a term or node remembers more; it is named.
    """
    terms = terms_of(expression)
    for term, name in zip(terms, part_names(terms), strict=True):
        if (replay := Replay(term.replay)) is not Replay.RECOMPUTE:
            why = (
                "changes while the run goes on"
                if replay is Replay.FROZEN
                else "depends on what happened before"
            )
            raise TabulationError(
                f"What {name!r} ({type(term).__name__}) pays {why}, not on s, a and s' alone: it has no table. Leave it out, or "
                "audit rollouts."
            )
        if beyond := _BEYOND_THE_STATE.intersection(stem.partition(".")[0] for stem in term.of_step):
            raise TabulationError(
                f"What {name!r} ({type(term).__name__}) pays depends on {min(beyond)!r}, which does not follow from s, a and s': "
                "it has no table. Leave it out, or audit rollouts."
            )
    if is_episodic(expression):
        raise TabulationError(
            f"{expression} pays for whole episodes (a gate or look-ahead), not for s, a and s' alone: it has no table. Tabulate "
            "what is inside, or audit rollouts."
        )


def plain_transitions(**rows: Any) -> Transitions:
    """Return transitions of N rows that all are first steps and go on: what a term that is pure in them may not look at."""
    count = len(rows["reward"])
    yes, no = np.ones(count, np.bool_), np.zeros(count, np.bool_)
    return Transitions(**rows, truncated=no, first=yes, active=yes)


def pay_all(expression: Expression, spec: Spec, transitions: Transitions) -> tuple[tuple[str, ...], Array]:
    """Return the names of the addends and what they pay (K, N) for N transitions that have nothing to do with each other."""
    lanes = transitions.num_lanes
    engine = RewardEngine(
        expression,
        Spec(lanes, spec.observation_space, spec.action_space, spec.features, spec.gamma, spec.seed),
    )
    parts = engine.measure(transitions)[:, None]
    flags = (transitions.first, transitions.terminated, transitions.truncated, transitions.active)
    block = Episodes(*(flag[None] for flag in flags))
    number = engine.program.num_paid  # behind them stands what is only logged
    paid = [
        np.broadcast_to(value, (1, lanes))[0] for value in engine.combine(parts, block, fresh=True)[:number]
    ]
    return tuple(engine.addends[:number]), np.array(paid).reshape(number, lanes)


def _features_before(task: FiniteTask, expression: Expression) -> dict[str, NDArray[Any]]:
    """Features of s_t by state; of the step that led to s_t only what the state tells.

    Raises:
        TabulationError: if a term reads such a feature and the same state is entered with several values of it.
    """
    tables: dict[str, NDArray[Any]] = {"state": np.arange(task.n_states), **task.features}
    read = {name: term for term in terms_of(expression) for name in term.reads_before}
    entered = np.nonzero((task.probability > 0) & ~task.terminal[:, None, None])
    states = np.append(task.next_state[entered], np.flatnonzero(task.start))
    for name in _OF_THE_STEP:
        values = np.append(getattr(task, name)[entered], np.zeros((task.start > 0).sum(), np.int64))
        low, high = np.full(task.n_states, len(task.captions) + 1), np.full(task.n_states, -1)
        np.minimum.at(low, states, values)
        np.maximum.at(high, states, values)
        if name in read and (ambiguous := np.flatnonzero((low < high) & ~task.terminal)).size:
            raise TabulationError(
                f"{read[name]} reads the feature {name!r} before the step, but that does not follow from the state: state "
                f"{ambiguous[0]} is entered with different ones. So the term has no table."
            )
        tables[name] = np.maximum(high, 0).astype(getattr(task, name).dtype)
    return tables
