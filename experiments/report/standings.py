"""Who is better, over all tasks: the leaderboard, what leaving a part out costs, and performance profiles.

Success lies between 0 and 1 on every task. Task returns do not, so over tasks they are compared on a scale of each task's own:
0 is the worst run of the comparison, 1 the best. Tasks where all runs earn the same tell nobody apart and are left out there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapegym.experiments.report.evidence import Evidence
from shapegym.experiments.results import Row, scores
from shapegym.experiments.search.ablation import WITHOUT
from shapegym.experiments.search.tuning import TUNED
from shapegym.experiments.stats import (
    Interval,
    Test,
    aggregate,
    holm,
    paired_test,
    performance_profile,
    probability_of_improvement,
)

SUCCESS, RETURN = "success_rate", "mean_return"
SIGNIFICANT = 0.05

Pairs = dict[Any, float]
"""(task, seed) -> score."""
Scale = Mapping[str, tuple[float, float]]
"""Task -> the task returns of its worst and its best run."""


@dataclass(frozen=True)
class Standing:
    """A line of the leaderboard.

    Attributes:
        contender: what is compared.
        strategy: its reward.
        variant: its swept fields.
        tasks: how many tasks it has runs on.
        runs: how many runs.
        success: interquartile mean over all runs of the tasks that tell success; None if none does.
        task_return: interquartile mean of the scaled task return; None if all runs of its tasks earn the same.
        improvement: probability that a run is better than one of the baseline; None for the baseline.
        difference: from the baseline, mean over the paired runs.
        p: of the paired test of that difference, adjusted for the number of contenders.
        pairs: how many runs had a partner.
    """

    contender: str
    strategy: str
    variant: Mapping[str, Any]
    tasks: int
    runs: int
    success: Interval | None
    task_return: Interval | None
    improvement: Interval | None = None
    difference: float | None = None
    p: float | None = None
    pairs: int = 0


@dataclass(frozen=True)
class Leaderboard:
    """All contenders, the best first.

    Attributes:
        standings: the lines.
        metric: what improvement and tests are about: success if any task tells it, else the task return.
        baseline: contender that the others are compared with.
        complete: whether all contenders have runs on all tasks.
    """

    standings: tuple[Standing, ...]
    metric: str
    baseline: str
    complete: bool

    def of(self, contender: str) -> Standing:
        """The line of a contender."""
        return next(line for line in self.standings if line.contender == contender)

    def score(self, line: Standing) -> Interval | None:
        """What a line is judged by."""
        return line.success if self.metric == SUCCESS else line.task_return

    def differs(self, sign: int) -> list[Standing]:
        """The contenders that are better (1) or worse (-1) than the baseline by more than chance."""
        return [
            line
            for line in self.standings
            if line.p is not None
            and line.p < SIGNIFICANT
            and line.difference is not None
            and line.difference * sign > 0
        ]


@dataclass(frozen=True)
class Ablation:
    """What leaving one part out changes; positive is better without it.

    Attributes:
        strategy: the whole.
        part: what was left out.
        success: mean difference of paired runs; None if no task tells success.
        task_return: mean difference of the scaled task return; None if all runs earn the same.
        p: of the paired test on success, or else the task return, adjusted for the number of ablations.
        pairs: how many.
    """

    strategy: str
    part: str
    success: Interval | None
    task_return: Interval | None
    p: float
    pairs: int


@dataclass(frozen=True)
class Profile:
    """Share of a contender's runs above each threshold of success, with its interval; arrays (thresholds,)."""

    contender: str
    thresholds: NDArray[np.float64]
    share: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def leaderboard(evidence: Evidence) -> Leaderboard:
    """Compare all contenders over all tasks."""
    scale = _scales(evidence)
    success = {name: _scores(evidence, name, SUCCESS, scale) for name in evidence.contenders}
    returns = {name: _scores(evidence, name, RETURN, scale) for name in evidence.contenders}
    metric, judged = (SUCCESS, success) if any(success.values()) else (RETURN, returns)
    baseline = evidence.baseline
    improvement: dict[str, Interval] = {}
    tested: dict[str, Test] = {}
    partners: dict[str, int] = {}
    for name in evidence.contenders:
        pairs = _paired(evidence, name, baseline, metric, scale)
        if name != baseline and pairs[0]:
            shared = judged[name].keys() & judged[baseline].keys()
            ours, theirs = ({task: judged[side][task] for task in shared} for side in (name, baseline))
            improvement[name] = probability_of_improvement(ours, theirs)
            tested[name], partners[name] = paired_test(*pairs), len(pairs[0])
    adjusted = dict(zip(tested, holm([test.p for test in tested.values()]).tolist(), strict=True))
    lines = []
    for name in evidence.contenders:
        rows = [row for task in evidence.tasks for row in evidence.groups.get((task, name), ())]
        lines.append(
            Standing(
                name,
                rows[0].strategy,
                rows[0].variant,
                len({row.task for row in rows}),
                len(rows),
                aggregate(success[name]) if success[name] else None,
                aggregate(returns[name]) if returns[name] else None,
                improvement.get(name),
                tested[name].statistic if name in tested else None,
                adjusted.get(name),
                partners.get(name, 0),
            )
        )
    complete = len(evidence.groups) == len(evidence.contenders) * len(evidence.tasks)
    board = Leaderboard(tuple(lines), metric, baseline, complete)
    return replace(board, standings=tuple(sorted(lines, key=lambda line: _rank(line, board))))


