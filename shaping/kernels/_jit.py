"""The only place that configures Numba for reward kernels.

Kernels are compiled once per machine. ``error_model="numpy"``: division by zero gives inf, as NumPy does, instead of raising in the
middle of a batch. No ``fastmath`` anywhere: rewards must be equal to the last bit on every surface. A kernel and all its callees
live in one file, because Numba's cache does not notice a change in another file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from shapegym.kernel_cache import compiled

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def jit(kernel: Kernel) -> Kernel:
    """Compile ``kernel`` with the project's options."""
    result: Kernel = compiled(kernel, error_model="numpy")
    return result
