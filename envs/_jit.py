"""The one place that sets the compile options of the environment kernels."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core import event

from shapegym.kernel_cache import compiled

Kernel = TypeVar("Kernel", bound=Callable[..., Any])
prange = numba.prange


def _stamp_of_package() -> tuple[tuple[str, float, int], ...]:
    """Name, time and size of every source file of this package."""
    stats = {path: path.stat() for path in sorted(Path(__file__).parent.rglob("*.py"))}
    return tuple((path.name, stat.st_mtime, stat.st_size) for path, stat in stats.items())


_STAMP = _stamp_of_package()


def jit(function: Kernel) -> Kernel:
    """Compile on first call, and cache on disk.

    No fastmath: the same seed and actions give the same bits on every run. error_model="numpy": a division by
    zero gives inf or nan as in NumPy, without a branch in the loop.
    """
    return _cached(compiled(function, error_model="numpy"))


def jit_parallel(function: Kernel) -> Kernel:
    """As `jit`, with `prange` loops on `numba.get_num_threads()` threads.

    For loops over chunks of lanes that call a kernel each, so that results do not depend on the number of
    threads and little code goes through the parallel compiler.
    """
    return _cached(compiled(function, error_model="numpy", parallel=True))


def _cached(dispatcher: Any) -> Any:
    """Make the cache on disk depend on all of this package, and pickles name the kernel instead of holding its code.

    Kernels call kernels of other files, which Numba compiles into them; by itself it would go on using what
    was compiled from an older version of those files. And a kernel that arrives in another process as code is
    none of that process's: it would be compiled once more.
    """
    if hasattr(dispatcher, "_cache"):  # with NUMBA_DISABLE_JIT=1 it is the plain function
        if hasattr(dispatcher._cache, "_cache_file"):  # without a folder there is none
            dispatcher._cache._cache_file._source_stamp = _STAMP
        name = dispatcher.__name__
        dispatcher.__reduce_ex__ = lambda protocol: name
    return dispatcher


class _Announcement(event.Listener):
    """Says once in a process that time goes into compiling, which users would otherwise take for a hang."""

    def __init__(self) -> None:
        self._said = False

    def on_start(self, event: event.Event) -> None:
        """A dispatcher starts to compile: nothing usable was in the cache."""
        module = event.data["dispatcher"].py_func.__module__ or ""  # what `exec` made has none
        if not self._said and module.startswith(__package__):
            self._said = True
            logging.getLogger(__package__).warning(
                "compiling environment kernels (%s ...): seconds, once a machine and version", module
            )

    def on_end(self, event: event.Event) -> None:
        """Compiled."""


event.register("numba:compile", _Announcement())  # type: ignore[no-untyped-call]
