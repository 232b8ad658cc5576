"""Who is better, over all tasks: the leaderboard, what leaving a part out costs, and performance profiles.

Success lies between 0 and 1 on every task. Task returns do not, so over tasks they are compared on a scale of each task's own:
0 is the worst run of the comparison, 1 the best. Tasks where all runs earn the same tell nobody apart and are left out there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from shapegym.experiments.reports.sources import Evidence
from shapegym.experiments.reports.svg import Curve
from shapegym.experiments.stats import (
    Interval,
    Test,
    aggregate,
    holm,
    holm_by_name,
    paired_test,
    performance_profile,
    probability_of_improvement,
    shared,
)
from shapegym.experiments.sweeps.search.ablation import WITHOUT
from shapegym.experiments.sweeps.search.tuning import TUNED

SUCCESS, RETURN = "success_rate", "mean_return"
SIGNIFICANT = 0.05

Scores = dict[tuple[str, int], float]
"""(task, seed) -> final score."""


@dataclass(frozen=True)
class Standing:
    """A line of the leaderboard."""

    contender: str  # what is compared
    strategy: str  # its reward
    variant: Mapping[str, Any]  # its swept fields
    tasks: int  # how many tasks it has runs on
    runs: int  # how many runs
    # interquartile mean over all runs of the tasks that tell success; None if none does
    success: Interval | None
    # interquartile mean of the scaled task return; None if all runs of its tasks earn the same
    task_return: Interval | None
    # probability that a run is better than one of the baseline; None for the baseline
    improvement: Interval | None = None
    difference: float | None = None  # from the baseline, mean over the paired runs
    p: float | None = None  # of the paired test of that difference, adjusted for the number of contenders
    pairs: int = 0  # how many runs had a partner


@dataclass(frozen=True)
class Leaderboard:
    """All contenders, the best first."""

    standings: tuple[Standing, ...]  # the lines
    metric: str  # what improvement and tests are about: success if any task tells it, else the task return
    baseline: str  # contender that the others are compared with
    complete: bool  # whether all contenders have runs on all tasks

    def of(self, contender: str) -> Standing:
        """The line of a contender."""
        return next(line for line in self.standings if line.contender == contender)

    def score(self, line: Standing) -> Interval | None:
        """What a line is judged by."""
        return line.success if self.metric == SUCCESS else line.task_return

    def differs(self, sign: int) -> list[Standing]:
        """The contenders that are better (1) or worse (-1) than the baseline by more than chance.

        The paired test must say so, and the interval of the probability to beat the baseline must not hold one half.
        """
        return [
            line
            for line in self.standings
            if line.p is not None
            and line.p < SIGNIFICANT
            and line.improvement is not None
            and (line.difference or 0.0) * sign > 0
            and not line.improvement.low <= 0.5 <= line.improvement.high
        ]


@dataclass(frozen=True)
class Ablation:
    """What leaving one part out changes; positive is better without it."""

    strategy: str  # the whole
    part: str  # what was left out
    success: Interval | None  # mean difference of paired runs; None if no task tells success
    task_return: Interval | None  # mean difference of the scaled task return; None if all runs earn the same
    p: float  # of the paired test on success, or else the task return, adjusted for the number of ablations
    pairs: int  # how many


def leaderboard(evidence: Evidence) -> Leaderboard:
    """Compare all contenders over all tasks."""
    success, returns = (
        {name: scores_of(evidence, name, metric) for name in evidence.contenders}
        for metric in (SUCCESS, RETURN)
    )
    metric, judged = (SUCCESS, success) if any(success.values()) else (RETURN, returns)
    base, tested, improvement = judged[evidence.baseline], dict[str, Test](), dict[str, Interval]()
    for name in evidence.contenders:
        if name != evidence.baseline and judged[name].keys() & base.keys():
            tested[name] = paired_test(*shared(judged[name], base))
            improvement[name] = probability_of_improvement(*shared(by_task(judged[name]), by_task(base)))
    adjusted = holm_by_name({name: test.p for name, test in tested.items()})
    lines = []
    for name in evidence.contenders:
        rows = [row for task in evidence.tasks for row in evidence.runs(task, name)]
        lines.append(
            Standing(
                name,
                rows[0].strategy,
                rows[0].variant,
                len({row.task for row in rows}),
                len(rows),
                aggregate(by_task(success[name]), within=(0, 1)) if success[name] else None,
                aggregate(by_task(returns[name]), within=(0, 1)) if returns[name] else None,
                improvement.get(name),
                tested[name].statistic if name in tested else None,
                adjusted.get(name),
                len(judged[name].keys() & base.keys()) if name in tested else 0,
            )
        )
    complete = len(evidence.groups) == len(evidence.contenders) * len(evidence.tasks)
    board = Leaderboard(tuple(lines), metric, evidence.baseline, complete)
    return replace(board, standings=tuple(sorted(lines, key=lambda line: _rank(line, board))))


def ablations(evidence: Evidence) -> tuple[Ablation, ...]:
    """Compare every strategy that lacks a part with the whole one."""
    found = []
    for name in evidence.contenders:
        strategy, separator, rest = name.partition(WITHOUT)
        part, mark, swept = rest.partition("~")
        whole = strategy + TUNED * part.endswith(TUNED) + mark + swept
        success, returns = (
            shared(scores_of(evidence, name, metric), scores_of(evidence, whole, metric))
            for metric in (SUCCESS, RETURN)
        )
        judged = success if success[0] else returns
        if separator and judged[0]:
            changes = (_mean_difference(*success), _mean_difference(*returns))
            p = paired_test(*judged).p
            found.append(Ablation(whole, part.removesuffix(TUNED), *changes, p, len(judged[0])))
    adjusted = holm([ablation.p for ablation in found]).tolist()
    return tuple(replace(ablation, p=p) for ablation, p in zip(found, adjusted, strict=True))


def profiles(evidence: Evidence, names: Iterable[str]) -> tuple[Curve, ...]:
    """The share of runs of some contenders above each success rate, over the tasks that tell success."""
    thresholds = np.linspace(0.0, 0.99, 34)
    success = {name: by_task(scores_of(evidence, name, SUCCESS)) for name in names}
    return tuple(
        Curve(name, thresholds, *performance_profile(scores, thresholds))
        for name, scores in success.items()
        if scores
    )


def scores_of(evidence: Evidence, name: str, metric: str) -> Scores:
    """The final scores of a contender that are told: success as it is, task returns between the worst and the best run."""
    found: Scores = {}
    for task in evidence.tasks:
        low, high = evidence.returns[task] if metric == RETURN else (0.0, 1.0)
        if high > low:
            told = {row.seed: getattr(row, metric) for row in evidence.runs(task, name)}
            found |= {
                (task, seed): (score - low) / (high - low)
                for seed, score in told.items()
                if score is not None
            }
    return found


def by_task(scores: Scores) -> dict[str, list[float]]:
    """Task -> scores."""
    groups: dict[str, list[float]] = {}
    for (task, _), score in scores.items():
        groups.setdefault(task, []).append(score)
    return groups


def _mean_difference(ours: Scores, theirs: Scores) -> Interval | None:
    differences = by_task({pair: score - theirs[pair] for pair, score in ours.items()})
    return aggregate(differences, np.mean, within=(-1, 1)) if differences else None


def _rank(line: Standing, board: Leaderboard) -> tuple[int, float, float, float]:
    """Contenders with most tasks first, then by score; among equals by the mean difference from the baseline, then the return."""
    judged, task_return = board.score(line), line.task_return
    return (
        -line.tasks,
        -judged.estimate if judged else 0.0,
        -(line.difference or 0.0),
        -task_return.estimate if task_return else 0.0,
    )
