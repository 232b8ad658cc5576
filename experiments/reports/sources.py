"""What a report is made from: the finished runs of a sweep, what was planned and asked for, and what failed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from shapegym.experiments.errors import RunError
from shapegym.experiments.runs.request import RunConfig
from shapegym.experiments.sweeps.plan import Job, Plan, run_path
from shapegym.experiments.sweeps.results import CURVES, INDEX, ResultRow, Results, contender
from shapegym.experiments.sweeps.search.tuning import TUNED
from shapegym.experiments.sweeps.workspace import read_failures, read_plan
from shapegym.shaping.audit.alarms import harmless_parts
from shapegym.shaping.errors import ShapingError

BASELINES = ("sparse", "sparse" + TUNED)
TASK_FACTS = ("env", "env_kwargs", "steps", "eval_episodes")
"""Fields of a request that make scores comparable: what is played, for how long, and how it is judged."""


@dataclass(frozen=True)
class Evidence:
    """The finished runs of one sweep, ready to be compared.

    Where a search tuned first, on seeds of its own, these are the runs of what it chose; the runs that chose are ``tuning``.
    """

    folder: Path  # of the sweep
    plan: Plan  # all that was asked for
    rows: tuple[ResultRow, ...]  # the runs that are compared
    tuning: tuple[ResultRow, ...]  # runs that only tuned, which have a stage above 0
    failures: Mapping[str, str]  # job id -> why it failed, of jobs that have no result

    @cached_property
    def jobs(self) -> Mapping[str, Job]:
        """The plan by job id."""
        return {job.id: job for job in self.plan.jobs}

    @cached_property
    def groups(self) -> Mapping[tuple[str, str], tuple[ResultRow, ...]]:
        """(task, contender) -> its runs by seed."""
        groups: dict[tuple[str, str], list[ResultRow]] = {}
        for row in self.rows:
            groups.setdefault((row.task, contender(row)), []).append(row)
        return {key: tuple(sorted(rows, key=lambda row: row.seed)) for key, rows in groups.items()}

    @cached_property
    def tasks(self) -> tuple[str, ...]:
        """In the order of the plan."""
        return _in_order((job.task for job in self.plan.jobs), (row.task for row in self.rows))

    @cached_property
    def contenders(self) -> tuple[str, ...]:
        """In the order of the plan."""
        planned = (job.entry.removeprefix(f"{job.task}/") for job in self.plan.jobs)
        return _in_order(planned, map(contender, self.rows))

    @cached_property
    def baseline(self) -> str:
        """What the others are compared with: ``sparse`` if it takes part, tuned or not, else the first."""
        return next((name for name in BASELINES if name in self.contenders), self.contenders[0])

    @property
    def unfinished(self) -> int:
        """How many planned runs have neither a result nor a failure."""
        done = {row.id for row in (*self.rows, *self.tuning)}
        return sum(job not in done and job not in self.failures for job in self.jobs)

    @property
    def seeds(self) -> str:
        """How many seeds a contender has on a task, such as ``5`` or ``3 to 5``."""
        counts = [len(rows) for rows in self.groups.values()]
        return str(min(counts)) if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"

    def request(self, row: ResultRow) -> Mapping[str, Any]:
        """The complete request of a run: from its folder, where every setting is written out, else as planned."""
        try:
            return RunConfig.from_folder(run_path(self.folder, row.id)).as_data()
        except RunError:
            return self.jobs[row.id].config.as_data()

    def harmless(self, row: ResultRow) -> frozenset[str]:
        """The parts of a run's reward that keep optimal policies; none where its nodes are not known here."""
        try:
            reward = self.jobs[row.id].config.expression()
            return frozenset() if reward is None else harmless_parts(reward)
        except (RunError, ShapingError):
            return frozenset()

    def warnings(self) -> Iterator[str]:
        """What a reader must know before believing a number."""
        if self.unfinished or self.failures:
            yield (
                f"The sweep is not complete: {len(self.rows) + len(self.tuning)} of {len(self.jobs)} runs are finished, "
                f"{len(self.failures)} failed, {self.unfinished} are missing. All numbers are of the finished ones."
            )
        for package, counts in _mixed(row.versions for row in self.rows).items():
            seen = ", ".join(f"{version} ({runs} runs)" for version, runs in counts.items())
            yield f"The runs differ in {package}: {seen}. Differences between contenders may come from there."
        for task in self.tasks:
            facts = self.task_facts(self.rows_of(task))
            for fact, values in facts.items():
                if len(values) > 1:
                    yield (
                        f"On {task} the runs differ in {fact} ({' and '.join(sorted(values)[:3])}), so their scores are not about "
                        "the same task."
                    )

    @cached_property
    def returns(self) -> Mapping[str, tuple[float, float]]:
        """Task -> the task returns of its worst and its best run."""
        returns = {task: [row.mean_return for row in self.rows_of(task)] for task in self.tasks}
        return {task: (min(values), max(values)) for task, values in returns.items()}

    def runs(self, task: str, name: str) -> tuple[ResultRow, ...]:
        """The runs of a contender on a task, by seed; none if it has none there."""
        return self.groups.get((task, name), ())

    def rows_of(self, task: str) -> tuple[ResultRow, ...]:
        """The runs of a task."""
        return tuple(row for (of, _), rows in self.groups.items() if of == task for row in rows)

    def task_facts(self, rows: Iterable[ResultRow]) -> Mapping[str, set[str]]:
        """Each of `TASK_FACTS`, and the values that some runs have there."""
        configs = [self.jobs[row.id].config for row in rows]
        return {
            fact: {json.dumps(getattr(config, fact), sort_keys=True) for config in configs}
            for fact in TASK_FACTS
        }


