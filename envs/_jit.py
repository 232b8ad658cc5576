"""The one place that sets the compile options of the environment kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def jit(function: Kernel) -> Kernel:
    """Compile on first call, and cache on disk.

    No fastmath: the same seed and actions give the same bits on every run. error_model="numpy": a division by
    zero gives inf or nan as in NumPy, without a branch in the loop.
    """
    return cast("Kernel", numba.njit(cache=True, error_model="numpy")(function))
