"""Speeds measured side by side, in one process: contestants take turns, so that what else the machine does falls on all of them."""

from __future__ import annotations

import math
import os
import platform
import random
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from statistics import median, quantiles


@dataclass(frozen=True)
class Contestant:
    """Something that plays frames.

    Attributes:
        name: what the table calls it.
        frames: of one batch step: the number of lanes.
        play: plays that many batch steps, going on where the last call stopped.
    """

    name: str
    frames: int
    play: Callable[[int], object]


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of the rounds."""

    low: float
    middle: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        low, _, high = quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
        return cls(low, median(values), high)

    def text(self, digits: int = 0) -> str:
        """The median, with the quartiles in brackets."""
        low, middle, high = (f"{value:,.{digits}f}" for value in (self.low, self.middle, self.high))
        return f"{middle} [{low}, {high}]"


Results = dict[str, list[float]]
"""Frames per second by name, an entry a round."""


def race(contestants: Sequence[Contestant], rounds: int, seconds: float) -> Results:
    """Let every contestant play for about `seconds` in every round.

    Each round has another order, so that nobody always plays after the same neighbour, whose threads may still be
    winding down. Compilation and the first step of a turn do not count.
    """
    steps = {contestant.name: _steps_of_a_turn(contestant, seconds) for contestant in contestants}
    results: Results = {contestant.name: [] for contestant in contestants}
    order = random.Random(0)
    for _ in range(rounds):
        for contestant in order.sample(contestants, len(contestants)):
            contestant.play(1)
            elapsed = _seconds(contestant, steps[contestant.name])
            results[contestant.name].append(steps[contestant.name] * contestant.frames / elapsed)
    return results


def ratio(results: Results, name: str, other: str) -> Spread:
    """How many times as fast as `other`, round by round."""
    return Spread.of([fast / slow for fast, slow in zip(results[name], results[other], strict=True)])


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def machine(*packages: str) -> str:
    """What the numbers of this run depend on."""
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    return f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, {versions}"


def tell(progress: str) -> None:
    """Say what is going on, apart from the results."""
    print(progress, file=sys.stderr, flush=True)


def _steps_of_a_turn(contestant: Contestant, seconds: float) -> int:
    contestant.play(2)
    steps = 1
    while (elapsed := _seconds(contestant, steps)) < seconds / 2:
        steps *= 2
    return math.ceil(steps * seconds / elapsed)


def _seconds(contestant: Contestant, steps: int) -> float:
    start = time.perf_counter()
    contestant.play(steps)
    return time.perf_counter() - start
