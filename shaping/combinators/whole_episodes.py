"""What nodes share that judge whole episodes: their totals, and what is held back until these are known."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from shapegym.shaping.arrays import as_plain
from shapegym.shaping.kernels.episodes import LAST, MAX, SUM, episode_totals, hold_back
from shapegym.shaping.transitions import Array

Marks: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Which steps are the first of an episode, the last of one, and transitions at all, (T, B) bool each."""

AGGREGATES = {"sum": SUM, "max": MAX, "last": LAST}
"""How the values of an episode make its total."""


def totals(
    values: Array, marks: Marks, carried: np.ndarray, aggregate: str = "sum"
) -> tuple[np.ndarray, np.ndarray]:
    """Return the total of its whole episode at every step, and whether that episode ends in the block, (T, B) both.

    ``carried`` (B,) holds the totals of the earlier fragments, NaN where there are none, and is updated.
    """
    out, closed = np.empty(marks[0].shape), np.empty(marks[0].shape, dtype=bool)
    episode_totals(as_plain(values), *marks, AGGREGATES[aggregate], carried, out, closed)
    return out, closed


def held_back(
    values: Array, marks: Marks, decided: np.ndarray, passes: np.ndarray | None, held: np.ndarray
) -> np.ndarray:
    """Return what is paid at last steps for the earlier fragments of their episodes, (T, B).

    Values of steps whose fate is not ``decided`` are held back; those of others are paid that pass, or all if ``passes`` is None.
    ``held`` (B,) is what the earlier fragments left, and is updated.
    """
    late = np.empty(marks[0].shape)
    everyone = np.ones(late.shape, dtype=bool) if passes is None else passes
    hold_back(as_plain(values), *marks, decided, everyone, held, late)
    return late
