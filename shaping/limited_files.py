"""Files of anybody, read within limits: bytes, text, JSON. Archives: `shapegym.shaping.limited_archives`.

A file may come from the net, from a damaged disk, or from somebody who wants to know what happens. Whatever it holds, reading takes
bounded time and memory and ends in plain data or in one error, of the caller's type, that names the file and the limit. Only
regular files are read: a FIFO or a device is refused before it can block.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from typing import Any, TypeAlias

from shapegym.shaping.errors import said_as

PathLike: TypeAlias = str | os.PathLike[str]

MIB = 2**20
LARGEST_DOCUMENT = 16 * MIB
"""Bytes of a JSON document, or of one line of a file of rows: as Python objects it takes up to 25 times as much."""
LARGEST_HOLLOW = 256 * MIB
"""Bytes of a file that may be mostly holes: they take no room, so a file that is nothing else may be of any size."""
MOST_HOLLOW = 16
"""How many times what is in a larger file its size may be: programs that copy leave out long zeros."""
DEEPEST = 100
"""Mappings and lists inside of one another: what is made of the data may go through it by recursion."""
MOST_DIGITS = 300
"""Of an integer: a float holds it then."""

_LONG_INTEGER = re.compile(rb"[0-9]{%d}" % (MOST_DIGITS + 1))
_KINDS = {
    stat.S_IFDIR: "Is a directory",
    stat.S_IFIFO: "Is a FIFO, not a regular file",
    stat.S_IFSOCK: "Is a socket, not a regular file",
    stat.S_IFCHR: "Is a device, not a regular file",
    stat.S_IFBLK: "Is a device, not a regular file",
}
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


@contextmanager
def opened(path: PathLike, error: type[Exception], what: str = "file") -> Iterator[BufferedReader]:
    """Open a regular file to read bytes.

    Args:
        path: the file, or a link to it.
        error: what is raised if it cannot be read, is none, or vanishes in the block.
        what: it is, for messages.
    """
    with said_as(error, (OSError, ValueError), f"The {what} {os.fspath(path)!s} cannot be read: "):
        handle = os.open(path, _FLAGS)
        with open(handle, "rb") as file:
            status = os.fstat(handle)
            if kind := _KINDS.get(stat.S_IFMT(status.st_mode)):
                raise OSError(kind)
            if status.st_size > max(LARGEST_HOLLOW, MOST_HOLLOW * _filled(handle, status.st_size)):
                raise OSError(f"Is hollow: nearly all of its {in_words(status.st_size)} are holes")
            yield file


def _filled(handle: int, size: int) -> int:
    """Bytes of a large file that are not in holes; where the system does not tell, all of them."""
    if size <= LARGEST_HOLLOW or not hasattr(os, "SEEK_DATA"):
        return size
    filled = end = 0
    try:
        while end < size:
            start = os.lseek(handle, end, os.SEEK_DATA)
            end = os.lseek(handle, start, os.SEEK_HOLE)
            filled += end - start
    except OSError as error:
        if error.errno != errno.ENXIO:  # no data after this
            return size
    finally:
        os.lseek(handle, 0, os.SEEK_SET)
    return filled


def read_bytes(
    path: PathLike, error: type[Exception], what: str = "file", *, limit: int = LARGEST_DOCUMENT
) -> bytes:
    """Return the content of a regular file of at most ``limit`` bytes."""
    with opened(path, error, what) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise error(f"The {what} {path} is too large: at most {in_words(limit)} are read.")
    return content


def read_text(
    path: PathLike, error: type[Exception], what: str = "file", *, limit: int = LARGEST_DOCUMENT
) -> str:
    """Return the UTF-8 text of a regular file of at most ``limit`` bytes."""
    content = read_bytes(path, error, what, limit=limit)
    with said_as(error, UnicodeDecodeError, f"The {what} {path} is not UTF-8 text (", "); save it as UTF-8."):
        return content.decode()


def read_json(path: PathLike, error: type[Exception], what: str = "file", *, finite: bool = True) -> Any:
    """Return the data of a JSON file. See `parse_json`."""
    return parse_json(read_bytes(path, error, what), error, f"The {what} {path}", finite=finite)


def read_object(
    path: PathLike, error: type[Exception], what: str = "file", *, finite: bool = True
) -> dict[str, Any]:
    """Return the data of a JSON file that holds an object. See `parse_json`."""
    data = read_json(path, error, what, finite=finite)
    if not isinstance(data, dict):
        raise error(f"The {what} {path} holds {type(data).__name__}, not an object of JSON.")
    return data


def parse_json(content: bytes, error: type[Exception], source: str, *, finite: bool = True) -> Any:
    """Return the data of JSON in UTF-8.

    Args:
        content: the text.
        error: what is raised if it is no JSON, repeats a key, nests more than `DEEPEST` levels, or has a longer integer than
            `MOST_DIGITS`; begins with ``source``.
        source: what is read, for messages.
        finite: refuse NaN and Infinity, which are no JSON, but which Python writes.
    """
    hooks: dict[str, Any] = {"object_pairs_hook": _mapping}
    if finite:
        hooks["parse_constant"] = _refuse_constant
    if _LONG_INTEGER.search(content):  # in a text it may stand
        hooks["parse_int"] = _short_integer
    with said_as(error, (ValueError, RecursionError, MemoryError), f"{source} is not JSON: "):
        text = content.decode()
        data = json.loads(text, **hooks)
        if "\\u" in text:
            json.dumps(data, ensure_ascii=False).encode()  # half of a surrogate pair is no text
        if text.count("[") + text.count("{") > DEEPEST:
            require_shallow(data)
    return data


def require_shallow(data: Any) -> None:
    """Raise a ValueError if plain data nests more than `DEEPEST` levels."""
    level = [data]
    for _ in range(DEEPEST + 1):
        if not level:
            return
        level = [
            item
            for entry in level
            if isinstance(entry, (dict, list))
            for item in (entry.values() if isinstance(entry, dict) else entry)
            if isinstance(item, (dict, list))
        ]
    raise ValueError(f"nested too deeply, at most {DEEPEST} levels are read")


def in_words(size: int) -> str:
    """Return a number of bytes as one says it."""
    return f"{size // MIB:,} MiB" if size >= MIB else f"{size:,} bytes"


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in data if keys.count(key) > 1)!r} is repeated")
    return data


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _short_integer(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise ValueError(f"an integer has {len(text)} digits, at most {MOST_DIGITS} are read")
    return int(text)
