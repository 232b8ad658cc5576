"""Intervals of 95 % hold the truth in at least 93 % of comparisons, with few runs, skewed scores and scores with ties.

Data sets are drawn from tasks whose truth is known, and the intervals that reports show are computed of each: of the mean, the
interquartile mean, the mean of paired differences, the probability of improvement, and the share of runs above a threshold. The
truth of a statistic is its value for very many runs of the same tasks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from shapegym.experiments.stats import (
    Interval,
    aggregate,
    iqm,
    performance_profile,
    probability_of_improvement,
)
from shapegym.experiments.studies.claims import Claim, Findings, ResultTable, StudyRequest

SEEDS = 5
"""Reported seeds by default; each draws `REPEATS` data sets of every setting."""

REPEATS, RESAMPLES, MANY = 200, 500, 100_000
LEVEL, ENOUGH = 0.95, 0.93
LAYOUTS = ((1, 3), (1, 5), (1, 10), (6, 3), (6, 5), (6, 10))
"""Tasks, and runs of each."""

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int, int], Floats]


def _two_kinds(rng: np.random.Generator, task: int, runs: int) -> Floats:
    solved = rng.random(runs) < 0.6 - 0.05 * task
    return np.clip(np.where(solved, 0.9, 0.1) + 0.05 * rng.standard_normal(runs), 0, 1)


FAMILIES: dict[str, Draw] = {
    "normal": lambda rng, task, runs: rng.normal(0.3 * task, 1.0, runs),
    "success of 20 episodes": lambda rng, task, runs: rng.binomial(20, 0.95 - 0.12 * task, runs) / 20,
    "near the top (beta)": lambda rng, task, runs: rng.beta(5, 1 + 0.2 * task, runs),
    "solved or not": _two_kinds,
    "0 or 1": lambda rng, task, runs: rng.binomial(1, 0.75 - 0.05 * task, runs).astype(np.float64),
    "exponential": lambda rng, task, runs: rng.exponential(1 + 0.2 * task, runs),
    "lognormal": lambda rng, task, runs: rng.lognormal(0.0, 1.0, runs),
}
"""Scores of a task, by its number, (runs,)."""

STATISTICS = ("mean", "interquartile mean", "difference", "improvement", "profile")
BELOW = {("lognormal", "mean"), ("0 or 1", "interquartile mean")}
"""Of these some setting is below `ENOUGH`: the one has rare scores far from all others, the other jumps with the share of ones."""


@dataclass(frozen=True)
class Setting:
    """What is drawn, and by which seed."""

    family: str
    tasks: int
    runs: int
    repeats: int
    seed: int


def coverage(setting: Setting) -> tuple[float, ...]:
    """How often the interval of each of `STATISTICS` held the truth."""
    rng = np.random.default_rng((setting.seed, setting.tasks, setting.runs, *setting.family.encode()))
    truth = _truth(setting.family, setting.tasks)
    hits = np.zeros(len(STATISTICS))
    for _ in range(setting.repeats):
        ours, theirs = (_scores(rng, setting.family, setting.tasks, setting.runs) for _ in range(2))
        held = (
            found.low - 1e-9 <= value <= found.high + 1e-9
            for found, value in zip(_intervals(ours, theirs), truth, strict=True)
        )
        hits += np.fromiter(held, bool, len(hits))
    return tuple((hits / setting.repeats).tolist())


def _scores(rng: np.random.Generator, family: str, tasks: int, runs: int) -> dict[str, Floats]:
    return {str(task): FAMILIES[family](rng, task, runs) for task in range(tasks)}


def _intervals(ours: dict[str, Floats], theirs: dict[str, Floats]) -> tuple[Interval, ...]:
    gaps = {task: ours[task] - theirs[task] for task in ours}
    share, low, high = performance_profile(ours, [0.5])
    return (
        aggregate(ours, np.mean, resamples=RESAMPLES),
        aggregate(ours, iqm, resamples=RESAMPLES),
        aggregate(gaps, np.mean, resamples=RESAMPLES),
        probability_of_improvement(ours, theirs),
        Interval(float(share[0]), float(low[0]), float(high[0])),
    )


@cache
def _truth(family: str, tasks: int) -> tuple[float, ...]:
    """Both sides are drawn alike, so differences are 0 on average and either side wins as often."""
    many = _scores(np.random.default_rng(0), family, tasks, MANY)
    pooled = np.concatenate(list(many.values()))
    return float(pooled.mean()), float(iqm(pooled)), 0.0, 0.5, float((pooled > 0.5).mean())


def run(request: StudyRequest) -> Findings:
    """Draw, compute and count."""
    repeats = 20 if request.quick else REPEATS
    settings = [
        Setting(family, tasks, runs, repeats, seed)
        for family in FAMILIES
        for tasks, runs in LAYOUTS
        for seed in request.seeds
    ]
    found = request.map(coverage, settings)
    rows = {
        (family, layout): np.mean(
            [found[Setting(family, *layout, repeats, seed)] for seed in request.seeds], axis=0
        )
        for family in FAMILIES
        for layout in LAYOUTS
    }
    told = [
        (share, f"{statistic}, {family}, {tasks} x {runs}", (family, statistic) in BELOW)
        for (family, (tasks, runs)), shares in rows.items()
        for statistic, share in zip(STATISTICS, shares.tolist(), strict=True)
    ]
    least, worst = (min(row for row in told if row[2] is below) for below in (False, True))
    return Findings(
        claims=(
            Claim(
                f"95 % intervals hold the truth in at least {ENOUGH:.0%}, but for means of lognormal scores and IQMs of 0 or 1",
                least[0] >= ENOUGH,
                f"{least[0]:.3f} at least ({least[1]}), {np.mean([row[0] for row in told]):.3f} on average",
            ),
            Claim(
                "those two do in at least 90 %",
                worst[0] >= 0.90,
                f"{worst[0]:.3f} at least ({worst[1]})",
            ),
        ),
        tables=(
            ResultTable(
                f"Share of {repeats * len(request.seeds)} data sets in which a {LEVEL:.0%} interval held the truth",
                ("scores", "tasks", "runs", *STATISTICS),
                (
                    (family, *layout, *np.round(shares, 3).tolist())
                    for (family, layout), shares in rows.items()
                ),
            ),
        ),
    )
