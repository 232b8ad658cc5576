"""Files of JSON objects, one a line, that are written as things happen.

A killed process leaves an unfinished last line. Reading leaves it out, and appending writes over it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any


def encode_rows(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Return the lines.

    Raises:
        ValueError: for a NaN or infinite number.
        TypeError: for what JSON cannot hold.
    """
    return "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows).encode()


def append_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write the rows through to the operating system in one piece, or nothing if one cannot be encoded.

    Raises:
        ValueError: as `encode_rows`.
        TypeError: as `encode_rows`.
        OSError: if the file cannot be written.
    """
    if lines := encode_rows(rows):
        with path.open("a+b") as file:
            size = file.seek(0, 2)
            file.seek(max(size - 1, 0))
            if size and file.read(1) != b"\n":
                file.seek(0)
                file.truncate(file.read().rfind(b"\n") + 1)
            file.write(lines)


def read_rows(path: Path, error: Callable[[str], Exception]) -> list[dict[str, Any]]:
    """Return the rows; an unfinished last line is left out. The row at index i stands in line i + 1.

    Args:
        path: the file.
        error: makes of a message what is raised if another line is no JSON object.
    """
    rows = []
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines[:-1], start=1):  # what follows the last newline is torn, or empty
        try:
            row = json.loads(line.decode())
        except (ValueError, RecursionError) as reason:
            raise error(f"{path}, line {number}, is not JSON: {reason}") from None
        if not isinstance(row, dict):
            raise error(f"{path}, line {number}, is no row: it is {type(row).__name__}, not an object.")
        rows.append(row)
    return rows
