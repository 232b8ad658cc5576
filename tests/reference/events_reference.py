"""Events and milestones in plain Python. Imports nothing of the project."""

from __future__ import annotations

import operator

OPERATORS = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}


def event(before: float, now: float, value: float, trigger: str, equals: float | None) -> float:
    def holds(x: float) -> bool:
        return x != 0 if equals is None else x == equals

    if trigger == "level":
        pays = holds(now)
    elif trigger == "rise":
        pays = holds(now) and not holds(before)
    elif equals is None:
        pays = now != before
    else:
        pays = holds(now) != holds(before)
    return value if pays else 0.0


def milestones(episode: list[list[float]], ordered: bool) -> list[float]:
    """What each step of one episode pays; ``episode[t][m]`` is the value of milestone m."""
    done: set[int] = set()
    paid = []
    for values in episode:
        total = 0.0
        for m, value in enumerate(values):
            if value == 0 or m in done:
                continue
            if ordered and any(earlier not in done for earlier in range(m)):
                continue
            done.add(m)
            total += value
        paid.append(total)
    return paid
