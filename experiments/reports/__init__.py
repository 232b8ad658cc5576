"""Reports: what a sweep has shown, as one HTML file that needs nothing else, and as Markdown."""

from __future__ import annotations

from pathlib import Path

from shapegym.experiments.errors import RunError
from shapegym.experiments.reports.page import compose
from shapegym.experiments.reports.render import html, markdown
from shapegym.experiments.reports.sources import gather
from shapegym.experiments.runs.run_folder import write_text


def report(folder: str | Path, out: str | Path | None = None) -> Path:
    """Write what a sweep has shown: one HTML file that needs nothing else, and Markdown beside it.

    Args:
        folder: of the sweep.
        out: the HTML file; ``report.html`` in the folder by default. The Markdown has its name, with the suffix ``.md``.

    Returns:
        The HTML file.

    Raises:
        RunError: if the folder holds no results, or damaged ones, or ``out`` is no place for a report.
    """
    evidence = gather(Path(folder))
    target = Path(folder) / "report.html" if out is None else Path(out)
    if target.suffix not in (".html", ".htm"):
        raise RunError(f"A report is a file such as report.html, not {target}.")
    if not target.absolute().parent.is_dir():
        raise RunError(f"There is no folder {target.absolute().parent} for the report.")
    page = compose(evidence)
    text = markdown(page)
    write_text(target, html(page))
    write_text(target.with_suffix(".md"), text)
    return target
