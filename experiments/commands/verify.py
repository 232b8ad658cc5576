"""``shapegym verify``."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from shapegym.experiments.console import Imports, Trust, err, explained, out, say

if TYPE_CHECKING:
    from shapegym.experiments.sweeps.plan import Job
    from shapegym.experiments.sweeps.verification import Repetition

_SHOWN = 20


def verify(
    folder: Annotated[Path, typer.Argument(help="Folder of a sweep.")],
    runs: Annotated[int, typer.Option(help="How many runs to train again; 0: none.", min=0)] = 1,
    seed: Annotated[int, typer.Option(help="Which: draws the sample.", min=0)] = 0,
    only: Annotated[
        str, typer.Option(help="Of those whose ids (task/strategy/seed) contain this text.")
    ] = "",
    trust: Trust = False,
    _imports: Imports = None,
) -> None:
    """Check a sweep that somebody made: its index against its run folders, and sampled runs by training them again."""
    from shapegym.experiments.runs.run_folder import is_finished
    from shapegym.experiments.sweeps.plan import run_path
    from shapegym.experiments.sweeps.results import Results
    from shapegym.experiments.sweeps.verification import check_books, sample
    from shapegym.experiments.sweeps.workspace import read_plan
    from shapegym.shaping.discovery import only_loaded

    with explained(), only_loaded(folder, trust=trust):
        if wrong := list(check_books(folder)):
            _complain(wrong)
        else:
            rows, planned = Results.open(folder).rows, len(read_plan(folder).jobs)
            results, kept = len(rows), sum(is_finished(run_path(folder, row.id)) for row in rows)
            if kept == results:
                fit = "are those of their run folders"
            elif kept:
                fit = f"fit what was asked for, {kept:,} with a run folder that agrees"
            else:
                fit = "fit what was asked for; their run folders are not there"
            out.print(f"{results:,} results {fit}.")
            if results < planned:
                out.print(f"{planned - results:,} of {planned:,} planned runs have no result.")
        for job in sample(folder, runs, seed, only) if runs else ():
            wrong += _judged(job, _repeated(job, folder))
        if wrong:
            raise typer.Exit(1)


def _repeated(job: Job, folder: Path) -> Repetition:
    from shapegym.experiments.sweeps.verification import repeat

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with tempfile.TemporaryDirectory() as scratch, Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task(job.id, total=job.config.steps)
        return repeat(job, folder, Path(scratch) / "run", lambda step, _: bar.update(task, completed=step))


def _judged(job: Job, repetition: Repetition) -> list[str]:
    """Say what came of a repetition; return what speaks against the result."""
    from shapegym.experiments.sweeps.verification import TOLERANCE

    for name, (then, now) in repetition.changed.items():
        out.print(f"{job.id} was made with {name} {then}, this is {now}.", markup=False)
    if wrong := [f"{job.id}: {failure}" for failure in repetition.failures]:
        _complain(wrong)
        if repetition.resumed:
            err.print(
                f"{job.id} was interrupted and went on {repetition.resumed} times. If its environment has no snapshots, that "
                "alone makes another run of it."
            )
    elif repetition.differences:
        out.print(
            f"{job.id}: not equal to the bit, which other versions explain; within {TOLERANCE:g} of success and return."
        )
    else:
        out.print(f"{job.id}: equal to the bit.")
    return wrong


def _complain(wrong: Iterable[str]) -> None:
    lines = list(wrong)
    for line in islice(lines, _SHOWN):
        say(line, err, label="Differs:", style="bold red")
    if len(lines) > _SHOWN:
        err.print(f"... and {len(lines) - _SHOWN:,} more.")
