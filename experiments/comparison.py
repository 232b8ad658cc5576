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
from shapegym.experiments.report.evidence import TASK_FACTS, Evidence, gather
from shapegym.experiments.report.words import interval, p_equals, p_value, score
from shapegym.experiments.results import Row, curves, scores
from shapegym.experiments.stats import (
    Interval,
    aggregate,
    area,
    holm,
    paired_test,
    probability_of_improvement,
    seed_warning,
)
from shapegym.shaping.errors import suggest

METRICS = {
    "success": "Final success rate",
    "return": "Final task return",
    "area": "Area under the learning curve of success",
}
"""What can be compared, and what it is."""


@dataclass(frozen=True)
class Side:
    """One contender of one sweep."""

    evidence: Evidence
    contender: str

    @property
    def label(self) -> str:
        """As it is written on the command line."""
        return f"{self.evidence.folder}:{self.contender}"

    def rows(self, task: str) -> tuple[Row, ...]:
        """Its runs on a task, by seed."""
        return self.evidence.groups[task, self.contender]

    @property
    def tasks(self) -> tuple[str, ...]:
        """Where it has runs."""
        return tuple(task for task in self.evidence.tasks if (task, self.contender) in self.evidence.groups)


@dataclass(frozen=True)
class TaskDifference:
    """A minus B on one task.

    Attributes:
        task: its name.
        a: mean score of A's runs.
        b: mean score of B's.
        difference: mean over the seeds that both have.
        p: of the paired test, adjusted for the number of tasks.
        pairs: how many seeds.
    """

    task: str
    a: float
    b: float
    difference: Interval
    p: float
    pairs: int


@dataclass(frozen=True)
class Comparison:
    """A against B.

    Attributes:
        a: the first.
        b: the second.
        metric: key of `METRICS`.
        tasks: the differences.
        improvement: probability that a run of A beats one of B.
        p: of the paired test over all tasks.
        pairs: how many pairs it has.
        warnings: what a reader must know.
    """

    a: Side
    b: Side
    metric: str
    tasks: tuple[TaskDifference, ...]
    improvement: Interval
    p: float
    pairs: int
    warnings: tuple[str, ...]


def compare(a: str, b: str, metric: str = "success") -> Iterator[Comparison]:
    """Compare two sweeps, contender by contender, or two contenders.

    Args:
        a: folder of a sweep, or ``FOLDER:CONTENDER``.
        b: what it is compared with.
        metric: key of `METRICS`.

    Raises:
        RunError: if there are no such results, or they are not about the same tasks; names the difference.
    """
    if metric not in METRICS:
        raise RunError(f"There is no metric {metric!r}.{suggest(metric, METRICS)}")
    for ours, theirs in list(_sides(a, b)):
        yield _compared(ours, theirs, metric)


def summary(comparison: Comparison) -> str:
    """Return what the table shows, and what it comes to over all tasks."""
    return (
        f"{METRICS[comparison.metric]} on the task. A − B: mean over the seeds that both have, with a 95 % bootstrap interval; p: "
        f"paired by seed, Holm-adjusted for the tasks.\nOver all tasks, a run of A beats one of B with probability "
        f"{interval(comparison.improvement)}; {p_equals(comparison.p)} from {comparison.pairs} pairs."
    )


def table(comparison: Comparison) -> Table:
    """Return the differences for the terminal."""
    shown = Table(
        title=escape(f"A: {comparison.a.label}\nB: {comparison.b.label}"),
        title_justify="left",
        title_style="bold",
    )
    shown.add_column("task")
    for heading in ("A", "B", "A − B", "p", "seeds"):
        shown.add_column(heading, justify="right")
    for line in comparison.tasks:
        shown.add_row(
            escape(line.task),
            score(line.a),
            score(line.b),
            escape(interval(line.difference)),
            p_value(line.p),
            str(line.pairs),
        )
    return shown


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
    ours = {task: _scores(a, task, metric) for task in a.tasks}
    theirs = {task: _scores(b, task, metric) for task in a.tasks}
    differences = [_difference(a, b, task, ours[task], theirs[task]) for task in a.tasks]
    adjusted = holm([line.p for line in differences]).tolist()
    shared = [(task, seed) for task in a.tasks for seed in ours[task] if seed in theirs[task]]
    test = paired_test(
        {(task, seed): ours[task][seed] for task, seed in shared},
        {(task, seed): theirs[task][seed] for task, seed in shared},
    )
    return Comparison(
        a,
        b,
        metric,
        tuple(replace(line, p=p) for line, p in zip(differences, adjusted, strict=True)),
        probability_of_improvement(_by_task(ours), _by_task(theirs)),
        test.p,
        len(shared),
        tuple(_warnings(a, b, min(line.pairs for line in differences))),
    )


def _difference(
    a: Side, b: Side, task: str, ours: Mapping[int, float], theirs: Mapping[int, float]
) -> TaskDifference:
    """One line; p is not adjusted yet."""
    shared = sorted(ours.keys() & theirs.keys())
    if not shared:
        raise RunError(
            f"On {task}, {a.label} and {b.label} share no seed, so their runs cannot be paired. Sweep both with the same seeds."
        )
    test = paired_test({seed: ours[seed] for seed in shared}, {seed: theirs[seed] for seed in shared})
    return TaskDifference(
        task,
        fmean(ours.values()),
        fmean(theirs.values()),
        aggregate({task: [ours[seed] - theirs[seed] for seed in shared]}, np.mean),
        test.p,
        len(shared),
    )


def _by_task(scores: Mapping[str, Mapping[int, float]]) -> dict[str, list[float]]:
    return {task: list(runs.values()) for task, runs in scores.items()}


def _scores(side: Side, task: str, metric: str) -> dict[int, float]:
    """Seed -> score."""
    rows = side.rows(task)
    values = (
        _areas(rows)
        if metric == "area"
        else scores(rows, {"success": "success_rate", "return": "mean_return"}[metric])
    )
    if np.isnan(values).any():
        missing = "has no learning curve of success" if metric == "area" else "does not tell success"
        raise RunError(f"{task} {missing} in {side.label}: compare --on return.")
    return {row.seed: float(value) for row, value in zip(rows, values, strict=True)}


def _areas(rows: tuple[Row, ...]) -> NDArray[np.float64]:
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
