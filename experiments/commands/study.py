"""``shapegym study``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from shapegym.experiments.console import err, explained, out

if TYPE_CHECKING:
    from shapegym.experiments.study import Findings, Grid


def study(
    name: Annotated[str, typer.Argument(help="Which; without it, all are listed.")] = "",
    seeds: Annotated[
        int, typer.Option(help="How many seeds, from 0 on; 0: as many as the study reports.", min=0)
    ] = 0,
    quick: Annotated[
        bool, typer.Option(help="A fraction of the work: see it run; the numbers mean nothing.")
    ] = False,
    workers: Annotated[int, typer.Option(help="Processes.", min=1)] = 2,
    out_file: Annotated[
        Path | None, typer.Option("--out", help="Write the findings to this JSON file.")
    ] = None,
) -> None:
    """Check what a paper claims, on small tasks. Exit code 1 if a claim does not hold."""
    from shapegym.experiments.study import Request, load_study, study_names
    from shapegym.shaping.files.atomic_file import replacing

    with explained():
        if not name:
            table = Table("study", "what it checks", box=None, padding=(0, 2, 0, 0))
            for each in study_names():
                table.add_row(each, escape(load_study(each).claim))
            out.print(table)
            out.print("[dim]Run one with `shapegym study NAME`.[/]")
            return
        chosen = load_study(name)
        if out_file is not None:
            out_file.parent.mkdir(parents=True, exist_ok=True)  # before the work, which may take hours
        request = Request(
            seeds=tuple(range(seeds or (1 if quick else chosen.seeds))),
            quick=quick,
            workers=workers,
            say=lambda text: err.print(escape(text), style="dim", highlight=False),
        )
        out.print(f"[bold]{escape(chosen.claim)}[/]", highlight=False)
        start = time.monotonic()
        findings = chosen.run(request)
        _show(findings, decides=not quick)
        out.print(
            f"{len(request.seeds)} seed(s), {time.monotonic() - start:.0f} s, {workers} process(es).",
            style="dim",
            highlight=False,
        )
        if quick:
            out.print("[bold]--quick: these numbers decide nothing.[/]")
        if out_file is not None:
            with replacing(out_file) as file:
                file.write(findings.as_json().encode())
        if not quick and not all(claim.holds for claim in findings.claims):
            raise typer.Exit(1)


def _show(findings: Findings, *, decides: bool) -> None:
    for grid in findings.tables:
        out.print(_table(grid))
    for claim in findings.claims:
        mark = "[green]holds[/]" if claim.holds else "[bold red]does not hold[/]"
        mark = mark if decides else "[dim]undecided[/]"
        out.print(f"{mark}: {escape(claim.text)} [dim]({escape(claim.measured)})[/]", highlight=False)
    for note in findings.notes:
        out.print(escape(note), style="dim", highlight=False)


def _table(grid: Grid) -> Table:
    numeric = [
        all(isinstance(row[place], (int, float)) for row in grid.rows) for place in range(len(grid.columns))
    ]
    table = Table(title=grid.title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for column, right in zip(grid.columns, numeric, strict=True):
        table.add_column(column, justify="right" if right else "left")
    for row in grid.rows:
        table.add_row(*(f"{cell:.3g}" if isinstance(cell, float) else escape(str(cell)) for cell in row))
    return table
