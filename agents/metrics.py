"""Metrics on disk: rows with a global step, and what a resumed run does with those of its first life."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from shapegym.agents.errors import MetricsFileError
from shapegym.shaping.atomic_file import replacing
from shapegym.shaping.json_lines import append_rows, encode_rows, read_rows


class JsonLines:
    """An append-only file of rows, each a flat or nested dict of plain values with the global step under ``step``.

    Args:
        path: the file; its folder is created.
        resume_at: the global step at which this run goes on. Rows of later steps, which a run wrote that was then interrupted and
            resumed from an earlier checkpoint, are dropped. 0 starts a new run.

    Attributes:
        kept: the rows that were there and stay.

    Raises:
        MetricsFileError: if a new run would mix its rows with those of another, or the file is damaged.
    """

    def __init__(self, path: str | Path, resume_at: int = 0) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        rows = read_json_lines(self.path) if self.path.exists() else []
        if rows and resume_at == 0:
            raise MetricsFileError(
                f"{self.path} holds {len(rows)} rows of another run, and this run starts at step 0. Choose another folder, or "
                "delete the file."
            )
        self.kept = [row for row in rows if row["step"] <= resume_at]
        if self.path.exists():
            self.rewrite(self.kept)

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write the rows through to the operating system in one piece.

        Raises:
            ValueError: for a NaN or infinite number; nothing is written.
        """
        append_rows(self.path, rows)

    def rewrite(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Replace everything, whole or not at all."""
        with replacing(self.path) as file:
            file.write(encode_rows(rows))


def read_json_lines(path: str | Path) -> list[dict[str, Any]]:
    """Return the rows of a `JsonLines` file; an unfinished last line is left out.

    Raises:
        MetricsFileError: if another line is no row; says which.
    """
    rows = read_rows(Path(path), MetricsFileError)
    for number, row in enumerate(rows, start=1):
        if not isinstance(row.get("step"), int):
            raise MetricsFileError(f"{path}, line {number}, is no row of metrics: it has no integer 'step'.")
    return rows
