"""``shapegym sweep``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.live import Live

from shapegym.experiments.console import err, explained, out, was_given
from shapegym.experiments.errors import RunError

if TYPE_CHECKING:
    from shapegym.experiments.board import Board
    from shapegym.experiments.executors.ray import RayExecutor
    from shapegym.experiments.plan import Plan
    from shapegym.experiments.pool import LocalPool
    from shapegym.experiments.sweep import Event, OnEvent, Search

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
) -> None:
    """Compare rewards: train every entry of a suite with every seed. Interrupted sweeps go on where they stopped."""
    with explained(), _executor(on, workers, mixed) as executor:
        from shapegym.experiments.board import Board, first_line, leaderboard
        from shapegym.experiments.sweep import sweep as run
        from shapegym.experiments.workspace import FAILURES, SWEEP, open_workspace, read_header

        folder = Path(source)
        if (folder / SWEEP).is_file():
            _refuse_changes(context, folder)
            header = read_header(folder)
            plan, chosen = _stored(folder, header["request"])
            request, wandb = header["request"], header["wandb"]
        else:
            request = {
                "suite": str(folder.resolve()) if folder.suffix else source,
                "quick": quick,
                "only": only,
                "seeds": seeds,
                "set": set_ or [],
                "search": search,
                "trials": trials,
                "ablate": ablate,
            }
            plan, chosen = _asked(request)
            folder = out_dir or Path("sweeps") / plan.name
        try:
            workspace = open_workspace(folder, plan, mixed=mixed, request=request, wandb=wandb)
            board = Board(workspace.rows)
            with _shown(board) as show:
                failed = run(workspace, chosen, executor, show, board.set_jobs)
        except KeyboardInterrupt:
            err.print(f"\nStopped. Go on with: shapegym sweep {folder}", highlight=False, soft_wrap=True)
            raise typer.Exit(130) from None
        wanted = {job.id for job in chosen.jobs(workspace.rows)}
        out.print(leaderboard(row for row in workspace.rows.values() if row.id in wanted))
        out.print(f"Report: shapegym report {folder}", highlight=False, soft_wrap=True)
        if failed:
            err.print(f"[bold red]{len(failed)} of {len(wanted)} runs failed.[/]", highlight=False)
            for job_id, message in list(failed.items())[:_SHOWN_FAILURES]:
                err.print(f"{job_id}: {first_line(message)}", highlight=False, markup=False)
            err.print(
                f"All of them: {folder / FAILURES}. Try them again: shapegym sweep {folder}",
                highlight=False,
                soft_wrap=True,
            )
            raise typer.Exit(1)


def _asked(request: dict[str, Any]) -> tuple[Plan, Search]:
    """The first jobs of what the command line asks for, and the search that knows the others."""
    from dataclasses import replace

    from shapegym.experiments.search import ablated, make_search, parse_axes
    from shapegym.experiments.suite import load_suite
    from shapegym.experiments.sweep import Fixed

    suite = load_suite(request["suite"])
    plan = suite.plan(quick=request["quick"], seeds=request["seeds"], only=request["only"])
    if request["ablate"]:
        plan = ablated(plan)
    axes = {axis.path: axis for axis in (*suite.axes, *parse_axes(request["set"]))}
    if axes or request["search"] or request["trials"]:
        search = make_search(request["search"] or "grid", plan, list(axes.values()), request["trials"])
    else:
        search = Fixed(plan)
    return replace(plan, jobs=tuple(search.jobs({}))), search


def _stored(folder: Path, request: dict[str, Any]) -> tuple[Plan, Search]:
    """What a sweep was asked for: all of its plan, or the search that knows what follows from its results."""
    from shapegym.experiments.sweep import Fixed
    from shapegym.experiments.workspace import read_plan

    if request.get("search") in ("halving", "optuna"):
        return _asked(request)
    plan = read_plan(folder)
    return plan, Fixed(plan)


def _refuse_changes(context: typer.Context, folder: Path) -> None:
    for parameter in context.command.params:
        if parameter.name in _FIXED and was_given(context, parameter.name):
            raise RunError(
                f"{folder} is a sweep and goes on as it was asked for: leave out {parameter.opts[0]}, or name the suite again."
            )


def _executor(on: str, workers: int | None, mixed: bool) -> LocalPool | RayExecutor:
    if on == "local":
        from shapegym.experiments.pool import LocalPool

        return LocalPool(workers)
    if on == "ray" or on.startswith("ray://"):
        from shapegym.experiments.executors.ray import RayExecutor

        return RayExecutor(on, workers, mixed=mixed)
    raise RunError(f"--on takes local, ray or ray://HOST:PORT, not {on!r}.")


@contextmanager
def _shown(board: Board) -> Iterator[OnEvent]:
    """A live table in a terminal, a line for each run elsewhere."""
    if not err.is_terminal:

        def say(event: Event) -> None:
            board.show(event)
            if line := board.line(event):
                err.print(line, markup=False, highlight=False, soft_wrap=True)

        yield say
        return
    with Live(board, console=err, auto_refresh=False) as live:  # another thread would see half-made changes
        drawn = 0.0

        def draw(event: Event) -> None:
            nonlocal drawn
            board.show(event)
            if (now := time.monotonic()) - drawn > _REFRESH_SECONDS:
                drawn = now
                live.refresh()

        yield draw
        live.refresh()
