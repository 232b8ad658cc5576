"""``shapegym compare``."""

from __future__ import annotations

from typing import Annotated

import typer

from shapegym.experiments.console import Imports, explained, out, warn


def compare(
    a: Annotated[str, typer.Argument(help="Folder of a sweep, or FOLDER:CONTENDER.")],
    b: Annotated[str, typer.Argument(help="What A is compared with, written alike.")],
    on: Annotated[
        str, typer.Option("--on", help="success, return or area (under the learning curve of success).")
    ] = "success",
    _imports: Imports = None,
) -> None:
    """Compare two sweeps, or two contenders, task by task: A minus B."""
    from shapegym.experiments.reports.comparison import compare as compared
    from shapegym.experiments.reports.comparison import differences, summary
    from shapegym.shaping.discovery import only_loaded

    with explained(), only_loaded("This comparison"):
        comparisons = list(compared(a, b, on))
        for warning in dict.fromkeys(text for comparison in comparisons for text in comparison.warnings):
            warn(warning)
        for comparison in comparisons:
            out.print(differences(comparison))
            out.print(summary(comparison), style="dim", markup=False)
