"""Cases by number: which reader, which example, what is done to it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from fuzzing.readers import READERS
from fuzzing.trial import Outcome, attempt_case

_TURNS = (0, 2, 5, 1, 2, 8, 0, 2, 3, 4, 2, 6, 9, 2, 5, 7, 2, 10, 3, 4)
"""Readers in turn: state files, which hold the most, come most often."""


def prepare(folder: Path) -> None:
    """Write the honest examples, and read each in this process: they are accepted, and kernels are compiled before the cases."""
    here = os.getcwd()
    for reader in READERS:
        place = folder / reader.make.__name__
        if not place.exists():
            reader.make(_made(place))
        for original in sorted(place.iterdir()):
            copy = folder / "copy" / original.name
            (shutil.copytree if original.is_dir() else shutil.copy)(original, _made(copy.parent) / copy.name)
            os.chdir(copy.parent)
            reader.read(copy)
            os.chdir(here)
            shutil.rmtree(copy.parent)


def cases(numbers: Iterable[int], folder: Path, only: str = "") -> list[Outcome]:
    """Return what came of the cases with these numbers."""
    outcomes = []
    for number in numbers:
        turn = _TURNS[number % len(_TURNS)]
        if not only or READERS[turn].name == only:
            room = _made(folder / f"case_{number}")
            originals = sorted((folder / READERS[turn].make.__name__).iterdir())
            outcomes.append(attempt_case(READERS[turn], originals, number, room))
            shutil.rmtree(room)
    return outcomes


def share(numbers: range, only: str = "") -> list[Outcome]:
    """Return what came of cases, in a process that keeps its examples for the next share."""
    return cases(numbers, Path(_own_examples().name), only)


@cache
def _own_examples() -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory()
    prepare(Path(folder.name))
    return folder


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
