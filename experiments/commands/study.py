"""``shapegym study``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from shapegym.experiments.console import Imports, err, explained, out
from shapegym.experiments.tables import table

if TYPE_CHECKING:
    from shapegym.experiments.studies.claims import Findings, ResultTable


def study(
    name: Annotated[str, typer.Argument(help="Which; without it, all are listed.")] = "",
    seeds: Annotated[
        int,
        typer.Option(help="How many seeds, from 0 on; 0: as many as the study reports.", min=0, max=10_000),
    ] = 0,
    quick: Annotated[
        bool, typer.Option(help="A fraction of the work: see it run; the numbers mean nothing.")
    ] = False,
    workers: Annotated[int, typer.Option(help="Processes.", min=1)] = 2,
    out_file: Annotated[
        Path | None, typer.Option("--out", help="Write the findings to this JSON file.")
    ] = None,
    rows_file: Annotated[
        Path | None,
        typer.Option(
            "--rows",
            help="Keep what is done in this file of JSON lines, and go on from it (goal-similarity).",
        ),
    ] = None,
    _imports: Imports = None,
) -> None:
    """Check what a paper claims, on small tasks. Exit code 1 if a claim does not hold."""
    from shapegym.experiments.studies.claims import StudyRequest
    from shapegym.experiments.studies.index import load_study, study_names
    from shapegym.shaping.atomic_file import replacing

    with explained():
        if not name:
            rows = ((each, escape(load_study(each).claim)) for each in study_names())
            out.print(table("study", "what it checks", rows=rows, bare=True))
            out.print("[dim]Run one with `shapegym study NAME`.[/]")
            return
        chosen = load_study(name)
        if out_file is not None:
            out_file.parent.mkdir(parents=True, exist_ok=True)  # before the work, which may take hours
        if rows_file is not None:
            rows_file.parent.mkdir(parents=True, exist_ok=True)
        request = StudyRequest(
            seeds=tuple(range(seeds or (1 if quick else chosen.seeds))),
            quick=quick,
            workers=workers,
            say=lambda text: err.print(escape(text), style="dim"),
            rows=rows_file,
        )
        out.print(f"[bold]{escape(chosen.claim)}[/]")
        start = time.monotonic()
        findings = chosen.run(request)
        _show(findings, decides=not quick)
        out.print(
            f"{len(request.seeds)} seed(s), {time.monotonic() - start:.0f} s, {workers} process(es).",
            style="dim",
        )
        if quick:
            out.print("[bold]--quick: these numbers decide nothing.[/]")
        if out_file is not None:
            with replacing(out_file) as file:
                file.write(findings.as_json().encode())
        if not quick and not all(claim.holds for claim in findings.claims):
            raise typer.Exit(1)


def _show(findings: Findings, *, decides: bool) -> None:
    for found in findings.tables:
        out.print(_table(found))
    for claim in findings.claims:
        mark = "[green]holds[/]" if claim.holds else "[bold red]does not hold[/]"
        mark = mark if decides else "[dim]undecided[/]"
        out.print(f"{mark}: {escape(claim.text)} [dim]({escape(claim.measured)})[/]")
    for note in findings.notes:
        out.print(escape(note), style="dim")


def _table(found: ResultTable) -> Table:
    columns = [
        Column(
            heading,
            justify="right" if all(isinstance(row[place], (int, float)) for row in found.rows) else "left",
        )
        for place, heading in enumerate(found.columns)
    ]
    rows = (
        (f"{cell:.3g}" if isinstance(cell, float) else escape(str(cell)) for cell in row)
        for row in found.rows
    )
    return table(*columns, rows=rows, bare=True, title=found.title)
