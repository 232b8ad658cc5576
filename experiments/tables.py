"""Tables for a terminal, all made alike."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import RenderableType
from rich.table import Column, Table


def table(
    *text: str | Column,
    numbers: Iterable[str] = (),
    rows: Iterable[Iterable[RenderableType]] = (),
    bare: bool = False,
    **options: Any,
) -> Table:
    """Return a table.

    Args:
        text: headings of its columns of text.
        numbers: headings of the columns that follow, justified to the right.
        rows: the cells, with rich's markup.
        bare: without lines.
        options: of `rich.table.Table`.
    """
    plain: dict[str, Any] = {"box": None, "padding": (0, 2, 0, 0)} if bare else {}
    shown = Table(*text, title_justify="left", **plain, **options)
    for heading in numbers:
        shown.add_column(heading, justify="right")
    for row in rows:
        shown.add_row(*row)
    return shown
