"""Suites by name: those that come with the package, and those that other people's modules register."""

from __future__ import annotations

import os
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from shapegym.experiments.errors import RunError
from shapegym.shaping.discovery import load_plugins

FOLDER = Path(str(resources.files("shapegym.experiments") / "suites"))

_registered: dict[str, Path] = {}


def register_suite(file: str | os.PathLike[str] | Traversable) -> None:
    """Make a suite file known by its name, as the ready suites are.

        register_suite(importlib.resources.files(__package__) / "suites" / "mine.yaml")     # shapegym sweep mine

    It is read when somebody asks for it.

    Args:
        file: a path, or a resource of an installed package.

    Raises:
        RunError: if there is no such file, or another suite has the name.
    """
    path = Path(str(file)).absolute()
    if path.suffix not in (".yaml", ".yml") or not path.is_file():
        raise RunError(f"A suite is a .yaml file, and {path} is none.")
    other = _paths().get(path.stem, path)
    if other != path:
        raise RunError(f"Two suites are called {path.stem!r}: {other} and {path}. Rename one of the files.")
    _registered[path.stem] = path


def ready_suites() -> list[str]:
    """Return the names of the suites that come with the package, and of those that plugins and imported modules registered."""
    load_plugins()
    return sorted(_paths())


def path_of(name: str) -> Path | None:
    """Return the file of a suite that `ready_suites` lists, or None."""
    load_plugins()
    return _paths().get(name)


def _paths() -> dict[str, Path]:
    return {**{path.stem: path for path in FOLDER.glob("*.yaml")}, **_registered}
