"""Doing a design again from its transcript, and holding it against what was recorded, to the last bit."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from shapegym.experiments.design.folder import DesignFolder, begin_design
from shapegym.experiments.design.loop import BEST, CANDIDATES, FINDINGS, OUTCOME, PROGRAM, ROUNDS
from shapegym.experiments.errors import DesignError
from shapegym.shaping.limited_files import read_text

WHAT = {PROGRAM: "programs", FINDINGS: "findings", OUTCOME: "results", ROUNDS: "choices", BEST: "choices"}
"""What a file that differs is about."""


def begin_replay(recorded: DesignFolder, path: Path) -> DesignFolder:
    """Begin the same design in another folder, with the answers that were recorded."""
    if path.resolve() == recorded.path.resolve():
        raise DesignError("A replay needs a folder of its own: give another one by --out.")
    again = begin_design(path, recorded.brief, recorded.prompts, recorded.examples)
    for asked, copy in ((recorded.exchanges, again.exchanges), (recorded.mends, again.mends)):
        if asked.exists():
            shutil.copyfile(asked, copy)
    return again


def differences(recorded: Path, again: Path) -> dict[str, list[str]]:
    """Return what a replay did not reproduce: what it is -> names of files, of everything that the recorded design has."""
    found: dict[str, list[str]] = {}
    for name in _files(recorded):
        other = again / name
        if not other.is_file() or read_text(recorded / name, DesignError) != read_text(other, DesignError):
            found.setdefault(WHAT[name.name], []).append(name.as_posix())
    return found


def _files(folder: Path) -> Iterator[Path]:
    for name in (ROUNDS, BEST):
        if (folder / name).is_file():
            yield Path(name)
    for path in sorted((folder / CANDIDATES).glob("*/*/*")):
        if path.name in WHAT:
            yield path.relative_to(folder)
