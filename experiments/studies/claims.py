"""Studies: what a mechanism's paper claims, checked on tasks small enough for two cores.

A study is a module of `shapegym.experiments.studies.papers`. The first line of its docstring is the claim, ``SEEDS`` the number of
seeds that it reports by default, and ``run(request) -> Findings`` does the work. ``shapegym study NAME`` runs it and says which
claims hold. Hyper-parameters are chosen on seeds from 100 on, never on the reported ones, which count from 0.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import TypeVar

from shapegym.experiments.plain import finite
from shapegym.experiments.processes import in_processes
from shapegym.experiments.stats import Interval

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class StudyRequest:
    """How to run a study."""

    seeds: tuple[int, ...]  # that are reported
    quick: bool = False  # a fraction of the work, which shows that everything runs; its numbers mean nothing
    workers: int = 1  # processes that `shapegym.experiments.processes.in_processes` may use
    say: Callable[[str], None] = lambda _: None  # told what is going on

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> dict[Item, Result]:
        """Return ``function(item)`` by item, from processes; the function stands at the top of a module."""
        listed = list(items)
        return dict(zip(listed, in_processes(function, listed, self.workers), strict=True))


@dataclass(frozen=True)
class Claim:
    """A statement and what was found."""

    text: str  # what should be true, with its threshold
    holds: bool  # whether it is
    measured: str  # the numbers that decided, with their intervals


@dataclass(frozen=True)
class ResultTable:
    """A table of results."""

    title: str
    columns: tuple[str, ...]
    rows: Iterable[tuple[str | float | int, ...]]

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", tuple(self.rows))
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"{self.title}: the row {row!r} does not fit the columns {self.columns!r}.")


@dataclass(frozen=True)
class Findings:
    """What a study found; ``notes`` says what a reader must know to trust the tables."""

    claims: tuple[Claim, ...]
    tables: tuple[ResultTable, ...] = ()
    notes: tuple[str, ...] = ()

    def as_json(self) -> str:
        """Return the findings as the text of a JSON file; numbers of NumPy are numbers, those that are not finite null."""
        return json.dumps(finite(asdict(self)), indent=2, allow_nan=False) + "\n"


def with_ends(interval: Interval, form: str = ".2f") -> str:
    """Return an estimate and the ends of its interval, such as ``0.50 [0.40, 0.60]``."""
    return "{:{f}} [{:{f}}, {:{f}}]".format(interval.estimate, interval.low, interval.high, f=form)
