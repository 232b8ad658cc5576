"""Tuning: what successive halving and model-based search share.

Each strategy is tuned for each task by itself, on seeds of its own (`SEEDS`), and what wins there is run on the plan's seeds under
the name ``STRATEGY-tuned``. So the numbers that are compared come from runs that had no part in the choice. Runs that tune have a
``stage`` above 0, those that are compared stage 0.

Variants rank by success rate, then by task return, both of the final evaluation and averaged over the tuning seeds; never by the
shaped return, which a variant can raise by paying more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TypeAlias

from shapegym.experiments.errors import RunError
from shapegym.experiments.sweeps.plan import Job, Plan
from shapegym.experiments.sweeps.results import ResultRow
from shapegym.experiments.sweeps.search.fields import fitted
from shapegym.experiments.sweeps.search.variants import Point

SEEDS = (100, 101, 102)
"""Where variants are tuned: not where they are compared."""

TUNED = "-tuned"
"""After the name of a strategy whose winning variant is compared."""

Score: TypeAlias = tuple[float, float]
"""Success rate and task return, compared in this order."""


@dataclass(frozen=True)
class Contest:
    """The variants of one strategy on one task."""

    runs: tuple[Job, ...]  # the plan's jobs: one for each seed on which the winner is compared
    seeds: tuple[int, ...]  # on which variants are tuned

    @property
    def name(self) -> str:
        """The entry."""
        return self.runs[0].entry

    def variants(self, points: Sequence[Point]) -> list[Job]:
        """Return the distinct variants that points make; none if the entry has none of their fields."""
        base = self.runs[0]
        variants = (fitted(base, point) for point in points)
        return list({job.entry: job for job in variants if job is not base}.values())

    def trials(self, variant: Job, stage: int, steps: int) -> list[Job]:
        """Return the runs of a variant that tune."""
        config = replace(variant.config, steps=steps)
        return [replace(variant, config=replace(config, seed=seed), stage=stage) for seed in self.seeds]

    def final(self, winner: Job) -> list[Job]:
        """Return the runs of the winner that are compared."""
        return [
            replace(run, strategy=run.strategy + TUNED, config=replace(winner.config, seed=run.config.seed))
            for run in self.runs
        ]


def contests(plan: Plan, seeds: Sequence[int]) -> list[Contest]:
    """Return the contest of each entry of a plan.

    Raises:
        RunError: if a seed is both for tuning and for comparing.
    """
    if not seeds:
        raise RunError("Tuning needs at least one seed.")
    if both := sorted({job.config.seed for job in plan.jobs} & set(seeds)):
        raise RunError(
            f"Seed {both[0]} is one of {plan.name}'s: what is tuned on a seed cannot be compared on it. Tune on others."
        )
    entries: dict[str, list[Job]] = {}
    for job in plan.jobs:
        entries.setdefault(job.entry, []).append(job)
    return [Contest(tuple(runs), tuple(seeds)) for runs in entries.values()]


def score(trials: Sequence[Job], done: Mapping[str, ResultRow]) -> Score | None:
    """Return how good a variant is; None while some of its trials have not finished.

    Where the task does not say what success is, the task return alone decides.
    """
    rows = [done.get(job.id) for job in trials]
    finished = [row for row in rows if row is not None]
    if len(finished) < len(rows):
        return None
    return fmean(row.success_rate or 0.0 for row in finished), fmean(row.mean_return for row in finished)
