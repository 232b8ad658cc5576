"""What progress pays, in plain loops over the states of one episode."""

from __future__ import annotations

import itertools
from collections.abc import Sequence


def progress(heights: Sequence[float]) -> list[float]:
    """By how much each state is higher than the one before."""
    return [after - before for before, after in itertools.pairwise(heights)]


def best_so_far(heights: Sequence[float]) -> list[float]:
    """By how much each state is higher than all before."""
    paid = []
    for step in range(1, len(heights)):
        best = max(heights[:step])
        paid.append(heights[step] - best if heights[step] > best else 0.0)
    return paid
