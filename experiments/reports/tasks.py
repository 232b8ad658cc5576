"""What happened on one task: final scores, learning curves, steps to success, and what the reward paid for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from shapegym.experiments.reports.sources import Evidence
from shapegym.experiments.reports.standings import RETURN, SUCCESS
from shapegym.experiments.reports.svg import Curve
from shapegym.experiments.stats import (
    Interval,
    Survival,
    aggregate,
    area,
    holm_by_name,
    iqm,
    kaplan_meier,
    log_rank,
    mean_band,
    paired_test,
    shared,
)
from shapegym.experiments.sweeps.results import ResultRow, curves, scores, steps_to

FAILING = 0.5
"""A success rate below which good pay is suspicious."""


@dataclass(frozen=True)
class TaskLine:
    """A line of a task's table."""

    contender: str  # what is compared
    seeds: int  # how many runs
    success: Interval | None  # mean over the runs, None if the task does not tell
    success_iqm: float | None  # interquartile mean
    task_return: Interval  # mean over the runs
    return_iqm: float  # interquartile mean
    area: float | None  # mean success, or else task return, over the whole of training
    # of the paired test against the baseline, adjusted for the contenders of the task; None for the baseline
    p: float | None
    shaped_return: float | None  # what the last training episodes were paid, mean over the runs
    pay: float | None  # the same without the parts that keep optimal policies, which nobody can exploit
    parts: Mapping[str, float]  # what each part of it was
    overpaid: bool  # paid more than solving the task ever earned in the comparison, but fails it
    # kind of alarm during training -> runs in which it sounded, and the first step at which it did
    sounded: Mapping[str, tuple[int, int]]

    @property
    def alarms(self) -> tuple[str, ...]:
        """The kinds of signs that something else than the task was paid for."""
        return (*(["overpaid"] if self.overpaid else []), *self.sounded)


@dataclass(frozen=True)
class Wait:
    """Steps until an event."""

    contender: str  # what is compared
    seeds: int  # how many runs
    reached: int  # how many of them had the event
    survival: Survival  # share of runs still without it
    # of the log-rank test against the baseline, adjusted for all contenders of the task; None for the baseline
    p: float | None


def lines(evidence: Evidence, task: str) -> tuple[TaskLine, ...]:
    """The table of a task, the best contender first."""
    groups = _groups(evidence, task)
    metric = SUCCESS if _tells_success(groups) else RETURN
    solving = (
        row.mean_return for rows in groups.values() for row in rows if (row.success_rate or 0.0) >= FAILING
    )
    most = max(solving, default=float("inf"))  # where nobody solves it, nobody knows what is much
    told = {
        name: {row.seed: score for row in rows if (score := getattr(row, metric)) is not None}
        for name, rows in groups.items()
    }
    base = told.get(evidence.baseline, {})
    others = [name for name in groups if name != evidence.baseline and told[name].keys() & base.keys()]
    adjusted = holm_by_name({name: paired_test(*shared(told[name], base)).p for name in others})
    found = []
    for name, rows in groups.items():
        success, returns = known(rows, SUCCESS), known(rows, RETURN)
        shaped = _mean(row.shaped_return for row in rows)
        pay = _mean(_pay(evidence, row) for row in rows)
        found.append(
            TaskLine(
                name,
                len(rows),
                aggregate({task: success}, np.mean, within=(0, 1)) if success.size else None,
                float(iqm(success)) if success.size else None,
                aggregate({task: returns}, np.mean),
                float(iqm(returns)),
                _area(rows, metric),
                adjusted.get(name),
                shaped,
                pay,
                _parts(rows),
                overpaid=bool(success.size and success.mean() < FAILING) and pay is not None and pay > most,
                sounded=_sounded(rows),
            )
        )
    found.sort(
        key=lambda line: (-(line.success.estimate if line.success else 0.0), -line.task_return.estimate)
    )
    return tuple(found)


def learning(evidence: Evidence, task: str, names: Iterable[str], metric: str) -> tuple[Curve, ...]:
    """Learning curves of some contenders, means over their runs; ``metric`` is "success_rate" or "mean_return"."""
    found = []
    for name in names:
        steps, values = curves(evidence.runs(task, name), metric)
        values = values[~np.isnan(values).any(axis=1)]
        if values.size:
            found.append(Curve(name, steps, values.mean(axis=0), *mean_band(values)))
    return tuple(found)


def waits(evidence: Evidence, task: str, names: Iterable[str], threshold: float | None) -> tuple[Wait, ...]:
    """Steps of some contenders to the first success, or to a success rate of ``threshold``."""
    groups = _groups(evidence, task)
    if not _tells_success(groups):
        return ()
    times = {name: steps_to(rows, threshold) for name, rows in groups.items()}
    base = times.get(evidence.baseline)
    others = (
        {} if base is None else {name: found for name, found in times.items() if name != evidence.baseline}
    )
    adjusted = holm_by_name({name: log_rank(*found, *base).p for name, found in others.items() if base})
    return tuple(
        Wait(name, len(when), int(happened.sum()), kaplan_meier(when, happened), adjusted.get(name))
        for name in names
        if name in times
        for when, happened in (times[name],)
    )


def known(rows: tuple[ResultRow, ...], metric: str) -> NDArray[np.float64]:
    """The final scores of the runs that have one."""
    values = scores(rows, metric)
    return values[~np.isnan(values)]


def _groups(evidence: Evidence, task: str) -> dict[str, tuple[ResultRow, ...]]:
    """Contender -> its runs, of those that have some."""
    return {name: rows for name in evidence.contenders if (rows := evidence.runs(task, name))}


def _tells_success(groups: Mapping[str, tuple[ResultRow, ...]]) -> bool:
    return any(row.success_rate is not None for rows in groups.values() for row in rows)


def _area(rows: tuple[ResultRow, ...], metric: str) -> float | None:
    steps, values = curves(rows, metric)
    values = values[~np.isnan(values).any(axis=1)]
    return float(area(steps, values, max(row.steps for row in rows)).mean()) if values.size else None


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _pay(evidence: Evidence, row: ResultRow) -> float | None:
    """What a run's last episodes were paid beside potentials."""
    if row.shaped_return is None:
        return None
    return row.shaped_return - sum(row.parts.get(name, 0.0) for name in evidence.harmless(row))


def _parts(rows: tuple[ResultRow, ...]) -> dict[str, float]:
    names = dict.fromkeys(name for row in rows for name in row.parts)
    return {name: fmean(row.parts[name] for row in rows if name in row.parts) for name in names}


def _sounded(rows: tuple[ResultRow, ...]) -> dict[str, tuple[int, int]]:
    kinds = dict.fromkeys(kind for row in rows for kind in row.alarms)
    steps = {kind: [row.alarms[kind] for row in rows if kind in row.alarms] for kind in kinds}
    return {kind: (len(found), min(found)) for kind, found in steps.items()}
