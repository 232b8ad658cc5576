"""The rows of several sweeps in one folder, without the run folders: a comparison made in parts, to share or to commit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from shapegym.experiments.errors import RunError
from shapegym.experiments.sweeps.results import ResultRow, Results
from shapegym.experiments.sweeps.verification import check_books
from shapegym.experiments.sweeps.workspace import (
    SWEEP,
    read_header,
    read_plan,
    require_empty,
    united,
    write_rows_alone,
)


@dataclass(frozen=True)
class Collected:
    """What came of `collect`."""

    new: int  # rows that the folder did not have
    rows: int  # that it has
    planned: int  # runs that were asked for, finished or not


def collect(sweeps: Sequence[Path], folder: Path) -> Collected:
    """Put plans and finished rows of sweeps into a folder that holds nothing else.

    Reports are made from it as from any sweep, `shapegym verify` trains its runs again, and `shapegym sweep` goes on with what is
    missing, there or in a copy.

    Args:
        sweeps: folders of one suite, whose rows agree with their run folders, or which were collected before.
        folder: new, or collected before: what it holds stays.

    Raises:
        RunError: if there is no sweep; if one is damaged, or of another suite; if two ask for different things under one id, or
            have different results of it; or if ``folder`` is no such folder. Nothing is written then.
    """
    if not sweeps:
        raise RunError("There is nothing to collect: name folders of sweeps.")
    before: tuple[ResultRow, ...] = ()
    if (folder / SWEEP).is_file():
        if not read_header(folder)["rows_alone"]:
            raise RunError(f"{folder} is a sweep with run folders: collect into another folder.")
        before = Results.open(folder).rows
        sweeps = [folder, *sweeps]
    else:
        require_empty(folder)
    plan, rows = read_plan(sweeps[0]), dict[str, ResultRow]()
    for source in sweeps:
        if wrong := next(check_books(source), ""):
            raise RunError(f"{source}: {wrong}")
        more = read_plan(source)
        if more.name != plan.name:
            raise RunError(f"{source} is the sweep of {more.name}, {sweeps[0]} of {plan.name}.")
        plan = replace(more, jobs=united(plan, more.jobs).jobs)  # the title of the latest
        _join(rows, Results.open(source).rows, source)
    plan = replace(plan, jobs=tuple(sorted(plan.jobs, key=lambda job: (job.entry, job.config.seed))))
    write_rows_alone(folder, plan, rows)
    return Collected(len(rows) - len(before), len(rows), len(plan.jobs))


def _join(rows: dict[str, ResultRow], more: Sequence[ResultRow], source: Path) -> None:
    for row in more:
        known = rows.setdefault(row.id, row)
        if known.checksum != row.checksum:
            raise RunError(
                f"{source} has another result of {row.id} than the folders before it: leave one of them out."
            )
