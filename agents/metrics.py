"""Metrics on disk: rows with a global step, and what a resumed run does with those of its first life."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from shapegym.agents.errors import MetricsFileError
from shapegym.shaping.atomic_file import replacing
from shapegym.shaping.json_lines import append_rows, each_row, encode_rows, read_rows
from shapegym.shaping.limits import Natural, takes

Fields: TypeAlias = Mapping[str, Any]
"""What the rows of a file have: name -> what it takes, as annotated (`shapegym.shaping.limits`); a Mapping is one of numbers."""

EPISODE: Fields = {
    "step": Natural,
    "lane": Natural,
    "length": Natural,
    "task_return": float,
    "shaped_return": float,
    "success": bool | None,
    "parts": Mapping,
}
EVALUATION: Fields = {
    "step": Natural,
    "episodes": Natural,
    "success_rate": float | None,
    "mean_return": float,
    "mean_length": float,
}


class JsonLines:
    """An append-only file of rows, each a flat or nested dict of plain values with the global step under ``step``.

    Args:
        path: the file; its folder is created.
        resume_at: the global step at which this run goes on. Rows of later steps, which a run wrote that was then interrupted and
            resumed from an earlier checkpoint, are dropped. 0 starts a new run.
        fields: of the rows, beside ``step``.

    Raises:
        MetricsFileError: if a new run would mix its rows with those of another, or the file is damaged.
    """

    def __init__(self, path: str | Path, resume_at: int = 0, fields: Fields | None = None) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._fields = fields
        if self.path.exists():
            if resume_at == 0 and next(self.rows(), None) is not None:
                raise MetricsFileError(
                    f"{self.path} holds rows of another run, and this run starts at step 0. Choose another folder, or delete "
                    "the file."
                )
            self.rewrite(row for row in self.rows() if row["step"] <= resume_at)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the rows that are there. See `each_json_line`."""
        return each_json_line(self.path, self._fields) if self.path.exists() else iter(())

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write the rows through to the operating system in one piece.

        Raises:
            ValueError: for a NaN or infinite number; nothing is written.
        """
        append_rows(self.path, rows)

    def rewrite(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Replace everything, whole or not at all."""
        with replacing(self.path) as file:
            for row in rows:
                file.write(encode_rows([row]))


def read_json_lines(path: str | Path, fields: Fields | None = None) -> list[dict[str, Any]]:
    """Return the rows of a `JsonLines` file, of at most `LARGEST_ROWS`. See `each_json_line`."""
    return list(_checked(read_rows(Path(path), MetricsFileError), path, fields))


def each_json_line(path: str | Path, fields: Fields | None = None) -> Iterator[dict[str, Any]]:
    """Yield the rows of a `JsonLines` file; an unfinished last line is left out.

    Args:
        path: the file.
        fields: what every row must have.

    Raises:
        MetricsFileError: if another line is no row, or lacks a field; says which.
    """
    return _checked(each_row(Path(path), MetricsFileError), path, fields)


def _checked(
    rows: Iterable[dict[str, Any]], path: str | Path, fields: Fields | None
) -> Iterator[dict[str, Any]]:
    for number, row in enumerate(rows, start=1):
        for name, hint in (fields or _STEP).items():
            value = row.get(name, row)  # a mapping is no value of any field but the parts
            if not takes(hint, value) or (hint is Mapping and not _are_numbers(value, row)):
                said = f"its {name} is {str(value)[:60]!r}" if name in row else f"it has no {name}"
                raise MetricsFileError(f"{path}, line {number}, is no row of metrics: {said}.")
        yield row


_STEP: Fields = {"step": Natural}


def _are_numbers(parts: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    return parts is not row and all(takes(float, value) for value in parts.values())
