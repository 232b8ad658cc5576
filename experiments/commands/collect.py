"""``shapegym collect``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shapegym.experiments.console import explained, out, say


def collect(
    sweeps: Annotated[
        list[Path],
        typer.Argument(metavar="FOLDER...", help="Folders of sweeps of one suite, such as parts of it."),
    ],
    target: Annotated[Path, typer.Option("--out", help="New, or collected before: what it holds stays.")],
) -> None:
    """Put the finished rows of sweeps into one folder, without the run folders: small enough to share or to commit."""
    from shapegym.experiments.sweeps.collection import collect

    with explained():
        found = collect(sweeps, target)
        out.print(
            f"{found.new:,} new results: {found.rows:,} of {found.planned:,} planned runs are in {target}.",
            markup=False,
        )
        say(f"Report: shapegym report {target}")
