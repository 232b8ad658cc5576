"""Arrays of NumPy and torch, and nested dicts of them."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np

from shapegym.shaping.transitions import Array


def array_namespace(value: Array) -> ModuleType:
    """Return the module whose functions apply to ``value``: torch for its tensors, else numpy."""
    return sys.modules["torch"] if type(value).__module__.startswith("torch") else np


def as_plain(values: Array) -> np.ndarray:
    """Return a contiguous NumPy view of a tensor or array: what is decided from it is not differentiated."""
    if array_namespace(values) is not np:
        values = values.detach().cpu().numpy()
    return np.ascontiguousarray(values, dtype=np.float64)


def like(factors: np.ndarray, values: Array) -> Array:
    """Return ``factors`` as an array or tensor that combines with ``values``."""
    xp = array_namespace(values)
    return factors if xp is np else xp.as_tensor(factors, dtype=values.dtype, device=values.device)
