"""``shapegym sweep``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.live import Live

from shapegym.experiments.console import (
    Imports,
    Trust,
    as_options,
    err,
    explained,
    out,
    require_recorded,
    say,
    was_given,
)
from shapegym.experiments.errors import RunError

if TYPE_CHECKING:
    from shapegym.experiments.sweeps.board import Board
    from shapegym.experiments.sweeps.entry import SweepResult
    from shapegym.experiments.sweeps.workspace import Workspace

_FIXED = ("out_dir", "quick", "only", "seeds", "set_", "search", "trials", "ablate", "wandb")
"""Options that a sweep keeps from its beginning."""

_SHOWN_FAILURES = 10
_REFRESH_SECONDS = 0.25


def sweep(
    context: typer.Context,
    source: Annotated[
        str,
        typer.Argument(
            metavar="SUITE|FILE|FOLDER", help="A ready suite, a suite file, or a sweep to go on with."
        ),
    ],
    out_dir: Annotated[
        Path | None, typer.Option("--out", help="Folder of the sweep; sweeps/SUITE by default.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="The part of the suite that gives an answer soon.")
    ] = False,
    only: Annotated[str, typer.Option(help="Entries (task/strategy) that contain this text.")] = "",
    seeds: Annotated[int | None, typer.Option(help="How many, in place of the suite's.", min=1)] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Runs at a time, each on one core; as many as there are cores by default.", min=1),
    ] = None,
    on: Annotated[str, typer.Option(help="local, ray, or ray://HOST:PORT.")] = "local",
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="FIELD=V1,V2", help="A field to vary; repeatable. FIELD=LOW..HIGH is a range."
        ),
    ] = None,
    search: Annotated[
        str | None,
        typer.Option(help="How variants are chosen: grid, random, halving or optuna; grid by default."),
    ] = None,
    trials: Annotated[int | None, typer.Option(help="Variants that a search tries.", min=1)] = None,
    ablate: Annotated[
        bool, typer.Option("--ablate", help="Also each reward with one part left out at a time.")
    ] = False,
    wandb: Annotated[
        str, typer.Option(metavar="PROJECT", help="Show the runs on Weights & Biases too (extra `wandb`).")
    ] = "",
    mixed: Annotated[
        bool, typer.Option("--mixed", help="Go on although there are results of other versions or machines.")
    ] = False,
    trust: Trust = False,
    imports: Imports = None,
) -> None:
    """Compare rewards: train every entry of a suite with every seed. Interrupted sweeps go on where they stopped."""
    from shapegym.experiments.sweeps import entry

    opened: list[Path] = []
    with explained():
        _refuse_changes(context, Path(source), imports or [])
        try:
            found = entry.sweep(
                source,
                out_dir,
                quick=quick,
                only=only,
                seeds=seeds,
                workers=workers,
                on=on,
                vary=set_ or (),
                search=search,
                trials=trials,
                ablate=ablate,
                wandb=wandb,
                mixed=mixed,
                imports=imports or (),
                trust=trust,
                watch=partial(shown, opened),
            )
        except KeyboardInterrupt:
            if not opened:
                raise
            say(f"\nStopped. Go on with: shapegym sweep {_again(opened[0])}", err)
            raise typer.Exit(130) from None
        _conclude(found)


def _again(folder: Path) -> str:
    """How a sweep goes on: its folder, and the modules that its runs need."""
    return f"{folder}{as_options(_modules(folder))}"


def _modules(folder: Path) -> dict[str, None]:
    from shapegym.experiments.sweeps.workspace import read_plan

    return dict.fromkeys(name for job in read_plan(folder).jobs for name in job.config.modules)


def _conclude(found: SweepResult) -> None:
    from shapegym.experiments.sweeps.board import first_line, leaderboard
    from shapegym.experiments.sweeps.workspace import FAILURES

    out.print(leaderboard(found.rows))
    say(f"Report: shapegym report {found.folder}")
    if found.failures:
        err.print(f"[bold red]{len(found.failures)} of {found.jobs} runs failed.[/]")
        for job_id, message in list(found.failures.items())[:_SHOWN_FAILURES]:
            say(f"{job_id}: {first_line(message)}", err)
        again = f"shapegym sweep {_again(found.folder)}"
        say(f"All of them: {found.folder / FAILURES}\nTry them again: {again}", err)
        raise typer.Exit(1)


def _refuse_changes(context: typer.Context, folder: Path, imports: list[str]) -> None:
    if not folder.is_dir():  # spares an import that workers need not wait for
        return
    from shapegym.experiments.sweeps.workspace import SWEEP

    if not (folder / SWEEP).is_file():
        return
    for parameter in context.command.params:
        if parameter.name in _FIXED and was_given(context, parameter.name):
            raise RunError(
                f"{folder} is a sweep and goes on as it was asked for: leave out {parameter.opts[0]}, or name the suite again."
            )
    if imports:
        require_recorded(imports, _modules(folder), folder)


def _say(line: str) -> None:
    if line:
        say(line, err)


@contextmanager
def shown(opened: list[Path], workspace: Workspace) -> Iterator[Board]:
    """A live table in a terminal, a line for each run elsewhere; says which folder it is of."""
    from shapegym.experiments.sweeps.board import Board

    opened.append(workspace.folder)
    if not err.is_terminal:
        yield Board(workspace.rows, _say)
        return
    drawn = 0.0

    def draw(_: str) -> None:
        nonlocal drawn
        if (now := time.monotonic()) - drawn > _REFRESH_SECONDS:
            drawn = now
            live.refresh()

    board = Board(workspace.rows, draw)
    with Live(board, console=err, auto_refresh=False) as live:  # another thread would see half-made changes
        yield board
        live.refresh()
