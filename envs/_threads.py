"""Who runs a loop over lanes: the caller alone, or Numba's threads, a chunk of lanes each.

Lanes do not see each other, so results are the same either way. `numba.set_num_threads(1)` or NUMBA_NUM_THREADS=1
keeps everything in the caller's thread.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import Lock
from typing import Any

import numba

LANES_PER_THREAD = 256
"""Below this many lanes a thread costs more than it saves."""

_PROCESS = os.getpid()
_LOCK = Lock()


def over_lanes(
    serial: Callable[..., None], chunked: Callable[..., None], lanes: int, *arguments: Any
) -> None:
    """Call `serial(0, lanes, *arguments)`, or `chunked(chunks, *arguments)` where that is faster."""
    if lanes >= 2 * LANES_PER_THREAD:
        chunks = min(numba.get_num_threads(), lanes // LANES_PER_THREAD)
        if chunks > 1 and os.getpid() == _PROCESS:  # OpenMP does not survive a fork
            with _LOCK:  # Numba's fallback threads serve one caller at a time
                chunked(chunks, *arguments)
            return
    serial(0, lanes, *arguments)
