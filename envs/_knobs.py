"""Checks of the arguments that builders of tasks share."""

from __future__ import annotations

import math


def at_least(name: str, value: int, least: int) -> int:
    """Return a count.

    Raises:
        TypeError: `value` is no integer.
        ValueError: It is below `least`.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
    return value


def positive(name: str, value: float, *, below: float = math.inf) -> float:
    """Return a finite number in (0, below).

    Raises:
        ValueError: Not in that range (nan is in none).
    """
    if not 0.0 < value < below:
        raise ValueError(f"{name} must be above 0 and below {below}, got {value!r}")
    return float(value)


def flag(name: str, value: bool) -> bool:
    """Check a knob that is on or off; 1 and 0 mean the same.

    Raises:
        TypeError: It is neither; a text "no" would else count as true.
    """
    if value not in (True, False):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)
