"""Reports: what a sweep has shown, as one HTML file that needs nothing else, and as Markdown."""

from __future__ import annotations

from pathlib import Path

from shapegym.experiments.errors import RunError
from shapegym.experiments.report.evidence import gather
from shapegym.experiments.report.page import compose
from shapegym.experiments.report.render import html, markdown
from shapegym.experiments.run_folder import write_text


def write_report(folder: Path, target: Path | None = None) -> tuple[Path, Path]:
    """Write the report of a sweep.

    Args:
        folder: of the sweep.
        target: the HTML file; ``report.html`` in the folder by default. The Markdown lies beside it.

    Returns:
        The two files.

    Raises:
        RunError: if the folder holds no results, or damaged ones.
    """
    evidence = gather(folder)
    target = folder / "report.html" if target is None else target
    if target.suffix not in (".html", ".htm"):
        raise RunError(f"A report is a file such as report.html, not {target}.")
    if not target.absolute().parent.is_dir():
        raise RunError(f"There is no folder {target.absolute().parent} for the report.")
    page = compose(evidence)
    text = target.with_suffix(".md")
    write_text(target, html(page))
    write_text(text, markdown(page))
    return target, text
