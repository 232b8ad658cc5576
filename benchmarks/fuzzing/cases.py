"""Cases by number: which reader, which example, what is done to it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import cache
from multiprocessing import get_context
from pathlib import Path

from fuzzing.readers import READERS, Reader
from fuzzing.trial import Case, Outcome, attempt, make_case

_TURNS = (0, 2, 5, 1, 2, 8, 0, 2, 3, 4, 2, 6, 9, 2, 5, 7, 2, 10, 3, 4)
"""Readers in turn: state files, which hold the most, come most often."""

_TOGETHER = 25
"""Cases that share a process, which takes longer to begin and end than most of them."""


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


def cases(numbers: Sequence[int], folder: Path, only: str = "") -> list[Outcome]:
    """Return what came of the cases with these numbers."""
    outcomes = []
    for start in range(0, len(numbers), _TOGETHER):
        made = [
            _made_case(number, folder)
            for number in numbers[start : start + _TOGETHER]
            if not only or _reader(number).name == only
        ]
        outcomes += attempt(made) if made else []
        for case in made:
            shutil.rmtree(case.example.parent.parent)
    return outcomes


def _reader(number: int) -> Reader:
    return READERS[_TURNS[number % len(_TURNS)]]


def _made_case(number: int, folder: Path) -> Case:
    originals = sorted((folder / _reader(number).make.__name__).iterdir())
    return make_case(_reader(number), originals, number, _made(folder / f"case_{number}"))


@contextmanager
def pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Give new processes of one thread for `share`: a fork that inherits a pool of threads waits for them for ever."""
    threads = os.environ.get("OMP_NUM_THREADS")
    with ProcessPoolExecutor(workers, get_context("spawn")) as executor:
        os.environ["OMP_NUM_THREADS"] = "1"
        list(executor.map(abs, range(workers)))  # starts them
        if threads is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = threads
        yield executor


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
