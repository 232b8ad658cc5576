"""A breadth-first search of an environment: every action in every state that turns up, as far as a limit."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from shapegym.agents.finite.marks import Marks

_PATIENCE = 50
"""States after which a search ends that never came back to one."""

_OTHER_STARTS = 20
"""Episodes that are begun to see whether others start elsewhere."""


@dataclass(slots=True)
class Edge:
    """What an action led to."""

    source: int
    action: int
    target: int
    reward: float
    terminated: bool
    info: Mapping[str, Any]


@dataclass(eq=False)
class Searched:
    """What was found.

    Attributes:
        seen: observation and info of each state.
        edges: of the states in which every action was taken, in their order.
        expanded: how many these are: the first ones.
        starts: how often episodes began in each state.
        drawn: actions drew random numbers; of each, one outcome is known.
        flaw: why this is not the whole task, in words; empty if it is.
    """

    seen: list[tuple[Any, Mapping[str, Any]]]
    edges: list[Edge]
    expanded: int
    starts: dict[int, int]
    drawn: bool
    flaw: str = ""


def search(marks: Marks, most: int, seed: int = 0, starts: int = 1, *, chance: bool = True) -> Searched:
    """Take every action in each of the first states that are met.

    Args:
        marks: of the environment.
        most: states to take every action in.
        seed: of the first episode whose start is taken.
        starts: how many episodes begin the search.
        chance: go on where actions draw random numbers; else stop there.
    """
    number: dict[bytes, int] = {}
    found = Searched([], [], 0, {}, drawn=False)
    waiting: deque[tuple[int, Any]] = deque()
    for episode in range(starts):
        obs, info, mark = marks.begin(seed + episode)
        if (state := number.setdefault(_key(marks, mark, obs), len(found.seen))) == len(found.seen):
            found.seen.append((obs, info))
            waiting.append((state, mark))
        found.starts[state] = found.starts.get(state, 0) + 1
    again: dict[int, Any] = {}
    cut = False
    while waiting and found.expanded < most and (chance or not found.drawn):
        if found.expanded == _PATIENCE and len(found.seen) == len(found.starts) + len(found.edges):
            break  # no state was met twice: they are no finite number, or have a history in them
        source, mark = waiting.popleft()
        found.expanded += 1
        for action in marks.actions:
            played = marks.play(mark, action)
            found.drawn = found.drawn or played.drawn
            key = _key(marks, played.mark, played.obs, ends=played.terminated)
            if (target := number.setdefault(key, len(found.seen))) == len(found.seen):
                found.seen.append((played.obs, played.info))
                if not (played.terminated or played.truncated):
                    waiting.append((target, played.mark))
                cut = cut or (played.truncated and not played.terminated)
            elif not (played.terminated or played.truncated):
                again[target] = played.mark
            found.edges.append(Edge(source, action, target, played.reward, played.terminated, played.info))
    found.flaw = next(_flaws(marks, found, number, again, bool(waiting), cut, seed + starts), "")
    return found


def _flaws(
    marks: Marks,
    found: Searched,
    number: Mapping[bytes, int],
    again: Mapping[int, Any],
    more: bool,
    cut: bool,
    seed: int,
) -> Iterator[str]:
    """Why it is not the whole task."""
    if found.drawn:
        yield "its steps draw random numbers, so what is known of an action is one outcome"
    if more:
        none = len(found.seen) == len(found.starts) + len(found.edges)
        yield f"there are more than {found.expanded:,} states{', and none was met twice' * none}"
    if cut:
        yield "a time limit cut episodes before all was seen"
    for other in range(seed, seed + _OTHER_STARTS):
        obs, _, mark = marks.begin(other)
        if _key(marks, mark, obs) not in number:
            yield "other episodes start elsewhere"
    for edge in found.edges:
        if edge.source in again:
            played = marks.play(again[edge.source], edge.action)
            key = _key(marks, played.mark, played.obs, ends=played.terminated)
            if number.get(key) != edge.target or not np.isclose(
                played.reward, edge.reward, rtol=1e-9, atol=1e-12
            ):
                yield (
                    "what an action leads to and pays does not follow from the state alone (is there a clock in it?): action "
                    f"{edge.action} paid {edge.reward:.6g} and {played.reward:.6g} in one state"
                )


def _key(marks: Marks, mark: Any, obs: Any, *, ends: bool = False) -> bytes:
    return marks.key(mark, obs) + bytes([ends])
