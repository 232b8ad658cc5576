"""From names that data give to places inside a folder, and nowhere else.

Folders come from other people: a line of a plan, an index or a link in the file system must lead nowhere that the person did not
name. What is asked for by name goes through `inside`; what is written into goes through `require_own` first.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from shapegym.experiments.errors import RunError


def fault_of(name: str) -> str:
    """Return what is wrong with a relative path as a place inside a folder, or nothing."""
    for part in name.split("/"):
        if part in ("", ".", ".."):
            return f"{name!r} leads out of its folder"
        if "\\" in part or not part.isprintable():
            return f"{name!r} has a letter that names of folders do not have"
    return ""


def inside(folder: Path, name: str) -> Path:
    """Return the path ``name``, of parts with ``/`` between them, within a folder.

    Raises:
        RunError: if it leads out of it, itself or by a link.
    """
    if fault := fault_of(name):
        raise RunError(f"In {folder}, {fault}.")
    path = folder
    for part in name.split("/"):
        path = path / part
        if path.is_symlink():
            raise RunError(
                f"{path} is a link: what lies elsewhere is not taken for a part of {folder}. Put the files there themselves."
            )
    return path


def require_own(folder: Path, *, below: bool = True, written: bool = True) -> None:
    """Check that a folder has nothing in it that leads elsewhere: links to what lies outside, FIFOs, devices.

    Args:
        folder: the person's own choice; it may be a link.
        below: look into its folders too.
        written: files will be appended to. Then none may have another name (a hard link) either: that would be written as well.

    Raises:
        RunError: names what leads elsewhere.
    """
    home = os.path.realpath(folder)
    for entry in _entries(folder, below):
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode):
            if os.path.commonpath((home, os.path.realpath(entry.path))) != home:
                raise RunError(
                    f"{entry.path} is a link that leads out of {folder}. Put the files there themselves."
                )
        elif not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            raise RunError(f"{entry.path} is neither a file nor a folder (a FIFO or a device). Delete it.")
        elif written and stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
            raise RunError(
                f"{entry.path} has another name elsewhere (a hard link), and what is written here would be written there too. "
                f"Copy the folder: cp -r {folder} COPY."
            )


def _entries(folder: Path, below: bool) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as found:
        entries = list(found)
    for entry in entries:
        yield entry
        if below and entry.is_dir(follow_symlinks=False):
            yield from _entries(Path(entry.path), below)
