"""``shapegym report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shapegym.experiments.console import Imports, explained, say


def report(
    folder: Annotated[Path, typer.Argument(help="Folder of a sweep.")],
    target: Annotated[
        Path | None, typer.Option("--out", help="The HTML file; FOLDER/report.html by default.")
    ] = None,
    _imports: Imports = None,
) -> None:
    """Write what a sweep has shown: one HTML file that needs nothing else, and Markdown beside it."""
    from shapegym.experiments import reports
    from shapegym.shaping.discovery import only_loaded

    with explained(), only_loaded(folder):
        page = reports.report(folder, target)
        say(f"Report: {page}\nMarkdown: {page.with_suffix('.md')}")
