"""Files of JSON objects, one a line, that are written as things happen.

A killed process leaves an unfinished last line. Reading leaves it out, and appending writes over it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from shapegym.shaping.limited_files import LARGEST_DOCUMENT, MIB, in_words, opened, parse_json

LARGEST_ROWS = 128 * MIB
"""Bytes of a file of which all rows are kept at once: as Python objects they take some six times as much."""


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
        OSError: if the file cannot be written, or is a link (what comes from elsewhere does not choose where rows go), or ends in
            something too long to be a row.
    """
    if lines := encode_rows(rows):
        with open(path, "a+b", opener=_not_through_links) as file:
            size = file.seek(0, 2)
            file.seek(max(size - 1, 0))
            if size and file.read(1) != b"\n":
                start = file.seek(max(size - LARGEST_DOCUMENT, 0))
                whole = file.read().rfind(b"\n") + 1
                if start and not whole:
                    raise OSError(f"{path} ends in a line of more than {in_words(LARGEST_DOCUMENT)}")
                file.truncate(start + whole)
            file.write(lines)


def read_rows(path: Path, error: type[Exception]) -> list[dict[str, Any]]:
    """Return the rows of a file of at most `LARGEST_ROWS`. See `each_row`."""
    with opened(path, error) as file:
        size = os.fstat(file.fileno()).st_size
    if size > LARGEST_ROWS:
        raise error(f"{path} is too large: rows of at most {in_words(LARGEST_ROWS)} are read at once.")
    return list(each_row(path, error))


def each_row(path: Path, error: type[Exception], *, finite: bool = True) -> Iterator[dict[str, Any]]:
    """Yield the rows; an unfinished last line is left out. The n-th row stands in line n.

    Args:
        path: the file.
        error: what is raised if it cannot be read, or a line is no JSON object or longer than `LARGEST_DOCUMENT`.
        finite: see `shapegym.shaping.limited_files.parse_json`.
    """
    with opened(path, error) as file:
        for number in count(1):
            line = file.readline(LARGEST_DOCUMENT + 1)
            where = f"{path}, line {number},"
            if len(line) > LARGEST_DOCUMENT:
                raise error(f"{where} is too long: at most {in_words(LARGEST_DOCUMENT)} are read.")
            if not line.endswith(b"\n"):  # torn
                break
            row = parse_json(line, error, where, finite=finite)
            if not isinstance(row, dict):
                raise error(f"{where} is no row: it is {type(row).__name__}, not an object.")
            yield row


def _not_through_links(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)
