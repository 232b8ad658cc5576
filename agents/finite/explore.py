"""The part of a task that can be seen from its start: a finite model of it, by taking every action in every state that turns up.

Where a task is no table, snapshots still allow to try each action in the same state. States are told apart by what the task keeps,
without clocks and random streams; so an action's outcome is the one that was drawn, and a task of chance is known by samples.
Leaving out what was not seen keeps what theorems say: a potential is a potential in every part of a task.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from shapegym.agents.errors import TabulationError
from shapegym.agents.finite.tabulate import pay_all, plain_transitions, require_tabular
from shapegym.envs.native import NativeEnv
from shapegym.envs.snapshot import Snapshot
from shapegym.shaping.arrays import stack_members
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
        complete: nothing was left out, and nothing was drawn.
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
    complete: bool
    drawn: bool


@dataclass(slots=True)
class _Edge:
    """What an action led to."""

    source: int
    action: int
    target: int
    reward: float
    terminated: bool
    info: Mapping[str, Any]


def explore(
    env: gym.Env, expression: Expression, gamma: float, *, states: int = 500, seed: int = 0
) -> Explored:
    """Return the model of the first states that a breadth-first search from one start state meets.

    Args:
        env: with discrete actions and snapshots, as all of shapegym.envs have.
        expression: elementwise, of terms that are pure in the transition.
        gamma: the agent's discount.
        states: how many to take every action in.
        seed: of the episode whose start is taken.

    Raises:
        TabulationError: if the environment cannot be searched, or what a term pays does not follow from s, a and s'.
        ShapingError: if the expression cannot be bound to the environment.
    """
    native = env.unwrapped
    if not isinstance(native, NativeEnv) or not isinstance(native.action_space, gym.spaces.Discrete):
        raise TabulationError(
            f"{env.spec.id if env.spec else env} cannot be searched: that takes discrete actions and snapshots, which the tasks of "
            "shapegym.envs have."
        )
    checked("states", Count, states, TabulationError)
    require_tabular(expression)
    for term in terms_of(expression):
        if told := {"event", "success"}.intersection(term.reads_before):
            raise TabulationError(
                f"{term} reads the feature {min(told)!r} before the step, which does not follow from the state."
            )
    seen, edges, expanded, drawn = _search(native, states, seed)
    names = {name for term in terms_of(expression) for name in (*term.reads, *term.reads_before)}
    spec = Spec(1, native.observation_space, native.action_space, native.features, gamma, seed)
    paid = _paid(expression, spec, seen, edges, names)
    return _model(native, seen, edges, paid, expanded, drawn=drawn)


def _search(
    env: NativeEnv, most: int, seed: int
) -> tuple[list[tuple[Any, Mapping[str, Any]]], list[_Edge], int, bool]:
    """What states show, what actions led to, in how many of the first states they were taken, and if any drew numbers."""
    obs, info = env.reset(seed=seed)
    snapshot = env.snapshot()
    number = {_signature(env, snapshot) + bytes([False]): 0}
    seen: list[tuple[Any, Mapping[str, Any]]] = [(obs, info)]
    edges: list[_Edge] = []
    waiting = deque([(0, snapshot)])
    order: list[int] = []
    actions = int(env.action_space.n)  # type: ignore[attr-defined]
    drawn = False
    while waiting and len(order) < most:
        source, snapshot = waiting.popleft()
        order.append(source)
        for action in range(actions):
            env.restore(snapshot)
            obs, reward, terminated, truncated, info = env.step(action)
            after = env.snapshot()
            drawn = drawn or _streams(after) != _streams(snapshot)
            signature = _signature(env, after) + bytes([terminated])
            if (target := number.setdefault(signature, len(seen))) == len(seen):
                seen.append((obs, info))
                if not (terminated or truncated):
                    waiting.append((target, after))
            edges.append(_Edge(source, action, target, float(reward), terminated, info))
    return seen, edges, len(order), drawn


def _streams(snapshot: Snapshot) -> list[bytes]:
    """Where random streams are."""
    return [snapshot[name].tobytes() for name in ("streams", "state.streams") if name in snapshot]


def _signature(env: NativeEnv, snapshot: Snapshot) -> bytes:
    """What two visits of a state share: the task's arrays, without clocks and random streams."""
    state = {name.removeprefix("state."): snapshot[name] for name in snapshot if name.startswith("state.")}
    kept = env.dynamics.timeless(state)
    return b"".join(kept[name].tobytes() for name in sorted(kept))


def _paid(
    expression: Expression,
    spec: Spec,
    seen: Sequence[tuple[Any, Mapping[str, Any]]],
    edges: Sequence[_Edge],
    names: set[str],
) -> Array:
    """What the expression pays for each edge, (N,)."""
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


def _model(
    env: NativeEnv,
    seen: Sequence[tuple[Any, Mapping[str, Any]]],
    edges: Sequence[_Edge],
    paid: Array,
    expanded: int,
    *,
    drawn: bool,
) -> Explored:
    """Keep the states in which every way leads to states that are kept, or to an end."""
    actions = int(env.action_space.n)  # type: ignore[attr-defined]
    source, action, target, ends = (
        np.array(column)
        for column in zip(*((e.source, e.action, e.target, e.terminated) for e in edges), strict=True)
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
        raise TabulationError("No way was found to go on: search more states.")
    names = np.flatnonzero(kept)
    index = np.cumsum(kept) - 1
    shape = (len(names), actions, len(names))
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
        tuple(env.dynamics.captions),
        [seen[state][1] for state in names.tolist()],
        bool(kept.all() and expanded + terminal.sum() == len(seen)) and not drawn,
        drawn,
    )
