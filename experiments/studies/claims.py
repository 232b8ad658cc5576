"""Studies: what a mechanism's paper claims, checked on tasks small enough for two cores.

A study is a module of `shapegym.experiments.studies.papers`. The first line of its docstring is the claim, ``SEEDS`` the number of
seeds that it reports by default, and ``run(request) -> Findings`` does the work. ``shapegym study NAME`` runs it and says which
claims hold. Hyper-parameters are chosen on seeds from 100 on, never on the reported ones, which count from 0.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from shapegym.experiments.errors import RunError
from shapegym.experiments.plain import finite
from shapegym.experiments.processes import in_processes
from shapegym.experiments.stats import Interval
from shapegym.shaping.errors import said_as
from shapegym.shaping.json_lines import append_rows, read_rows

Item = TypeVar("Item")
Result = TypeVar("Result")
Numbers: TypeAlias = list[Any]
"""Numbers, in lists of lists where there are several axes."""


@dataclass(frozen=True)
class StudyRequest:
    """How to run a study."""

    seeds: tuple[int, ...]  # that are reported
    quick: bool = False  # a fraction of the work, which shows that everything runs; its numbers mean nothing
    workers: int = 1  # processes that `shapegym.experiments.processes.in_processes` may use
    say: Callable[[str], None] = lambda _: None  # told what is going on
    rows: Path | None = None  # where `map_rows` keeps what is done, so that an interrupted study goes on

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> dict[Item, Result]:
        """Return ``function(item)`` by item, from processes; the function stands at the top of a module."""
        listed = list(items)
        return dict(zip(listed, in_processes(function, listed, self.workers), strict=True))

    def map_rows(self, function: Callable[[Item], Numbers], items: Iterable[Item]) -> dict[Item, Numbers]:
        """As `map`, of functions that return lists of numbers; what stands in `rows` is read, and not done again.

        Raises:
            RunError: if the file of rows cannot be read or written, or is damaged.
        """
        listed, name = list(items), f"{function.__module__.rpartition('.')[2]}.{function.__name__}"
        known: dict[str, Numbers] = {}
        if self.rows is not None and self.rows.exists():
            rows = read_rows(self.rows, RunError)
            with said_as(RunError, (KeyError, TypeError), f"{self.rows} holds a row of no study: "):
                known = {row["item"]: row["found"] for row in rows if row["of"] == name}

        def keep(done: tuple[Item, Numbers]) -> None:
            item, found = done
            known[repr(item)] = found
            if self.rows is not None:
                with said_as(RunError, OSError, f"{self.rows} cannot be written: "):
                    append_rows(self.rows, [{"of": name, "item": repr(item), "found": found}])

        missing = [item for item in listed if repr(item) not in known]
        in_processes(partial(_with_item, function), missing, self.workers, keep)
        return {item: known[repr(item)] for item in listed}


def _with_item(function: Callable[[Item], Result], item: Item) -> tuple[Item, Result]:
    return item, function(item)


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
