"""Metrics on disk: one JSON object a line, appended as things happen.

Reading tolerates a torn last line, which is what a killed process leaves.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from shapegym.agents.errors import MetricsFileError
from shapegym.shaping.files.atomic_file import replacing


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
        text = _encode(rows)
        if text:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(text)

    def rewrite(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Replace everything, whole or not at all."""
        with replacing(self.path) as file:
            file.write(_encode(rows).encode())


def read_json_lines(path: str | Path) -> list[dict[str, Any]]:
    """Return the rows of a `JsonLines` file; an unfinished last line is left out.

    Raises:
        MetricsFileError: if another line is no row; says which.
    """
    rows = []
    lines = Path(path).read_text(encoding="utf-8", errors="replace").split("\n")
    for number, line in enumerate(lines[:-1], start=1):  # what follows the last newline is torn, or empty
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise MetricsFileError(f"{path}, line {number}, is not JSON: {error}") from None
        if not isinstance(row, dict) or not isinstance(row.get("step"), int):
            raise MetricsFileError(f"{path}, line {number}, is no row of metrics: it has no integer 'step'.")
        rows.append(row)
    return rows


def _encode(rows: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows)
