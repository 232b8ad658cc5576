"""The pictures of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shapegym.experiments.report.standings import SUCCESS, Leaderboard, Profile
from shapegym.experiments.report.svg import Chart, bars, staircase, whisker
from shapegym.experiments.report.tasks import Curve, Line, Wait

Slots = Mapping[str, int]
"""Contender -> its colour."""

SECTIONS = {"environment": 1, "policy": 2, "learner": 3, "reward": 4, "other": 5}
"""Where time goes -> its colour."""


def learning(curves: Sequence[Curve], slots: Slots, budget: int, label: str, task: str) -> Chart | None:
    """Mean and interval of evaluations during training; None without any."""
    if not curves:
        return None
    rate = label == "success rate"
    low = 0.0 if rate else min(float(curve.low.min()) for curve in curves)
    high = 1.0 if rate else max(float(curve.high.max()) for curve in curves)
    chart = Chart(
        (0, budget), (low, high), "environment steps", label, f"Learning curves of {label} on {task}"
    )
    for curve in reversed(curves):
        chart.band(curve.steps, curve.low, curve.high, slots[curve.contender])
    for curve in reversed(curves):
        chart.line(curve.steps, curve.mean, slots[curve.contender], curve.contender)
    return chart


def survival(waits: Sequence[Wait], slots: Slots, budget: int, event: str, task: str) -> Chart:
    """Share of runs that still wait for an event."""
    title = f"Share of runs without {event} on {task}"
    chart = Chart((0, budget), (0, 1), "environment steps", f"runs without {event}", title)
    for wait in reversed(waits):
        estimate = wait.survival
        across, low = staircase(estimate.times, estimate.low, budget)
        _, high = staircase(estimate.times, estimate.high, budget)
        chart.band(across, low, high, slots[wait.contender])
    for wait in reversed(waits):
        chart.line(
            *staircase(wait.survival.times, wait.survival.survival, budget),
            slots[wait.contender],
            wait.contender,
        )
    return chart


def profile(profiles: Sequence[Profile], slots: Slots) -> Chart | None:
    """Share of runs above each success rate; None if no task tells success."""
    if not profiles:
        return None
    chart = Chart((0, 1), (0, 1), "success rate τ", "share of runs above τ", "Performance profiles")
    for one in reversed(profiles):
        chart.band(one.thresholds, one.low, one.high, slots[one.contender])
    for one in reversed(profiles):
        chart.line(one.thresholds, one.share, slots[one.contender], one.contender)
    return chart


def whiskers(board: Leaderboard, slots: Slots) -> dict[str, Any]:
    """Contender -> its interval on the scale from 0 to 1, with the baseline's estimate."""
    scores = {
        line.contender: line.success if board.metric == SUCCESS else line.task_return
        for line in board.standings
    }
    base = scores[board.baseline]
    mark = base.estimate if base else None
    return {
        name: whisker(score.estimate, score.low, score.high, mark, slots.get(name, "n"))
        for name, score in scores.items()
        if score
    }


def parts(table: Sequence[Line], slots: Slots) -> list[tuple[Line, Any]]:
    """For each contender that tells, what its training episodes were paid for; all on one scale."""
    told = [line for line in table if line.parts]
    low = min((sum(min(value, 0.0) for value in line.parts.values()) for line in told), default=0.0)
    high = max((sum(max(value, 0.0) for value in line.parts.values()) for line in told), default=0.0)
    return [
        (line, bars([(name, value, slots[name]) for name, value in line.parts.items()], low, high))
        for line in told
    ]


def shares(fractions: Mapping[str, float]) -> Any:
    """Where the time of a run goes."""
    return bars([(name, share, SECTIONS.get(name, 6)) for name, share in fractions.items()], 0.0, 1.0)
