"""Studies: what a mechanism's paper claims, checked on tasks small enough for two cores.

A study is a module of `shapegym.experiments.studies`. The first line of its docstring is the claim, ``SEEDS`` the number of seeds
that it reports by default, and ``run(request) -> Findings`` does the work. ``shapegym study NAME`` runs it and says which claims
hold. Hyper-parameters are chosen on seeds from 100 on, never on the reported ones, which count from 0.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any, TypeVar

from shapegym.agents.factory import torch_threads
from shapegym.experiments import studies
from shapegym.experiments.errors import RunError
from shapegym.shaping.errors import suggest

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Request:
    """How to run a study.

    Attributes:
        seeds: that are reported.
        quick: a fraction of the work, which shows that everything runs; its numbers mean nothing.
        workers: processes that `in_processes` may use.
        say: told what is going on.
    """

    seeds: tuple[int, ...]
    quick: bool = False
    workers: int = 1
    say: Callable[[str], None] = lambda _: None


@dataclass(frozen=True)
class Claim:
    """A statement and what was found.

    Attributes:
        text: what should be true, with its threshold.
        holds: whether it is.
        measured: the numbers that decided, with their intervals.
    """

    text: str
    holds: bool
    measured: str


@dataclass(frozen=True)
class Grid:
    """A table of results."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | float | int, ...], ...]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"{self.title}: the row {row!r} does not fit the columns {self.columns!r}.")


@dataclass(frozen=True)
class Findings:
    """What a study found; ``notes`` says what a reader must know to trust the tables."""

    claims: tuple[Claim, ...]
    tables: tuple[Grid, ...] = ()
    notes: tuple[str, ...] = ()

    def as_json(self) -> str:
        """Return the findings as the text of a JSON file; numbers of NumPy are numbers, those that are not finite null."""
        return json.dumps(_plain(asdict(self)), indent=2, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


@dataclass(frozen=True)
class Study:
    """A module of `shapegym.experiments.studies`, by its name on the command line."""

    name: str
    claim: str
    seeds: int
    run: Callable[[Request], Findings]


def study_names() -> list[str]:
    """Return the names of all studies."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(studies.__path__))


def load_study(name: str) -> Study:
    """Return a study by its name.

    Raises:
        RunError: if there is none.
    """
    if name not in study_names():
        raise RunError(f"There is no study {name!r}.{suggest(name, study_names())}")
    module = import_module(f"{studies.__name__}.{name.replace('-', '_')}")
    claim = (module.__doc__ or "").strip().partition("\n")[0]
    return Study(name, claim, module.SEEDS, module.run)


def in_processes(function: Callable[[Item], Result], items: Iterable[Item], workers: int) -> list[Result]:
    """Return ``function(item)`` of every item, in order, from spawned processes with one thread for torch each.

    Args:
        function: at the top of a module, so that a process can import it.
        items: picklable.
        workers: processes; 1 works in this one.
    """
    return list(_mapped(function, list(items), workers))


def _mapped(function: Callable[[Item], Result], items: list[Item], workers: int) -> Iterator[Result]:
    if workers <= 1 or len(items) <= 1:
        with torch_threads(1):
            yield from map(function, items)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(items)), context, initializer=_one_thread) as pool:
        yield from pool.map(function, items)


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)
