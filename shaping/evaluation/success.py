"""What infos say of success, for the books: yes, no, nothing, or something that is neither."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from shapegym.shaping.transitions import Features

UNREADABLE = -1.0
"""Stands for what is not one truth value: several, a text, 0.7."""


def success_of(features: Features) -> np.ndarray | None:
    """Return whether each lane's task is solved, as `truths`; None if nothing is said at all."""
    success = features.get("success")
    return None if success is None else truths(success)


def truths(values: Any) -> np.ndarray:
    """Return one truth a lane, (B,): bool, or float64 as `truth`."""
    values = np.asarray(values)
    if values.ndim == 1 and (values.dtype == bool or _is_read(values)):
        return values
    return np.array([truth(value) for value in values])


def truth(value: Any) -> float:
    """Return 1.0, 0.0, NaN where it is not known (None), or `UNREADABLE`."""
    if value is None:
        return math.nan
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, RuntimeError):  # rows of different lengths; a tensor with a gradient
        return UNREADABLE
    if array.size != 1 or array.dtype.kind not in "biuf":
        return UNREADABLE
    number = float(array.item())
    return number if number in (0.0, 1.0) or math.isnan(number) else UNREADABLE


def _is_read(values: np.ndarray) -> bool:
    """Whether all values are what `truth` returns."""
    return values.dtype == np.float64 and bool(
        (np.isin(values, (0.0, 1.0, UNREADABLE)) | np.isnan(values)).all()
    )
