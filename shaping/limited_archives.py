"""Archives of arrays, ``.npz`` and other zips, checked before they are expanded. See `shapegym.shaping.limited_files`.

What an archive says of itself (entries, sizes, shapes) is compared with the size of the file before memory is taken for it, so a
small file cannot take much: it may expand to `LARGEST_EXPANSION`, a larger one to its own size. No pickles, no arrays of objects.
"""

from __future__ import annotations

import io
import math
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from shapegym.shaping.errors import said_as
from shapegym.shaping.limited_files import LARGEST_DOCUMENT, MIB, PathLike, in_words, opened

LARGEST_EXPANSION = 256 * MIB
LARGEST_DIRECTORY = 4 * MIB
MOST_ENTRIES = 10_000

_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_CHUNK = MIB
_LARGEST_HEAD = 2**16
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


@dataclass(frozen=True)
class Form:
    """What an array is, before it is read."""

    dtype: np.dtype
    shape: tuple[int, ...]
    fortran: bool
    offset: int

    @property
    def nbytes(self) -> int:
        """Bytes of its numbers."""
        return math.prod(self.shape) * self.dtype.itemsize


class Archive:
    """The entries of a zip file, by name. Made by `open_archive`; whatever its methods raise becomes the error given there."""

    def __init__(self, file: zipfile.ZipFile, size: int) -> None:
        self._file = file
        self._limit = max(LARGEST_EXPANSION, size)
        entries = file.infolist()
        self._entries = {info.filename: info for info in entries}
        expanded = sum(info.file_size for info in entries)
        if len(self._entries) < len(entries):
            raise ValueError("it has two entries of one name")
        if len(entries) > MOST_ENTRIES:
            raise ValueError(f"it has {len(entries):,} entries, at most {MOST_ENTRIES:,} are read")
        if not all(info.compress_type in _COMPRESSIONS for info in entries):
            raise ValueError("it is compressed in another way than by deflate")
        if expanded > self._limit:
            raise ValueError(
                f"its entries expand to {in_words(expanded)}, of this file at most {in_words(self._limit)} are read"
            )

    @property
    def names(self) -> list[str]:
        """Of the entries."""
        return list(self._entries)

    def read(self, name: str, limit: int = LARGEST_DOCUMENT) -> bytes:
        """Return an entry of at most ``limit`` bytes."""
        chunks = []
        for chunk in self._chunks(name):
            chunks.append(chunk)
            if (limit := limit - len(chunk)) < 0:
                raise ValueError(f"its entry {name} is too large")
        return b"".join(chunks)

    def form(self, name: str) -> Form:
        """Return what the array ``name`` is; what it says of itself agrees with the size of its entry."""
        entry = f"{name}.npy"
        head = io.BytesIO(next(self._chunks(entry), b"")[:_LARGEST_HEAD])
        version = np.lib.format.read_magic(head)
        if version not in _HEADERS:
            raise ValueError(f"{name} is written in version {version} of NumPy's format")
        shape, fortran, dtype = _HEADERS[version](head)
        form = Form(dtype, tuple(map(int, shape)), fortran, head.tell())
        if dtype.kind not in "biufcUS" or not dtype.itemsize:
            raise ValueError(f"{name} is an array of {dtype}, not of numbers or texts")
        held = self._entries[entry].file_size - form.offset
        if min(shape, default=0) < 0 or form.nbytes != held:
            raise ValueError(f"{name} says that it is {dtype} of shape {form.shape}, and has {held:,} bytes")
        if math.prod(max(side, 1) for side in shape) * dtype.itemsize > self._limit:
            raise ValueError(f"{name} has the shape {form.shape}, without a number in it")
        return form

    def array(self, name: str) -> np.ndarray:
        """Return the array ``name``."""
        form = self.form(name)
        content = np.empty(form.nbytes, np.uint8)
        at = -form.offset
        for chunk in self._chunks(f"{name}.npy"):
            numbers = chunk[max(-at, 0) :]
            content[max(at, 0) : at + len(chunk)] = np.frombuffer(numbers, np.uint8)
            at += len(chunk)
        if at != len(content):
            raise ValueError(f"{name} is shorter than it says")
        if form.dtype.kind == "b" and content.max(initial=0) > 1:
            raise ValueError(f"{name} is of true and false, and has something else in it")
        return content.view(form.dtype).reshape(form.shape, order="F" if form.fortran else "C")

    def _chunks(self, name: str) -> Iterator[bytes]:
        """Pieces of an entry: asked for all at once, it would expand to whatever is in it, before its size is compared."""
        if name not in self._entries:
            raise ValueError(f"it has no entry {name!r}")
        with self._file.open(self._entries[name]) as entry:
            while chunk := entry.read(_CHUNK):
                yield chunk


@contextmanager
def open_archive(
    path: PathLike, error: type[Exception], what: str = "archive", *, then: str = "."
) -> Iterator[Archive]:
    """Open a zip file whose entries are few and, expanded, not too large.

    Args:
        path: the file.
        error: what is raised for whatever is wrong with it, in the block too.
        what: it is, for messages.
        then: ends messages about damage: what to do.
    """
    with (
        opened(path, error, what) as file,
        # The zip and npy readers raise whatever the damage leads them to.
        said_as(error, Exception, f"The {what} {path} is damaged, or none (", f"){then}"),
        zipfile.ZipFile(_InSteps(file)) as archive,
    ):
        yield Archive(archive, os.fstat(file.fileno()).st_size)


def read_arrays(path: PathLike, error: type[Exception], what: str = "archive") -> dict[str, np.ndarray]:
    """Return the arrays of an ``.npz`` file by name; it holds nothing else."""
    with open_archive(path, error, what) as archive:
        return {name: archive.array(name) for name in (entry.removesuffix(".npy") for entry in archive.names)}


class _InSteps:
    """A file that is never read in one large piece: the directory of a zip would be, as long as it says that it is."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def seekable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        content = self._file.read(
            LARGEST_DIRECTORY + 1 if size is None or size < 0 else min(size, LARGEST_DIRECTORY + 1)
        )
        if len(content) > LARGEST_DIRECTORY:
            raise ValueError(f"it names its entries in more than {in_words(LARGEST_DIRECTORY)}")
        return content
