"""Statistics of comparisons in plain loops, from their definitions. Imports nothing of the project."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence


def iqm(values: Sequence[float]) -> float:
    """Mean without the lowest and highest floor(n / 4) values."""
    ordered = sorted(values)
    cut = len(ordered) // 4
    kept = ordered[cut : len(ordered) - cut]
    return math.fsum(kept) / len(kept)


def improvement(x: Sequence[Sequence[float]], y: Sequence[Sequence[float]]) -> float:
    """Mean over tasks of the share of pairs that the first side wins, ties counting half."""
    shares = []
    for ours, theirs in zip(x, y, strict=True):
        won = 0.0
        for a in ours:
            for b in theirs:
                won += 1.0 if a > b else 0.5 if a == b else 0.0
        shares.append(won / (len(ours) * len(theirs)))
    return math.fsum(shares) / len(shares)


def profile(tasks: Sequence[Sequence[float]], threshold: float) -> float:
    """Mean over tasks of the share of runs above a threshold."""
    return math.fsum(sum(score > threshold for score in task) / len(task) for task in tasks) / len(tasks)


def area(steps: Sequence[float], values: Sequence[float], budget: float) -> float:
    """Trapezoids under one curve that starts at or before 0 and ends at or after the budget, cut at both."""
    total = 0.0
    for (t0, v0), (t1, v1) in itertools.pairwise(zip(steps, values, strict=True)):
        start, end = max(t0, 0.0), min(t1, budget)
        if end > start:
            slope = (v1 - v0) / (t1 - t0)
            total += (end - start) * (v0 + slope * ((start + end) / 2 - t0))
    return total / budget


def survival(times: Sequence[float], events: Sequence[bool], at: float) -> float:
    """Kaplan-Meier's estimate at one time."""
    share = 1.0
    for moment in sorted(set(times)):
        if moment <= at:
            at_risk = sum(time >= moment for time in times)
            died = sum(time == moment and event for time, event in zip(times, events, strict=True))
            share *= 1 - died / at_risk
    return share


def log_rank(
    times_a: Sequence[float], events_a: Sequence[bool], times_b: Sequence[float], events_b: Sequence[bool]
) -> float:
    """Mantel's chi-square from one table for each time of an event."""
    surplus = variance = 0.0
    times, events = [*times_a, *times_b], [*events_a, *events_b]
    for moment in {time for time, event in zip(times, events, strict=True) if event}:
        n = sum(time >= moment for time in times)
        n_a = sum(time >= moment for time in times_a)
        d = sum(time == moment and event for time, event in zip(times, events, strict=True))
        d_a = sum(time == moment and event for time, event in zip(times_a, events_a, strict=True))
        surplus += d_a - d * n_a / n
        if n > 1:
            variance += d * (n_a / n) * (1 - n_a / n) * (n - d) / (n - 1)
    return surplus**2 / variance if variance > 1e-12 else 0.0


def sign_flip(differences: Sequence[float]) -> float:
    """Share of all choices of signs whose sum is at least as extreme."""
    observed = abs(math.fsum(differences))
    hits = tried = 0
    for signs in itertools.product((1, -1), repeat=len(differences)):
        tried += 1
        total = abs(math.fsum(s * d for s, d in zip(signs, differences, strict=True)))
        hits += total >= observed - 1e-9
    return hits / tried


def holm_rejects(p_values: Sequence[float], alpha: float) -> list[bool]:
    """Holm's procedure at one level: go on from the smallest until one is too large."""
    rejected = [False] * len(p_values)
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        if p_values[i] * (len(p_values) - rank) > alpha:
            break
        rejected[i] = True
    return rejected
