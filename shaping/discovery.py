"""Finding what there is: modules of this project by walking their package, other people's by entry point or by name.

A package that is installed next to shapegym makes its terms, combinators, models, state functions, algorithms, environments, suites
and studies known by an entry point in the group ``shapegym.plugins``, which names a module that registers them when it is imported:

    [options.entry_points]                    # setup.cfg; in pyproject.toml: [project.entry-points."shapegym.plugins"]
    shapegym.plugins =
        rewards = mypackage.rewards

What is not installed is imported by name: ``--import MODULE`` on the command line, ``MODULE:ID`` for an environment, ``imports:``
in reward and suite files. The current folder counts then, as under ``python -m``, for modules that lie nowhere else.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.machinery import PathFinder
from importlib.metadata import entry_points

from shapegym.shaping.errors import PluginError

GROUP = "shapegym.plugins"


class PluginWarning(UserWarning):
    """A plugin that could not be loaded; everything else goes on without it."""


@cache
def walk_package(name: str) -> None:
    """Import every module of a package, once, so that what they define is registered."""
    package = importlib.import_module(name)
    for module in pkgutil.iter_modules(package.__path__, f"{name}."):
        importlib.import_module(module.name)


_failures: dict[str, str] | None = None


def load_plugins() -> dict[str, str]:
    """Import the plugins that are installed, once, and return what failed: plugin -> error. A warning names each."""
    global _failures  # noqa: PLW0603
    if _failures is not None:  # loaded, or loading: a plugin may read a reward when it is imported
        return _failures
    _failures = failures = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
        try:
            entry.load()
        except (Exception, SystemExit) as error:  # a stranger's module raises what it likes
            failures[entry.name] = _in_a_line(error)
            warnings.warn(
                f"The plugin {entry.name!r} ({entry.value}) cannot be loaded, so what it defines is not known: "
                f"{failures[entry.name]} Mend it, or uninstall its package.",
                PluginWarning,
                stacklevel=2,
            )
    return failures


_asking: ContextVar[str] = ContextVar("asking", default="")
"""Whose data is being read; empty where it is the person's own."""


@contextmanager
def only_loaded(asking: object, *, trust: bool = False) -> Iterator[None]:
    """Within the block, data lead to modules that are loaded already, and import no others.

    A folder that somebody sent may name any module, and importing one runs it.

    Args:
        asking: the folder; for the error.
        trust: the person knows where it comes from: import what it names.
    """
    token = _asking.set("" if trust else str(asking))
    try:
        yield
    finally:
        _asking.reset(token)


def import_modules(names: Iterable[str], asked_by: str, *, beside: bool = False) -> None:
    """Import modules of other people, which register what they define.

    Args:
        names: of modules that Python can import.
        asked_by: who wants them, for errors: "--import", or the name of a file. It begins the sentence.
        beside: whether the current folder counts too: for what a person names, or a file that they name. What a run or a sweep
            left in its folder may be somebody else's, so its modules of the current folder must be named again.

    Raises:
        PluginError: if one is no module name (a path), is not installed, fails, or is not loaded within `only_loaded`; says what to
            do.
    """
    for name in names:
        parts = name.split(".") if isinstance(name, str) else [""]
        if not all(map(str.isidentifier, parts)) or parts[-1] == "py":
            raise PluginError(
                f"{asked_by} names the module {name!r}, which is no name of a module, such as mypackage.rewards. Paths are not "
                "imported: install the package (pip install -e .), or put its folder on PYTHONPATH."
            )
        if (asking := _asking.get()) and name not in sys.modules:
            raise PluginError(
                f"{asking} asks to import the module {name!r}, which would run its code. If you know that module, name it: "
                f"--import {name}. If you know where all of this comes from: --trust."
            )
        try:
            if beside:
                _reach(parts[0])
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
                raise _failed(name, asked_by, error) from error
            here = (
                "Run this in its folder"
                if beside
                else f"If it lies in the current folder, add --import {name}"
            )
            raise PluginError(
                f"{asked_by} names the module {name!r}, but: {error}. {here}; or put its folder on PYTHONPATH, or install the "
                "package that it belongs to (pip install -e .)."
            ) from None
        except (Exception, SystemExit) as error:
            raise _failed(name, asked_by, error) from error


def _reach(name: str) -> None:
    """Let the current folder count, behind all others, for a module that lies there alone; spawned processes inherit that."""
    folder = os.getcwd()
    if name in sys.modules or folder in sys.path or PathFinder.find_spec(name) is not None:
        return
    if PathFinder.find_spec(name, [folder]) is not None:
        sys.path.append(folder)


HOW_TO_IMPORT = (
    "If a package of your own defines it, import that: --import MODULE, or imports: [MODULE] in the file."
)
"""What errors about unknown names add."""


def _failed(name: str, asked_by: str, error: BaseException) -> PluginError:
    return PluginError(
        f"{asked_by} names the module {name!r}, which fails when it is imported: {_in_a_line(error)}"
    )


def _in_a_line(error: BaseException) -> str:
    text = f"{type(error).__name__}: {error}".partition("\n")[0]
    return text if text.endswith(".") else f"{text}."