def gather(folder: Path) -> Evidence:
    """Read the folder of a sweep.

    Raises:
        RunError: if it is no sweep, holds no results, or one is damaged; names the row.
    """
    if not folder.is_dir():
        raise RunError(f"There is no folder {folder}.")
    rows = Results.open(folder).rows
    if not rows:
        raise RunError(f"{folder} holds no results yet: no run is finished.")
    plan = read_plan(folder)
    jobs = {job.id: job for job in plan.jobs}
    for row in rows:
        if fault := _fault(row, jobs.get(row.id)):
            raise RunError(
                f"{folder / INDEX}: the row of {row.id!r} is damaged: {fault}. Delete {INDEX}: `shapegym sweep` writes it anew."
            )
    compared = tuple(row for row in rows if row.stage == 0)
    if not compared:
        raise RunError(
            f"{folder} holds nothing to compare yet: all {len(rows)} finished runs are of the search that tunes."
        )
    finished = {row.id for row in rows}
    return Evidence(
        folder,
        plan,
        compared,
        tuple(row for row in rows if row.stage > 0),
        {job: message for job, message in read_failures(folder).items() if job not in finished},
    )


def _fault(row: ResultRow, job: Job | None) -> str:
    """What makes a row useless, or nothing."""
    if job is None or row.digest != job.digest:
        return "it is of another request than the plan's"
    said = (row.task, row.strategy, row.entry, row.seed, row.stage, row.steps)
    if said != (job.task, job.strategy, job.entry, job.config.seed, job.stage, job.config.steps):
        return "it is under another name than the plan's"
    if row.first_success is not None and row.first_success < 0:
        return f"first_success is {row.first_success}, before the start"
    if row.curve.keys() != {"step", *CURVES} or len(set(map(len, row.curve.values()))) > 1:
        return "the columns of its curve are others, or have different lengths"
    if not all(isinstance(step, int) for step in row.curve["step"]):
        return "its curve has steps that are no whole numbers"
    for name, cost in row.costs.items():
        if isinstance(cost, Mapping) != (name in ("shares", "terms")):
            return f"costs.{name} is {cost!r}"
    return ""


def _in_order(planned: Iterable[str], found: Iterable[str]) -> tuple[str, ...]:
    """What was found: first what the plan names, in its order."""
    names = dict.fromkeys(found)
    return tuple(name for name in dict.fromkeys((*planned, *names)) if name in names)


def _mixed(versions: Iterator[Mapping[str, str]]) -> Mapping[str, Counter[str]]:
    """Package -> how many runs had which version, of packages with more than one."""
    counts: dict[str, Counter[str]] = {}
    for run in versions:
        for package, version in run.items():
            counts.setdefault(package, Counter())[version] += 1
    return {package: seen for package, seen in counts.items() if len(seen) > 1}
