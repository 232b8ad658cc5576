"""What evaluations of a program read: an array for each feature and side.

All evaluations are called alike, ``evaluate(columns, num_lanes, memory, first=..., active=...)``, and return totals and parts,
(1 + k, B) float64:

* columns: by (side, name), (B,) or (B, n), of any dtype of numbers or truths;
* memory: what slots hold, (S, B) float64, updated in place; by default as an episode begins;
* first: lanes whose episode begins, so that memory is as at first, (B,) bool; by default none;
* active: lanes that make a step, (B,) bool; by default all. Where there is memory, of others neither memory nor output is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

Columns: TypeAlias = Mapping[tuple[str, str], np.ndarray]


def packed(rows: Sequence[tuple[str, str, int]], columns: Columns, num_lanes: int) -> np.ndarray:
    """Return the numbers that ``rows`` names by side, name and entry, (rows, B) float64."""
    inputs = np.empty((len(rows), num_lanes))
    for row, (side, name, index) in zip(inputs, rows, strict=True):
        values = columns[side, name]
        row[:] = values if values.ndim == 1 else values[:, index]
    return inputs


def steps_of(columns: Columns) -> tuple[int, int]:
    """Return T and B of columns over several steps, (T, B) or (T, B, n); one transition where a program reads nothing."""
    shape = next((values.shape[:2] for values in columns.values()), (1, 1))
    return int(shape[0]), int(shape[1])
