"""Suites as data, and what runs, compares and reports them.

Run: `train` of a `RunConfig`, `load_suite`, `sweep`. Look: `Results`, `compare`, `report`. The commands of the same names print
what these return. `register_suite` and `register_study` make those of other packages known by name. Names are imported when they
are first used, because torch and Stable-Baselines3 take seconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "errors": ("RunError",),
    "reports": ("report",),
    "reports.comparison": ("Comparison", "compare"),
    "runs.request": ("RunConfig",),
    "runs.run": ("train",),
    "studies.index": ("register_study",),
    "sweeps.collection": ("collect",),
    "sweeps.entry": ("SweepResult", "sweep"),
    "sweeps.ready": ("register_suite",),
    "sweeps.results": ("ResultRow", "Results"),
    "sweeps.suite": ("Suite", "load_suite"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)  # noqa: PLE0605  # the table is the one list of names


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
