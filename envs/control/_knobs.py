"""Checks of the tasks' constructor arguments."""

from __future__ import annotations

import math


def whole(name: str, value: int) -> int:
    """Return a count.

    Raises:
        TypeError: Not an int.
        ValueError: Below 1.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, got {value!r}")
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")
    return value


def positive(name: str, value: float, *, below: float = math.inf) -> float:
    """Return a finite number in (0, below).

    Raises:
        ValueError: Not in that range (nan is in none).
    """
    if not 0.0 < value < below:
        raise ValueError(f"{name} must be above 0 and below {below}, got {value!r}")
    return float(value)
