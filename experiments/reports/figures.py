"""The pictures of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shapegym.experiments.reports.standings import Leaderboard
from shapegym.experiments.reports.svg import Chart, Curve, bars, staircase, whisker
from shapegym.experiments.reports.tasks import TaskLine, Wait

Slots = Mapping[str, int]
"""Contender -> its colour."""

SECTIONS = {"environment": 1, "policy": 2, "learner": 3, "reward": 4, "other": 5}
"""Where time goes -> its colour."""


def learning(curves: Sequence[Curve], slots: Slots, budget: int, label: str, task: str) -> Chart:
    """Mean and interval of evaluations during training."""
    rate = label == "success rate"
    low = 0.0 if rate else min(float(curve.low.min()) for curve in curves)
    high = 1.0 if rate else max(float(curve.high.max()) for curve in curves)
    title = f"Learning curves of {label} on {task}"
    return Chart((0, budget), (low, high), "environment steps", label, title).curves(curves, slots)


def survival(waits: Sequence[Wait], slots: Slots, budget: int, event: str, task: str) -> Chart:
    """Share of runs that still wait for an event."""
    curves = []
    for wait in waits:
        found = wait.survival
        ends = [staircase(found.times, values, budget) for values in (found.survival, found.low, found.high)]
        curves.append(Curve(wait.contender, ends[0][0], *(values for _, values in ends)))
    title = f"Share of runs without {event} on {task}"
    return Chart((0, budget), (0, 1), "environment steps", f"runs without {event}", title).curves(
        curves, slots
    )


def profile(profiles: Sequence[Curve], slots: Slots) -> Chart:
    """Share of runs above each success rate."""
    labels = ("success rate τ", "share of runs above τ", "Performance profiles")
    return Chart((0, 1), (0, 1), *labels).curves(profiles, slots)


def whiskers(board: Leaderboard, slots: Slots) -> dict[str, Any]:
    """Contender -> its interval on the scale from 0 to 1, with the baseline's estimate."""
    base = board.score(board.of(board.baseline))
    mark = base.estimate if base else None
    return {
        line.contender: whisker(score.estimate, score.low, score.high, mark, slots.get(line.contender, "n"))
        for line in board.standings
        if (score := board.score(line))
    }


def parts(table: Sequence[TaskLine], slots: Slots) -> list[tuple[TaskLine, Any]]:
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
