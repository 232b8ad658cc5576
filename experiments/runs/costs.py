"""``costs.json``: what a run took and where the time went, kept apart from results, which are the same on every repetition.

``seconds`` is the wall-clock time of training, evaluations on the way included, ``frames_per_second`` the global steps in it,
``resumed`` how often the run was continued, ``threads`` how many torch had, ``shares`` the fraction of the time in each section
(they add up to 1), ``terms`` the fraction in each term of the reward. The file is written with every checkpoint and at the end, so
it tells the cost of the steps that led to the result and not of those that a killed run lost.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.table import Column, Table

from shapegym.agents.profiling import SECTIONS, Costs
from shapegym.experiments.errors import RunError
from shapegym.experiments.runs import run_folder
from shapegym.shaping.errors import said_as
from shapegym.shaping.limited_files import read_object

_DIGITS = 6
_MEANING = {
    "environment": "its steps",
    "policy": "actions and values",
    "learner": "updates and advantages",
    "reward": "from transitions to shaped rewards",
    "other": "evaluations, checkpoints, logs, copies",
}


def write(folder: Path, costs: Costs) -> None:
    """Replace the costs of a run folder."""
    run_folder.write_text(folder / run_folder.COSTS, json.dumps(as_data(costs), indent=2) + "\n")


def read(folder: Path) -> Costs:
    """Return the costs of a run folder; none if it tells none.

    Raises:
        RunError: if the file is damaged.
    """
    path = folder / run_folder.COSTS
    if not path.exists():
        return Costs()
    causes = ArithmeticError, ValueError, KeyError, TypeError, AttributeError
    after = "). Delete it: it tells only how long the run took."
    with said_as(RunError, causes, f"{path} is damaged (", after):
        data = read_object(path, RunError)
        seconds = float(data["seconds"])
        return Costs(
            frames=round(seconds * data["frames_per_second"]),
            sections={name: seconds * data["shares"][name] for name in SECTIONS},
            terms={name: seconds * share for name, share in data["terms"].items()},
            resumed=int(data["resumed"]),
            threads=int(data.get("threads", 0)),
        )


def as_data(costs: Costs) -> dict[str, Any]:
    """Return costs as ``costs.json`` has them."""
    seconds = costs.seconds
    return {
        "seconds": round(seconds, _DIGITS),
        "frames_per_second": round(costs.frames_per_second, 3),
        "resumed": costs.resumed,
        "threads": costs.threads,
        "shares": _shares(costs.sections, seconds),
        "terms": _shares(costs.terms, seconds),
    }


def breakdown(costs: Costs) -> Table:
    """Return where the time went, a line for each section and, below the reward, for each of its terms."""
    shown = Table(Column("", no_wrap=True), title="Where the time went", title_justify="left")
    for heading in ("share", "seconds", "us a step"):
        shown.add_column(heading, justify="right")
    shown.add_column("what it is", style="dim")

    def add(name: str, seconds: float, meaning: str) -> None:
        each = 1e6 * seconds / max(costs.frames, 1)
        shown.add_row(name, f"{seconds / costs.seconds:.1%}", f"{seconds:.2f}", f"{each:.2f}", meaning)

    for name in sorted(SECTIONS, key=lambda name: -costs.sections[name]):
        add(name, costs.sections[name], _MEANING[name])
        if name == "reward":
            for term, seconds in sorted(costs.terms.items(), key=lambda item: -item[1]):
                add(f"  {term}", seconds, "of it, in this term")
    shown.add_section()
    add("training", costs.seconds, summary(costs))
    return shown


def summary(costs: Costs) -> str:
    """Return time and speed in a few words."""
    again = f", resumed {costs.resumed} times" if costs.resumed > 1 else ", resumed once" * costs.resumed
    threads = f", torch on {costs.threads} thread{'s' * (costs.threads > 1)}" if costs.threads else ""
    speed = f"{costs.frames:,} steps in {costs.seconds:,.1f} s, {costs.frames_per_second:,.0f} a second"
    return f"{speed}{threads}{again}"


def _shares(parts: Any, seconds: float) -> dict[str, float]:
    return {name: round(value / seconds, _DIGITS) if seconds else 0.0 for name, value in parts.items()}