def ablations(evidence: Evidence) -> tuple[Ablation, ...]:
    """Compare every strategy that lacks a part with the whole one."""
    scale = _scales(evidence)
    found = []
    for name in evidence.contenders:
        strategy, separator, rest = name.partition(WITHOUT)
        part, mark, swept = rest.partition("~")
        tuned = TUNED if part.endswith(TUNED) else ""
        whole = strategy + tuned + mark + swept
        returns = _paired(evidence, name, whole, RETURN, scale)
        success = _paired(evidence, name, whole, SUCCESS, scale)
        judged = success if success[0] else returns
        if not separator or not judged[0]:
            continue
        found.append(
            Ablation(
                whole,
                part.removesuffix(TUNED),
                aggregate(_differences(*success), np.mean) if success[0] else None,
                aggregate(_differences(*returns), np.mean) if returns[0] else None,
                paired_test(*judged).p,
                len(judged[0]),
            )
        )
    adjusted = holm([ablation.p for ablation in found]).tolist()
    return tuple(replace(ablation, p=p) for ablation, p in zip(found, adjusted, strict=True))


def profiles(evidence: Evidence, names: Iterable[str]) -> tuple[Profile, ...]:
    """The performance profiles of some contenders, over the tasks that tell success."""
    thresholds, scale = np.linspace(0.0, 0.99, 34), _scales(evidence)
    found = []
    for name in names:
        if success := _scores(evidence, name, SUCCESS, scale):
            found.append(Profile(name, thresholds, *performance_profile(success, thresholds, resamples=1000)))
    return tuple(found)


def _rank(line: Standing, board: Leaderboard) -> tuple[int, float, float, float]:
    """Contenders with most tasks first, then by score; among equals by the mean difference from the baseline, then the return."""
    judged, task_return = board.score(line), line.task_return
    return (
        -line.tasks,
        -judged.estimate if judged else 0.0,
        -(line.difference or 0.0),
        -task_return.estimate if task_return else 0.0,
    )


def _paired(evidence: Evidence, ours: str, theirs: str, metric: str, scale: Scale) -> tuple[Pairs, Pairs]:
    """The scores of two contenders by (task, seed), where both have one."""
    sides = [
        {
            (task, row.seed): float(_scaled(score, metric, scale[task]))
            for task in scale
            for row in evidence.groups.get((task, name), ())
            if (metric != RETURN or _tells(scale[task])) and (score := getattr(row, metric)) is not None
        }
        for name in (ours, theirs)
    ]
    shared = [pair for pair in sides[0] if pair in sides[1]]
    return {pair: sides[0][pair] for pair in shared}, {pair: sides[1][pair] for pair in shared}


def _differences(ours: Pairs, theirs: Pairs) -> dict[str, list[float]]:
    differences: dict[str, list[float]] = {}
    for pair, score in ours.items():
        differences.setdefault(pair[0], []).append(score - theirs[pair])
    return differences


def _scores(evidence: Evidence, name: str, metric: str, scale: Scale) -> dict[str, NDArray[np.float64]]:
    found = {}
    for task in scale:
        values = known(evidence.groups.get((task, name), ()), metric)
        if values.size and (metric != RETURN or _tells(scale[task])):
            found[task] = _scaled(values, metric, scale[task])
    return found


def known(rows: tuple[Row, ...], metric: str) -> NDArray[np.float64]:
    """The final scores of the runs that have one."""
    values = scores(rows, metric)
    return values[~np.isnan(values)]


def _scales(evidence: Evidence) -> dict[str, tuple[float, float]]:
    """Task -> the task returns of its worst and its best run."""
    returns = {task: [row.mean_return for row in evidence.rows_of(task)] for task in evidence.tasks}
    return {task: (min(values), max(values)) for task, values in returns.items()}


def _tells(ends: tuple[float, float]) -> bool:
    return ends[1] > ends[0]


def _scaled(values: Any, metric: str, ends: tuple[float, float]) -> Any:
    """Task returns between the worst and the best run; success as it is."""
    return (values - ends[0]) / (ends[1] - ends[0]) if metric == RETURN else values
