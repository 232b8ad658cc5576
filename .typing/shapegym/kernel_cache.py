"""Compiled kernels on disk, where a disk lets us: the cache saves seconds and must never stop anything.

Where no folder can be written (a read-only installation, no home), kernels are kept in a private temporary folder, which worker
processes share, or not at all. An entry that is damaged is compiled anew. Each is said once, in one line.
"""

from __future__ import annotations

import atexit
import hashlib
import logging
import os
import pickle
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core import config
from numba.core.caching import FunctionCache, IndexDataCacheFile

_DIGEST = hashlib.sha256().digest_size


def compiled(function: Callable[..., Any], *, kept: bool = True, **options: Any) -> Any:
    """Return ``numba.njit(function, **options)`` with a cache; the function itself if ``NUMBA_DISABLE_JIT`` is set.

    Without a cache where it is not to be ``kept``.
    """
    dispatcher = numba.njit(**options)(function)
    if kept and dispatcher is not function:
        with suppress(RuntimeError):  # of Numba: "no locator available"
            try:
                dispatcher._cache = _Cache(function)
            except RuntimeError:
                _move_to_temporary_folder()
                dispatcher._cache = _Cache(function)
    return dispatcher


def discard_old(dispatcher: Any, prefix: str, most: int) -> None:
    """Keep at most ``most`` kernels whose files begin so, the newest, where there are many that nobody may want again."""
    folder = getattr(getattr(dispatcher, "_cache", None), "_cache_path", None)
    with suppress(OSError):  # another process may be at it
        found = sorted(Path(folder or os.devnull).glob(f"{prefix}*"), key=lambda path: path.stat().st_mtime)
        for path in found[: -2 * most]:  # an index and machine code each
            path.unlink()


@cache
def _say(message: str) -> None:
    logging.getLogger(__name__).warning(message)


@cache
def _move_to_temporary_folder() -> None:
    """Let Numba keep kernels in a folder that vanishes with this process; its children find it by the environment."""
    try:
        folder = tempfile.mkdtemp(prefix="shapegym-kernels-")
    except OSError:
        _say(
            "no folder can be written, so kernels are compiled in every process; set NUMBA_CACHE_DIR to one that can"
        )
        return
    _say("no cache folder can be written, so kernels are compiled anew; set NUMBA_CACHE_DIR to one that can")
    os.environ["NUMBA_CACHE_DIR"] = config.CACHE_DIR = folder  # type: ignore[attr-defined]
    atexit.register(_remove, folder, os.getpid())


def _remove(folder: str, owner: int) -> None:
    if os.getpid() == owner:  # not a fork of it
        shutil.rmtree(folder, ignore_errors=True)


class _Cache(FunctionCache):
    """Numba's cache of one function, with a checksum on what it loads, and no errors."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call]
        stamp, name = self._impl.locator.get_source_stamp(), f"{self._impl.filename_base}.checked"
        self._cache_file = _CheckedFile(self._cache_path, name, stamp)  # type: ignore[no-untyped-call]

    def load_overload(self, *args: Any) -> Any:
        """Return what was compiled for a signature, or None."""
        try:
            return super().load_overload(*args)  # type: ignore[no-untyped-call]
        except Exception as error:  # unpickling raises whatever the damage leads it to
            _say(
                f"cached kernels in {self._cache_path} are damaged and compiled anew ({type(error).__name__})"
            )
            try:
                self._cache_file.flush()  # type: ignore[no-untyped-call]
            except OSError:
                self.disable()  # type: ignore[no-untyped-call]
            return None

    def save_overload(self, *args: Any) -> None:
        """Keep what was compiled, if that is possible."""
        try:
            super().save_overload(*args)  # type: ignore[no-untyped-call]
        except Exception as error:
            _say(f"kernels cannot be kept in {self._cache_path} ({type(error).__name__}: {error})")
            self.disable()  # type: ignore[no-untyped-call]


class _CheckedFile(IndexDataCacheFile):
    """Machine code with a checksum behind it: of flipped bits in it, Numba would notice nothing."""

    def _dump(self, obj: Any) -> bytes:
        content: bytes = super()._dump(obj)  # type: ignore[no-untyped-call]
        return content + hashlib.sha256(content).digest()

    def _load_data(self, name: str) -> Any:
        with open(self._data_path(name), "rb") as file:  # type: ignore[no-untyped-call]
            content = file.read()
        if hashlib.sha256(content[:-_DIGEST]).digest() != content[-_DIGEST:]:
            raise ValueError("its checksum is another")
        return pickle.loads(content)  # noqa: S301  # as Numba does
