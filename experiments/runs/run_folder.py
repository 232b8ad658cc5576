"""The folder of one run: what was asked, with what versions, and what came of it.

==================  =================================================================================
``config.yaml``     the complete request: environment, reward, agent settings, seed, budget
``versions.json``   Python, the packages and the kind of machine that results depend on
``episodes.jsonl``  a row for every training episode: task return, shaped return, parts, success
``answers.jsonl``   of a reward that asks somebody: every question and answer, with its step
``alarms.jsonl``    signs that the agent was paid for something else than the task, a row for each
``blend.jsonl``     with BARFI: a row for every iteration, with the weights of the reward; ``blend.png`` shows them
``evaluations.jsonl``  a row for every evaluation on the task
``tensorboard/``    event files
``checkpoints/``    what `--resume` continues from
``model.npz``       the trained agent, without code: what `shapegym record` reads
``model.zip``       the same as Stable-Baselines3 saves it, pickled: for its ``load``; nothing here reads it unless told to trust it
``shaping.npz``     the reward's state (counts, statistics, schedules)
``costs.json``      wall-clock time and where it went; the one file that differs from repetition to repetition
``result.json``     the final evaluation; a folder without it is unfinished
==================  =================================================================================
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from shapegym.experiments.errors import RunError
from shapegym.experiments.inside import inside, require_own
from shapegym.shaping.atomic_file import replacing
from shapegym.shaping.files.marked_yaml import read_yaml_file
from shapegym.shaping.limited_files import read_object

CONFIG, VERSIONS, RESULT, COSTS = "config.yaml", "versions.json", "result.json", "costs.json"
TENSORBOARD, CHECKPOINTS, MODEL, SHAPING = "tensorboard", "checkpoints", "model.npz", "shaping.npz"
PICKLED_MODEL = "model.zip"
ANSWERS, LOCK = "answers.jsonl", ".lock"

_PACKAGES = (
    "shapegym",
    "gymnasium",
    "stable-baselines3",
    "sb3-contrib",
    "torch",
    "numpy",
    "numba",
    "minigrid",
)


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    with replacing(path) as file:
        file.write(text.encode())


def create(folder: Path, config: dict[str, Any]) -> None:
    """Start a run folder.

    Raises:
        RunError: if the folder holds anything already.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        hint = (
            "continue it with --resume, or " if (folder / CONFIG).exists() and not is_finished(folder) else ""
        )
        raise RunError(f"{folder} is not empty: {hint}choose another folder with --out.")
    request = yaml.safe_dump(config, sort_keys=False)  # before the folder exists: values may be no plain data
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / CONFIG, request)
    write_text(folder / VERSIONS, json.dumps(versions(), indent=2) + "\n")


def read_config(folder: Path) -> dict[str, Any]:
    """Return the request of an existing run.

    Raises:
        RunError: if the folder is no run folder, or its config is damaged.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise RunError(f"{folder} is no run folder: it has no {CONFIG}.")
    require_own(folder, below=False, written=False)
    config, _ = read_yaml_file(path, "config", RunError)
    if not isinstance(config, dict):
        raise RunError(f"{path} holds {type(config).__name__}, not the keys of a run.")
    return config


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other processes from training in a folder meanwhile; the system forgets it when this one dies.

    Raises:
        RunError: if another is at it.
    """
    lock = FileLock(inside(folder, LOCK))
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise RunError(
            f"Another process is at the run in {folder}: wait until it ends, or stop it."
        ) from None
    try:
        yield
    finally:
        (folder / LOCK).unlink(missing_ok=True)
        lock.release()


def is_finished(folder: Path) -> bool:
    """Whether the run came to its end."""
    return (folder / RESULT).is_file()


def changed_versions(folder: Path) -> dict[str, tuple[str, str]]:
    """Return what is another now than when the run began: name -> (then, now)."""
    return changes(read_versions(folder) if (folder / VERSIONS).exists() else {})


def changes(then: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Return what is another now than in recorded versions: name -> (then, now)."""
    now = versions()
    return {name: (then[name], now[name]) for name in now if name in then and then[name] != now[name]}


def read_versions(folder: Path) -> dict[str, str]:
    """Return with what a run began.

    Raises:
        RunError: if the file is missing or damaged.
    """
    found = read_object(folder / VERSIONS, RunError)
    if not all(isinstance(text, str) for text in found.values()):
        raise RunError(f"{folder / VERSIONS} is damaged: a version is a text.")
    return found


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results depend on, and the kind of machine."""
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in _PACKAGES},
        "machine": _machine(),
    }


@cache
def _machine() -> str:
    """Operating system, architecture and processor: on another, sums of floats may round differently."""
    processor = platform.processor()
    with suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        processor = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return " ".join(filter(None, (platform.system(), platform.machine(), processor)))
