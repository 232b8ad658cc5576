"""The part of a task that can be seen from its start: a finite model of it, by taking every action in every state that turns up.

Where a task is no table, snapshots or copies still allow to try each action in the same state. States are told apart by what the
task keeps, without clocks and random streams; so an action's outcome is the one that was drawn, and a task of chance is known by
samples.
Leaving out what was not seen keeps what theorems say: a potential is a potential in every part of a task.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from shapegym.agents.errors import TabulationError
from shapegym.agents.finite.marks import Marks, marks_of
from shapegym.agents.finite.search import Searched, search
from shapegym.agents.finite.tabulate import pay_all, plain_transitions, require_tabular
from shapegym.shaping.arrays import stack_members
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.limits import Count, checked
from shapegym.shaping.transitions import Spec
from shapegym.shaping.tree import terms_of
from shapegym.shaping.types import Expression

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Explored:
    """A finite model of what was seen.

    Attributes:
        P: (S, A, S), one successor each; an action that leads out of what was seen stays and is not allowed.
        task: (S, A, S), the task reward.
        shaped: (S, A, S), what the expression pays.
        terminal: (S,) bool.
        start: (S,).
        allowed: (S, A) bool.
        events: (S, A) int64, index into captions.
        captions: texts of the events.
        features: of each state, as its info told them.
        action_names: what actions are called; empty where they have no names.
        columns_first: positions are (x, y) and not (row, column).
        flaw: why this is not the whole task, in words; empty if it is.
        drawn: actions draw random numbers: of each, one outcome is known.
    """

    P: Array
    task: Array
    shaped: Array
    terminal: Mask
    start: Array
    allowed: Mask
    events: NDArray[np.int64]
    captions: tuple[str, ...]
    features: Sequence[Mapping[str, Any]]
    action_names: tuple[str, ...]
    columns_first: bool
    flaw: str
    drawn: bool

    @property
    def complete(self) -> bool:
        """Whether it is the whole task."""
        return not self.flaw


def explore(
    env: gym.Env, expression: Expression, gamma: float, *, states: int = 500, seed: int = 0
) -> Explored:
    """Return the model of the first states that a breadth-first search from one start state meets.

    Args:
        env: with discrete actions; it has snapshots, as all of shapegym.envs do, or ``copy.deepcopy`` copies it.
        expression: elementwise, of terms that are pure in the transition.
        gamma: the agent's discount.
        states: how many to take every action in.
        seed: of the episode whose start is taken.

    Raises:
        TabulationError: if the environment cannot be searched, or what a term pays does not follow from s, a and s'.
        ShapingError: if the expression cannot be bound to the environment.
    """
    checked("states", Count, states, TabulationError)
    require_tabular(expression)
    for term in terms_of(expression):
        if told := {"event", "success"}.intersection(term.reads_before):
            raise TabulationError(
                f"{term} reads the feature {min(told)!r} before the step, which does not follow from the state."
            )
    names = {name for term in terms_of(expression) for name in (*term.reads, *term.reads_before)}
    features = env.get_wrapper_attr("features") if env.has_wrapper_attr("features") else None
    spec = Spec(1, env.observation_space, env.action_space, features, gamma, seed)
    RewardEngine(expression, spec)  # what does not fit is said before the search
    marks = marks_of(env)
    found = search(marks, states, seed)
    return _model(marks, found, _paid(expression, spec, found, names))


def _paid(expression: Expression, spec: Spec, found: Searched, names: set[str]) -> Array:
    """What the expression pays for each edge, (N,)."""
    seen, edges = found.seen, found.edges
    known = [name for name in sorted(names) if name in seen[0][1]]
    transitions = plain_transitions(
        obs=stack_members(spec.observation_space, [seen[edge.source][0] for edge in edges]),
        next_obs=stack_members(spec.observation_space, [seen[edge.target][0] for edge in edges]),
        action=np.array([edge.action for edge in edges], np.int64),
        reward=np.array([edge.reward for edge in edges]),
        terminated=np.array([edge.terminated for edge in edges]),
        features={name: np.array([seen[edge.source][1][name] for edge in edges]) for name in known},
        next_features={name: np.array([edge.info[name] for edge in edges]) for name in known},
    )
    return np.asarray(pay_all(expression, spec, transitions)[1].sum(axis=0))


def _model(marks: Marks, found: Searched, paid: Array) -> Explored:
    """Keep the states in which every way leads to states that are kept, or to an end."""
    seen, edges = found.seen, found.edges
    source, action, target, ends = (
        np.array(column)
        for column in zip(
            *((e.source, e.action - marks.actions[0], e.target, e.terminated) for e in edges), strict=True
        )
    )
    terminal = np.zeros(len(seen), np.bool_)
    terminal[target[ends]] = True
    kept = terminal.copy()
    kept[source] = True
    while True:
        alive = terminal.copy()
        alive[source[kept[target]]] = True
        if (alive & kept == kept).all():
            break
        kept &= alive
    if not kept[0]:
        raise TabulationError(
            f"No way was found to go on, and no end ({found.flaw or 'all of it was seen'}): search more states."
        )
    names = np.flatnonzero(kept)
    index = np.cumsum(kept) - 1
    shape = (len(names), len(marks.actions), len(names))
    inside = kept[source] & kept[target]
    s, a, after = index[source[inside]], action[inside], index[target[inside]]
    allowed = np.zeros(shape[:2], np.bool_)
    allowed[s, a] = True
    P, task, shaped = (np.zeros(shape) for _ in range(3))
    P[s, a, after] = 1.0
    task[s, a, after] = np.array([edge.reward for edge in edges])[inside]
    shaped[s, a, after] = paid[inside]
    off = np.nonzero(~allowed)
    P[(*off, off[0])] = 1.0
    allowed[terminal[names]] = True
    events = np.zeros(shape[:2], np.int64)
    events[s, a] = np.array([int(edge.info.get("event", 0)) for edge in edges])[inside]
    return Explored(
        P,
        task,
        shaped,
        terminal[names],
        np.eye(len(names))[0],
        allowed,
        events,
        marks.captions,
        [seen[state][1] for state in names.tolist()],
        marks.action_names,
        marks.columns_first,
        found.flaw or ("" if kept.all() else "from some states no way was found to go on"),
        found.drawn,
    )
