"""Who runs the loops over lanes: the caller alone, or some of Numba's threads, a chunk of lanes each.

Threads that share their cores with other programs wait for the slowest of them, often for longer than one thread takes for
everything. So an environment's steps are timed while it is used, and run on as many threads as were fastest (`shapegym.fastest`).
Lanes do not see each other, so results are the same whatever is chosen. NUMBA_NUM_THREADS and `numba.set_num_threads` set the most,
the latter within `STEPS_PER_QUESTION` steps: 1 keeps everything in the caller's thread.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from threading import Lock, Thread, local
from time import perf_counter
from typing import Any

import numba

from shapegym.fastest import Fastest, counts_up_to

LANES_PER_THREAD = 256
"""Below this many lanes a thread costs more than it saves."""
STEPS_PER_QUESTION = 16
"""To ask Numba how many threads it allows takes a fiftieth of a step."""

_PROCESS = os.getpid()
_LOCK = Lock()


class _Here(local):
    """What holds in the calling thread."""

    team: tuple[int, int] | None = None
    """Threads for each loop, at most, and how many Numba allowed when it was asked; None leaves it to Numba."""


_HERE = _Here()


class Team:
    """The threads that an environment's step runs on: ``with team:`` around all of it.

    One number for all loops of a step: threads find in their caches what they themselves left there, so a loop is fast where the
    loops before it ran on the same threads.

    Args:
        lanes: of the environment.
    """

    def __init__(self, lanes: int) -> None:
        self._lanes = lanes
        self._steps, self._allowed = 0, 1
        self._most, self._fastest = 1, Fastest(counts_up_to(1))
        self._outside: tuple[int, int] | None = None
        self._start = 0.0

    def __enter__(self) -> None:
        self._outside = _HERE.team
        if self._lanes >= 2 * LANES_PER_THREAD and self._steps % STEPS_PER_QUESTION == 0:
            self._ask()
        self._steps += 1
        _HERE.team = self._fastest.way, self._allowed
        self._start = perf_counter()

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        _HERE.team = self._outside
        if self._most > 1 and failure is None:
            self._fastest.took(perf_counter() - self._start)

    def _ask(self) -> None:
        self._allowed = _allowed()
        most = _useful(self._lanes, self._allowed)
        if most != self._most:
            self._most = most
            self._fastest = Fastest(counts_up_to(most))


def over_lanes(
    serial: Callable[..., None], chunked: Callable[..., None], lanes: int, *arguments: Any
) -> None:
    """Call `serial(0, lanes, *arguments)`, or `chunked(chunks, *arguments)` where that is faster."""
    if lanes >= 2 * LANES_PER_THREAD:
        if _HERE.team is None:
            most = allowed = _allowed()
        else:
            most, allowed = _HERE.team
        chunks = _useful(lanes, most)
        if chunks > 1 and os.getpid() == _PROCESS:  # OpenMP does not survive a fork
            with _LOCK:  # Numba's fallback threads serve one caller at a time
                _run(chunks, allowed, chunked, arguments)
            return
    serial(0, lanes, *arguments)


def _allowed() -> int:
    _launch()
    return numba.get_num_threads()


@cache
def _launch() -> None:
    """Let Numba begin in a thread of its own: where it begins it sets OpenMP's number of threads, which is torch's too."""
    thread = Thread(target=numba.get_num_threads)
    thread.start()
    thread.join()


def _useful(lanes: int, threads: int) -> int:
    return max(min(threads, lanes // LANES_PER_THREAD), 1)


def _run(chunks: int, allowed: int, chunked: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    if chunks == allowed:
        chunked(chunks, *arguments)
        return
    before = numba.get_num_threads()
    numba.set_num_threads(chunks)  # threads without a chunk would be waited for too
    try:
        chunked(chunks, *arguments)
    finally:
        numba.set_num_threads(before)
