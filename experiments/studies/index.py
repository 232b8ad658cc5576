"""The studies that there are: modules of `shapegym.experiments.studies.papers`, and those that other people's modules register."""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Callable
from dataclasses import dataclass

from shapegym.experiments.errors import RunError
from shapegym.experiments.studies import papers
from shapegym.experiments.studies.claims import Findings, StudyRequest
from shapegym.shaping.discovery import import_modules, load_plugins
from shapegym.shaping.errors import suggest


@dataclass(frozen=True)
class Study:
    """A module that checks a claim, by its name on the command line."""

    name: str
    claim: str
    seeds: int
    run: Callable[[StudyRequest], Findings]


_registered: dict[str, str] = {}


def register_study(module: str) -> None:
    """Make a module known as a study; what it holds, `shapegym.experiments.studies.claims` says.

        register_study("mypackage.does_it_help")     # shapegym study does-it-help

    It is imported when somebody asks for it.

    Raises:
        RunError: if another study has the name.
    """
    name = _name_of(module)
    other = _modules().get(name, module)
    if other != module:
        raise RunError(f"Two studies are called {name!r}: {other} and {module}. Rename one of the modules.")
    _registered[name] = module


def study_names() -> list[str]:
    """Return the names of all studies."""
    load_plugins()
    return sorted(_modules())


def load_study(name: str) -> Study:
    """Return a study by its name.

    Raises:
        RunError: if there is none, or its module is no study.
        PluginError: if it is somebody's own and cannot be imported.
    """
    if name not in study_names():
        raise RunError(
            f"There is no study {name!r}.{suggest(name, study_names())} One of your own is known once the module that registers it "
            "is imported: --import MODULE."
        )
    path = _modules()[name]
    import_modules([path], f"The study {name!r}")
    module = sys.modules[path]
    if missing := [part for part in ("__doc__", "SEEDS", "run") if getattr(module, part, None) is None]:
        raise RunError(f"{path} is no study: it lacks {' and '.join(missing)}.")
    claim = (module.__doc__ or "").strip().partition("\n")[0]
    return Study(name, claim, module.SEEDS, module.run)


def _modules() -> dict[str, str]:
    ours = (f"{papers.__name__}.{module.name}" for module in pkgutil.iter_modules(papers.__path__))
    return {**{_name_of(module): module for module in ours}, **_registered}


def _name_of(module: str) -> str:
    return module.rpartition(".")[2].replace("_", "-")
