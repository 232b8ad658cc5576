"""Whether a series went somewhere or merely wandered: the question behind alarms that are asked again with every block."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

_OVERLAP = 1.5
"""Averages of a random walk over neighbouring blocks overlap: sums of their differences vary 1.5 times as much as white ones."""

_FEWEST = 2
"""Differences needed for a spread."""


def drift(values: NDArray[np.float64], start: int, end: int, width: int) -> float:
    """How far the values rose between two places, in p-values under "it wanders": small for a rise, near 1 for a fall.

    The values are averaged over blocks of ``width``. If they were a random walk, their differences would be draws around 0, and
    their sum over k steps would be about sqrt(k) of them; what the differences vary by is taken from the parts of the series inside
    and outside of [start, end], each about its own mean, so that a steady slope is no spread. White noise and processes that return
    to their mean vary less over long distances than a walk does: for them the value is on the safe side.

    Args:
        values: (n,), in order, which end at ``end`` or later.
        start: place from which on.
        end: place up to which.
        width: places that are averaged.

    Returns:
        P(a value of Student's t is above the rise in its standard errors); 1/2 where there is too little to tell.
    """
    count = len(values) // width
    steps = np.diff(values[len(values) - count * width :].reshape(count, width).mean(axis=1))
    last = len(steps) - (len(values) - end) // width
    first = max(0, min(last - 1, last - round((end - start) / width)))
    inside = steps[first:last]
    parts = [part for part in (inside, steps[:first], steps[last:]) if len(part)]
    freedom = sum(len(part) - 1 for part in parts)
    rise = float(inside.sum())
    if freedom < 1 or len(steps) < _FEWEST or abs(rise) < 1e-9:
        return 0.5
    spread = sum(float(((part - part.mean()) ** 2).sum()) for part in parts) / freedom
    error = math.sqrt(_OVERLAP * len(inside) * spread)
    return _upper_tail(rise / error if error > 1e-9 * abs(rise) else math.copysign(math.inf, rise), freedom)


def _upper_tail(t: float, freedom: int) -> float:
    from scipy.special import stdtr  # takes a while to import, and only training needs it

    return float(stdtr(freedom, -t))
