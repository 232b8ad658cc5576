"""The studies that there are, found by walking `shapegym.experiments.studies.papers`."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from shapegym.experiments.errors import RunError
from shapegym.experiments.studies import papers
from shapegym.experiments.studies.findings import Findings, StudyRequest
from shapegym.shaping.errors import suggest


@dataclass(frozen=True)
class Study:
    """A module of `shapegym.experiments.studies`, by its name on the command line."""

    name: str
    claim: str
    seeds: int
    run: Callable[[StudyRequest], Findings]


def study_names() -> list[str]:
    """Return the names of all studies."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(papers.__path__))


def load_study(name: str) -> Study:
    """Return a study by its name.

    Raises:
        RunError: if there is none.
    """
    if name not in study_names():
        raise RunError(f"There is no study {name!r}.{suggest(name, study_names())}")
    module = import_module(f"{papers.__name__}.{name.replace('-', '_')}")
    claim = (module.__doc__ or "").strip().partition("\n")[0]
    return Study(name, claim, module.SEEDS, module.run)
