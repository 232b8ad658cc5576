"""Which of several ways to do the same work is fastest here and now, judged by how long each took so far.

Arithmetic alone: whoever asks brings the clock, so the same times lead to the same choices.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Generic, TypeVar

Way = TypeVar("Way")

SPELL = 0.03
"""Seconds over which times are averaged. An operating system lets threads that have slept go first for some milliseconds."""
LEAST_CALLS = 6
"""Of an average."""
GAIN = 0.9
"""Of the time of the way in use: a rival that takes more is not worth a change."""
SHARE = 40
"""The way in use is used for this many times as long as the last trial of a rival took."""
PATIENCE = 8.0
"""Seconds of use between two trials, at most; trials that change nothing double them up to there."""
SURPRISE = 1.5
"""Times as slow or as fast as known: something has changed, and a trial comes as soon as `SHARE` allows."""


def counts_up_to(most: int) -> list[int]:
    """Numbers of threads to choose from: 1, which is never very slow, then ``most`` and its halves."""
    return [1, *(most >> halvings for halvings in range(most.bit_length() - 1))]


class Fastest(Generic[Way]):
    """Uses what was fastest so far, and tries the others now and then, for a few calls each.

        fastest = Fastest(counts_up_to(4))
        work(threads=fastest.way)
        fastest.took(seconds)

    Trials are short, given up once they are lost, and rarer the longer nothing comes of them.

    Args:
        ways: all that there are; the first is used until another proves faster. The first call of each counts for nothing.

    Attributes:
        way: what to do next.
    """

    def __init__(self, ways: Sequence[Way]) -> None:
        self._best, *rivals = ways
        self._rivals = deque(rivals)
        self._unused = set(ways)  # so far
        self.way = self._best
        self._calls = _Calls()
        self._known = 0.0  # seconds that a call of the best takes
        self._then = 0.0  # what was known of that at the last trial
        self._since = 0.0  # seconds of use since then
        self._due = self._patience = 0.0  # which must be as many before the next
        self._lost = 0  # trials in a row that changed nothing
        self._before: Way | None = None  # the best before, if the last trial changed that
        self._spent = 0.0  # seconds of that trial

    def took(self, seconds: float) -> None:
        """Learn how long one call of `way` took, from which `way` may become another."""
        if self.way in self._unused:  # kernels are compiled
            self._unused.remove(self.way)
            return
        self._calls.add(seconds)
        if self.way != self._best:
            self._judge()
        elif self._calls.seconds >= SPELL and (
            self._calls.count >= LEAST_CALLS
            or self._calls.seconds >= SURPRISE * self._known * LEAST_CALLS > 0  # and will be no less
        ):
            self._look_back()

    def _look_back(self) -> None:
        """A spell of the best is over."""
        mean = self._calls.mean
        self._since += self._calls.seconds
        self._calls = _Calls()
        self._known += (mean - self._known) / 4 if self._known else mean
        self._then = self._then or self._known
        if not 1 / SURPRISE < self._known / self._then < SURPRISE:
            if self._known > self._then and self._before is not None:  # it won by luck
                self._due = 0.0
            self._then, self._patience = self._known, 0.0
        if self._rivals and self._since >= max(self._due, self._patience):
            self._use(self._rivals.popleft())

    def _judge(self) -> None:
        """A rival has made another call."""
        needed = max(LEAST_CALLS, math.ceil(SPELL / self._known))
        # Lost is lost, even if the calls that are missing took no time.
        lost = self._calls.seconds >= self._known * max(self._calls.count, needed)
        if not lost and (self._calls.count < needed or self._calls.seconds < SPELL):
            return
        self._due = SHARE * self._calls.seconds
        if self._calls.mean < GAIN * self._known:
            if self.way == self._before:  # all that was done since may have been a mistake
                self._due = max(self._due, min(SHARE * (self._since + self._spent), PATIENCE))
            self._rivals.appendleft(self._best)
            self._before, self._spent = self._best, self._calls.seconds
            self._best, self._known, self._patience, self._lost = self.way, self._calls.mean, 0.0, 0
        else:
            self._rivals.append(self.way)
            self._before = None
            self._lost += 1
            if self._lost % len(self._rivals) == 0:  # each of them once
                self._patience = min(max(2 * self._patience, self._due), PATIENCE)
        self._since, self._then = 0.0, self._known
        self._use(self._best)

    def _use(self, way: Way) -> None:
        self.way, self._calls = way, _Calls()


class _Calls:
    """Calls of one way in a row."""

    def __init__(self) -> None:
        self.count, self.seconds = 0, 0.0

    def add(self, seconds: float) -> None:
        self.count += 1
        self.seconds += seconds

    @property
    def mean(self) -> float:
        return self.seconds / self.count
