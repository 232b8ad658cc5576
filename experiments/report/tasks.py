"""What happened on one task: final scores, learning curves, steps to success, and what the reward paid for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from shapegym.experiments.report.evidence import Evidence
from shapegym.experiments.report.standings import RETURN, SUCCESS, known
from shapegym.experiments.results import Row, curves, steps_to
from shapegym.experiments.stats import (
    Interval,
    Survival,
    aggregate,
    area,
    holm,
    iqm,
    kaplan_meier,
    log_rank,
    paired_test,
)
from shapegym.experiments.stats.bootstrap import percentiles, resampled, tally

FAILING = 0.5
"""A success rate below which good pay is suspicious."""
_RESAMPLES = 1000


@dataclass(frozen=True)
class Line:
    """A line of a task's table.

    Attributes:
        contender: what is compared.
        seeds: how many runs.
        success: mean over the runs, None if the task does not tell.
        success_iqm: interquartile mean.
        task_return: mean over the runs.
        return_iqm: interquartile mean.
        area: mean success, or else task return, over the whole of training.
        p: of the paired test against the baseline, adjusted for the contenders of the task; None for the baseline.
        shaped_return: what the last training episodes were paid, mean over the runs.
        parts: what each part of it was.
        overpaid: paid more than solving the task ever earned in the comparison, but fails it.
        sounded: kind of alarm during training -> runs in which it sounded, and the first step at which it did.
    """

    contender: str
    seeds: int
    success: Interval | None
    success_iqm: float | None
    task_return: Interval
    return_iqm: float
    area: float | None
    p: float | None
    shaped_return: float | None
    parts: Mapping[str, float]
    overpaid: bool
    sounded: Mapping[str, tuple[int, int]]

    @property
    def alarm(self) -> bool:
        """Whether there is a sign that something else than the task was paid for."""
        return self.overpaid or bool(self.sounded)


@dataclass(frozen=True)
class Curve:
    """A learning curve: evaluations on the task (T,), their mean over the runs and its pointwise interval."""

    contender: str
    steps: NDArray[np.int64]
    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


@dataclass(frozen=True)
class Wait:
    """Steps until an event.

    Attributes:
        contender: what is compared.
        seeds: how many runs.
        reached: how many of them had the event.
        survival: share of runs still without it.
        p: of the log-rank test against the baseline, adjusted for all contenders of the task; None for the baseline.
    """

    contender: str
    seeds: int
    reached: int
    survival: Survival
    p: float | None


def lines(evidence: Evidence, task: str) -> tuple[Line, ...]:
    """The table of a task, the best contender first."""
    groups = {name: rows for name in evidence.contenders if (rows := evidence.groups.get((task, name)))}
    metric = SUCCESS if any(known(rows, SUCCESS).size for rows in groups.values()) else RETURN
    solved = _return_of_solving(groups)
    adjusted = _against(groups, evidence.baseline, metric)
    found = []
    for name, rows in groups.items():
        success, returns = known(rows, SUCCESS), known(rows, RETURN)
        paid = [row.shaped_return for row in rows if row.shaped_return is not None]
        shaped = fmean(paid) if paid else None
        found.append(
            Line(
                name,
                len(rows),
                aggregate({task: success}, np.mean) if success.size else None,
                float(iqm(success)) if success.size else None,
                aggregate({task: returns}, np.mean),
                float(iqm(returns)),
                _area(rows, metric),
                adjusted.get(name),
                shaped,
                _parts(rows),
                overpaid=bool(success.size)
                and success.mean() < FAILING
                and shaped is not None
                and shaped > solved,
                sounded=_sounded(rows),
            )
        )
    return tuple(
        sorted(
            found,
            key=lambda line: (-(line.success.estimate if line.success else 0.0), -line.task_return.estimate),
        )
    )


def learning(evidence: Evidence, task: str, names: Iterable[str], metric: str) -> tuple[Curve, ...]:
    """Learning curves of some contenders; ``metric`` is "success_rate" or "mean_return"."""
    found = []
    for name in names:
        steps, values = curves(evidence.groups.get((task, name), ()), metric)
        values = values[~np.isnan(values).any(axis=1)]
        if values.size:
            low, high = _band(values)
            found.append(Curve(name, steps, values.mean(axis=0), low, high))
    return tuple(found)


def waits(evidence: Evidence, task: str, names: Iterable[str], threshold: float | None) -> tuple[Wait, ...]:
    """Steps of some contenders to the first success, or to a success rate of ``threshold``."""
    groups = {name: rows for name in evidence.contenders if (rows := evidence.groups.get((task, name)))}
    if not any(known(rows, SUCCESS).size for rows in groups.values()):
        return ()
    times = {name: steps_to(rows, threshold) for name, rows in groups.items()}
    others = [name for name in groups if name != evidence.baseline and evidence.baseline in groups]
    p = [log_rank(*times[name], *times[evidence.baseline]).p for name in others]
    adjusted = dict(zip(others, holm(p).tolist(), strict=True))
    return tuple(
        Wait(name, len(when), int(happened.sum()), kaplan_meier(when, happened), adjusted.get(name))
        for name in names
        if name in times
        for when, happened in (times[name],)
    )


def _return_of_solving(groups: Mapping[str, tuple[Row, ...]]) -> float:
    """The highest task return of a run that solves the task; infinite if none does, as nobody knows then what is much."""
    rows = (row for runs in groups.values() for row in runs)
    solving = [
        row.mean_return for row in rows if row.success_rate is not None and row.success_rate >= FAILING
    ]
    return max(solving, default=float("inf"))


def _against(groups: Mapping[str, tuple[Row, ...]], baseline: str, metric: str) -> dict[str, float]:
    """Contender -> adjusted p of its difference from the baseline, where they share seeds."""
    seeds = {
        name: {row.seed: float(getattr(row, metric)) for row in rows if getattr(row, metric) is not None}
        for name, rows in groups.items()
    }
    p = {}
    for name, ours in seeds.items():
        shared = ours.keys() & seeds.get(baseline, {}).keys()
        if name != baseline and shared:
            theirs = seeds[baseline]
            p[name] = paired_test(
                {seed: ours[seed] for seed in sorted(shared)}, {seed: theirs[seed] for seed in sorted(shared)}
            ).p
    return dict(zip(p, holm(list(p.values())).tolist(), strict=True))


def _area(rows: tuple[Row, ...], metric: str) -> float | None:
    steps, values = curves(rows, metric)
    values = values[~np.isnan(values).any(axis=1)]
    return float(area(steps, values, max(row.steps for row in rows)).mean()) if values.size else None


def _parts(rows: tuple[Row, ...]) -> dict[str, float]:
    names = dict.fromkeys(name for row in rows for name in row.parts)
    return {name: fmean(row.parts[name] for row in rows if name in row.parts) for name in names}


def _sounded(rows: tuple[Row, ...]) -> dict[str, tuple[int, int]]:
    kinds = dict.fromkeys(kind for row in rows for kind in row.alarms)
    steps = {kind: [row.alarms[kind] for row in rows if kind in row.alarms] for kind in kinds}
    return {kind: (len(found), min(found)) for kind, found in steps.items()}


def _band(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The pointwise interval of the mean of curves (runs, T): two arrays (T,)."""
    samples = resampled((len(values),), _RESAMPLES, 0, lambda drawn: tally(drawn[0]) @ values / len(values))
    low, high = percentiles(samples, 0.95)
    return low, high
