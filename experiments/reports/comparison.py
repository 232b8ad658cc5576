"""Two contenders side by side, or two sweeps of the same suite: differences by task, paired by seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from rich.markup import escape
from rich.table import Table

from shapegym.experiments.errors import RunError
from shapegym.experiments.reports.sources import TASK_FACTS, Evidence, gather
from shapegym.experiments.reports.words import interval, p_equals, p_value, score
from shapegym.experiments.stats import (
    Interval,
    aggregate,
    area,
    holm,
    paired_test,
    probability_of_improvement,
    seed_warning,
    shared,
)
from shapegym.experiments.sweeps.results import ResultRow, curves, scores
from shapegym.experiments.tables import table
from shapegym.shaping.errors import suggest

METRICS = {
    "success": "Final success rate",
    "return": "Final task return",
    "area": "Area under the learning curve of success",
}
"""What can be compared, and what it is."""

_FIELDS = {"success": "success_rate", "return": "mean_return"}


@dataclass(frozen=True)
class Side:
    """One contender of one sweep."""

    evidence: Evidence
    contender: str

    @property
    def label(self) -> str:
        """As it is written on the command line."""
        return f"{self.evidence.folder}:{self.contender}"

    def rows(self, task: str) -> tuple[ResultRow, ...]:
        """Its runs on a task, by seed."""
        return self.evidence.groups[task, self.contender]

    @property
    def tasks(self) -> tuple[str, ...]:
        """Where it has runs."""
        return tuple(task for task in self.evidence.tasks if (task, self.contender) in self.evidence.groups)


@dataclass(frozen=True)
class TaskDifference:
    """A minus B on one task."""

    task: str  # its name
    a: float  # mean score of A's runs
    b: float  # mean score of B's
    difference: Interval  # mean over the seeds that both have
    p: float  # of the paired test, adjusted for the number of tasks
    pairs: int  # how many seeds


@dataclass(frozen=True)
class Comparison:
    """A against B."""

    a: Side  # the first
    b: Side  # the second
    metric: str  # key of `METRICS`
    tasks: tuple[TaskDifference, ...]  # the differences
    improvement: Interval  # probability that a run of A beats one of B
    p: float  # of the paired test over all tasks
    pairs: int  # how many pairs it has
    warnings: tuple[str, ...]  # what a reader must know


def compare(a: str | Path, b: str | Path, on: str = "success") -> list[Comparison]:
    """Compare two sweeps, contender by contender, or two contenders, task by task: A minus B.

    Args:
        a: folder of a sweep, or ``FOLDER:CONTENDER``.
        b: what it is compared with, written alike.
        on: key of `METRICS`.

    Returns:
        A comparison of each contender that both sweeps have, or of the two that are named.

    Raises:
        RunError: if there are no such results, or they are not about the same tasks; names the difference.
    """
    if on not in METRICS:
        raise RunError(f"There is no metric {on!r}.{suggest(on, METRICS)}")
    return [_compared(ours, theirs, on) for ours, theirs in list(_sides(str(a), str(b)))]


def summary(comparison: Comparison) -> str:
    """Return what the table shows, and what it comes to over all tasks."""
    return (
        f"{METRICS[comparison.metric]} on the task. A − B: mean over the seeds that both have, with a 95 % interval; p: "
        f"paired by seed, Holm-adjusted for the tasks.\nOver all tasks, a run of A beats one of B with probability "
        f"{interval(comparison.improvement)}; {p_equals(comparison.p)} from {comparison.pairs} pairs."
    )


def differences(comparison: Comparison) -> Table:
    """Return the differences for the terminal."""
    return table(
        "task",
        numbers=("A", "B", "A − B", "p", "seeds"),
        rows=(
            (
                escape(line.task),
                score(line.a),
                score(line.b),
                escape(interval(line.difference)),
                p_value(line.p),
                str(line.pairs),
            )
            for line in comparison.tasks
        ),
        title=escape(f"A: {comparison.a.label}\nB: {comparison.b.label}"),
        title_style="bold",
    )


def _sides(a: str, b: str) -> Iterator[tuple[Side, Side]]:
    (ours, first), (theirs, second) = _parsed(a), _parsed(b)
    if ours.folder.resolve() == theirs.folder.resolve() and first == second:
        raise RunError(
            f"{a} is compared with itself: name two contenders, such as {ours.folder}:{ours.contenders[0]}."
        )
    if first or second:
        yield Side(ours, _named(ours, first or second)), Side(theirs, _named(theirs, second or first))
        return
    shared = [name for name in ours.contenders if name in theirs.contenders]
    if not shared:
        raise RunError(
            f"{a} and {b} share no contender: {', '.join(ours.contenders)} there, {', '.join(theirs.contenders)} here. "
            "Name one of each, as FOLDER:CONTENDER."
        )
    for name in shared:
        yield Side(ours, name), Side(theirs, name)


def _parsed(text: str) -> tuple[Evidence, str]:
    """A folder, and the contender after the colon, if there is one."""
    folder, colon, name = text.rpartition(":")
    if Path(text).is_dir() or not colon:
        return gather(Path(text)), ""
    return gather(Path(folder)), name


def _named(evidence: Evidence, name: str) -> str:
    if name not in evidence.contenders:
        raise RunError(f"{evidence.folder} has no contender {name!r}.{suggest(name, evidence.contenders)}")
    return name


def _compared(a: Side, b: Side, metric: str) -> Comparison:
    _require_same_tasks(a, b)
    ours, theirs = ({task: _scores(side, task, metric) for task in a.tasks} for side in (a, b))
    differences = [_difference(a, b, task, ours[task], theirs[task], metric) for task in a.tasks]
    adjusted = holm([line.p for line in differences]).tolist()
    pairs = shared(_pairs(ours), _pairs(theirs))
    return Comparison(
        a,
        b,
        metric,
        tuple(replace(line, p=p) for line, p in zip(differences, adjusted, strict=True)),
        probability_of_improvement(
            *({task: list(runs.values()) for task, runs in side.items()} for side in (ours, theirs))
        ),
        paired_test(*pairs).p,
        len(pairs[0]),
        tuple(_warnings(a, b, min(line.pairs for line in differences))),
    )


def _difference(
    a: Side, b: Side, task: str, ours: Mapping[int, float], theirs: Mapping[int, float], metric: str
) -> TaskDifference:
    """One line; p is not adjusted yet."""
    mine, yours = shared(dict(sorted(ours.items())), theirs)
    if not mine:
        raise RunError(
            f"On {task}, {a.label} and {b.label} share no seed, so their runs cannot be paired. Sweep both with the same seeds."
        )
    within = None if metric == "return" else (-1, 1)
    gap = aggregate({task: [mine[seed] - yours[seed] for seed in mine]}, np.mean, within=within)
    return TaskDifference(
        task, fmean(ours.values()), fmean(theirs.values()), gap, paired_test(mine, yours).p, len(mine)
    )


def _pairs(scores: Mapping[str, Mapping[int, float]]) -> dict[tuple[str, int], float]:
    return {(task, seed): score for task, runs in scores.items() for seed, score in runs.items()}


def _scores(side: Side, task: str, metric: str) -> dict[int, float]:
    """Seed -> score."""
    rows = side.rows(task)
    values = _areas(rows) if metric == "area" else scores(rows, _FIELDS[metric])
    if np.isnan(values).any():
        missing = "has no learning curve of success" if metric == "area" else "does not tell success"
        raise RunError(f"{task} {missing} in {side.label}: compare --on return.")
    return {row.seed: float(value) for row, value in zip(rows, values, strict=True)}


def _areas(rows: tuple[ResultRow, ...]) -> NDArray[np.float64]:
    found = []
    for row in rows:
        steps, values = curves((row,), "success_rate")
        known = values.size > 0 and not np.isnan(values).any()
        found.append(float(area(steps, values, row.steps)[0]) if known else np.nan)
    return np.array(found)


def _require_same_tasks(a: Side, b: Side) -> None:
    for here, there in ((a, b), (b, a)):
        if alone := [task for task in here.tasks if task not in there.tasks]:
            raise RunError(
                f"{here.label} has runs on {', '.join(alone)}, {there.label} has none: the tasks differ."
            )
    for task in a.tasks:
        facts: list[Mapping[str, set[str]]] = [side.evidence.task_facts(side.rows(task)) for side in (a, b)]
        for fact in TASK_FACTS:
            ours, theirs = (" and ".join(sorted(known[fact])) for known in facts)
            if ours != theirs:
                raise RunError(
                    f"On {task} the two are not about the same task: {fact} is {ours} in {a.label}, {theirs} in {b.label}."
                )


def _warnings(a: Side, b: Side, seeds: int) -> Iterator[str]:
    for side in {str(side.evidence.folder): side for side in (a, b)}.values():
        for warning in side.evidence.warnings():
            yield f"{side.evidence.folder}: {warning}"
    if a.evidence.folder != b.evidence.folder:
        versions = [side.evidence.rows[0].versions for side in (a, b)]
        for package in sorted(versions[0].keys() & versions[1].keys()):
            if versions[0][package] != versions[1][package]:
                yield f"{package} is {versions[0][package]} in A and {versions[1][package]} in B: this may be why they differ."
    if few := seed_warning(seeds):
        yield few
