"""Finite tasks as people write them down: s -> a -> [(probability, s', reward, terminated)], with states of any kind.

That is the form of Gymnasium's toy texts (``env.unwrapped.P``), and the easiest one to write for a task of your own. There
*transitions* end an episode; in a `FiniteTask` states do. A state that is entered in both ways becomes two.

Example:
    >>> def outcomes(cell, action):
    ...     there = max(cell - 1, 0) if action == 0 else cell + 1
    ...     return [(0.9, there, float(there == 3), there == 3), (0.1, cell, 0.0, False)]
    >>> task = finite_task("corridor", outcomes, actions=2, start=0, features={"cell": lambda cell: cell})
    >>> task.n_states, task.terminal.tolist()
    (4, [False, False, False, True])
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shapegym.envs.finite_task import Branch, FiniteTask

Outcomes: TypeAlias = "Mapping[Any, Any] | Sequence[Any] | Callable[[Any, int], Iterable[Any]]"
"""s -> a -> [(probability, s', reward, terminated)] as a table, or as a function of (s, a)."""

MOST_STATES = 20_000
"""States that are looked for at most, where no list of them is given."""

_ROUNDING = 1e-6
"""By how much probabilities may miss 1: tables are often written in float32 or to six digits."""


class OutcomeError(ValueError):
    """Tables that describe no task; the text says where and what."""


class Outcome(NamedTuple):
    """One of what may happen."""

    probability: float
    next_state: Any
    reward: float
    terminated: bool


Telling: TypeAlias = Callable[[Any, int, Outcome], tuple[bool, int]]
"""(s, a, outcome) -> whether the step solves the task, and the number of its event."""


def paid_end(state: Any, action: int, outcome: Outcome) -> tuple[bool, int]:
    """Return that a step which ends an episode with a positive reward solves the task; no events."""
    del state, action
    return outcome.terminated and outcome.reward > 0, 0


def finite_task(
    name: str,
    outcomes: Outcomes,
    *,
    actions: int,
    start: Any,
    states: Sequence[Hashable] | None = None,
    features: Mapping[str, Callable[[Any], Any]] | None = None,
    captions: tuple[str, ...] = ("",),
    tell: Telling = paid_end,
    max_steps: int = 1000,
) -> FiniteTask:
    """Return a task of your own, which can be played, solved and audited exactly.

    `shapegym.envs.registration.register_task` gives it an id.

    Args:
        name: of the task, for messages.
        outcomes: what may happen in s under a = 0 .. actions - 1, as a table or a function; terminal states need no entry.
        actions: how many there are.
        start: the state that episodes start in, or a mapping from states to probabilities.
        states: all of them; None looks for those that can be reached, at most `MOST_STATES`.
        features: name -> (state -> bool, int, float or an array of them), for rewards to read.
        captions: text of each event; the first is empty.
        tell: whether a step solves the task and which event it is. By default a rewarded end does, and there are no events.
        max_steps: after which an episode is truncated.

    Raises:
        OutcomeError: a probability, successor or reward is none, or there are too many states; it says where.
    """
    begin = start if isinstance(start, Mapping) else {start: 1.0}
    if states is None:
        states = _reached(name, outcomes, actions, begin)
    task, origin = read_outcomes(
        name, outcomes, states, actions, begin, tell=tell, captions=captions, max_steps=max_steps
    )
    tables = {
        label: np.array([read(states[s]) for s in origin.tolist()])
        for label, read in (features or {}).items()
    }
    return with_features(task, tables)


def read_outcomes(
    name: str,
    outcomes: Outcomes,
    states: Sequence[Hashable],
    actions: int,
    start: Mapping[Any, float],
    *,
    tell: Telling = paid_end,
    captions: tuple[str, ...] = ("",),
    max_steps: int,
) -> tuple[FiniteTask, NDArray[np.int64]]:
    """Return the task, and which of ``states`` each of its states is, (S,).

    State i of the task is ``states[i]``; behind them come those that an episode ends in and also goes on in.

    Raises:
        OutcomeError: see `finite_task`.
    """
    number = {state: index for index, state in enumerate(states)}
    if len(number) < len(states):
        raise OutcomeError(f"{name}: a state is listed twice.")
    begin = _distribution(name, start, number)

    def row(state: int) -> list[list[Outcome]]:
        return [_cell(name, outcomes, states[state], action, number) for action in range(actions)]

    live = set(np.flatnonzero(begin).tolist())
    waiting = list(live)
    rows: dict[int, list[list[Outcome]]] = {}
    while waiting:
        state = waiting.pop()
        rows[state] = row(state)
        targets = {number[o.next_state] for o in _flat(rows[state]) if not o.terminated} - live
        live |= targets
        waiting.extend(targets)
    ends = _ends(rows.values(), number)
    rows |= {
        state: row(state) for state in set(range(len(states))) - live - ends
    }  # never reached, and yet told
    ends = _ends(rows.values(), number)
    rows = {state: rows[state] for state in rows if state in live or state not in ends}
    twice = {index: len(states) + place for place, index in enumerate(sorted(ends & live))}
    origin = np.array([*range(len(states)), *twice], np.int64)
    terminal = np.ones(len(origin), np.bool_)
    terminal[list(rows)] = False

    def branches(state: int, action: int) -> Iterator[Branch]:
        for outcome in rows[state][action]:
            target = number[outcome.next_state]
            if outcome.terminated:
                target = twice.get(target, target)
            solved, event = tell(states[state], action, outcome)
            yield Branch(target, outcome.probability, outcome.reward, bool(solved), int(event))

    task = FiniteTask.from_branches(
        name,
        lambda state, action: list(branches(state, action)),
        n_actions=actions,
        terminal=terminal,
        start=np.append(begin, np.zeros(len(twice))),
        captions=captions,
        coordinates=(origin / max(len(states) - 1, 1))[:, None],
        features={},
        max_steps=max_steps,
    )
    return task, origin


def with_features(task: FiniteTask, features: Mapping[str, NDArray[Any]]) -> FiniteTask:
    """Return the task with these features, name -> (S, ...); whole numbers as int64, others as float64."""
    kinds = {"b": np.bool_, "i": np.int64, "u": np.int64, "f": np.float64}
    tables: dict[str, NDArray[Any]] = {}
    for name, table in features.items():
        if table.dtype.kind not in kinds:
            raise OutcomeError(f"{task.name}: feature {name!r} must be numbers, got {table.dtype}.")
        tables[name] = table.astype(kinds[table.dtype.kind])
    return replace(task, features=tables)


def _reached(name: str, outcomes: Outcomes, actions: int, start: Mapping[Any, float]) -> list[Any]:
    """The states that can be reached, in the order of a breadth-first search."""
    found, live = dict.fromkeys(start), set(start)
    waiting = deque(start)
    while waiting:
        state = waiting.popleft()
        for outcome in _flat(_cell(name, outcomes, state, action, None) for action in range(actions)):
            found[outcome.next_state] = None
            if not outcome.terminated and outcome.next_state not in live:
                live.add(outcome.next_state)
                waiting.append(outcome.next_state)
        if len(found) > MOST_STATES:
            raise OutcomeError(
                f"{name}: more than {MOST_STATES:,} states can be reached. Is there a clock or a counter in them?"
            )
    return list(found)


def _flat(row: Iterable[list[Outcome]]) -> Iterator[Outcome]:
    return chain.from_iterable(row)


def _ends(rows: Iterable[list[list[Outcome]]], number: Mapping[Any, int]) -> set[int]:
    """States that a step ends an episode in."""
    return {number[outcome.next_state] for row in rows for outcome in _flat(row) if outcome.terminated}


def _distribution(name: str, start: Mapping[Any, float], number: Mapping[Any, int]) -> NDArray[np.float64]:
    """The start distribution over the numbered states."""
    mass = np.zeros(len(number))
    for state, probability in start.items():
        if state not in number:
            raise OutcomeError(f"{name}: an episode starts in {state!r}, which is none of its states.")
        mass[number[state]] = probability
    if not ((mass >= 0).all() and abs(mass.sum() - 1) <= _ROUNDING):
        raise OutcomeError(
            f"{name}: the probabilities of the start states sum to {mass.sum():.6g}, not to 1."
        )
    return mass / mass.sum()


def _cell(
    name: str, outcomes: Outcomes, state: Any, action: int, number: Mapping[Any, int] | None
) -> list[Outcome]:
    """What may happen in a state under an action, without what has no chance; checked."""
    place = f"{name}: state {state!r}, action {action}: "
    try:
        told = list(outcomes(state, action) if callable(outcomes) else outcomes[state][action])
    except (LookupError, TypeError) as error:
        if callable(outcomes):
            error.add_note(place.rstrip(": "))
            raise
        raise OutcomeError(f"{place}the table has no entry (only terminal states need none).") from error
    found = []
    for each in told:
        try:
            p, target, reward, ended = each
            outcome = Outcome(float(p), _plain(target), float(reward), bool(ended))
        except (TypeError, ValueError):
            raise OutcomeError(
                f"{place}an outcome is (probability, next state, reward, terminated), not {each!r}."
            ) from None
        if not (outcome.probability >= 0 and math.isfinite(outcome.reward)):
            raise OutcomeError(f"{place}{each!r} has no probability or no finite reward.")
        if outcome.probability > 0:
            found.append(outcome)
        if number is not None and outcome.next_state not in number:
            raise OutcomeError(f"{place}{target!r} is none of its {len(number)} states.")
    total = sum(outcome.probability for outcome in found)
    if not abs(total - 1) <= _ROUNDING:
        raise OutcomeError(f"{place}the probabilities sum to {total:.6g}, not to 1.")
    return [outcome._replace(probability=outcome.probability / total) for outcome in found]


def _plain(state: Any) -> Any:
    """A state that can be looked up: NumPy's numbers as Python's."""
    plain = state.item() if isinstance(state, np.generic) else state
    hash(plain)  # or it raises
    return plain
