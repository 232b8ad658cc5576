"""Schedules as their formulas. Imports nothing of the project."""

from __future__ import annotations

import math


def progress(step: int, steps: float, delay: int) -> float:
    """p, how far the schedule is, in [0, 1]."""
    if step < delay:
        return 0.0
    if step > delay + steps:
        return 1.0
    return (step - delay) / steps


def linear(step: int, start: float, end: float, steps: int, delay: int) -> float:
    """(1 - p) start + p end."""
    p = progress(step, steps, delay)
    return (1 - p) * start + p * end


def cosine(step: int, start: float, end: float, steps: int, delay: int) -> float:
    """Loshchilov & Hutter 2017, eq. 5: eta_min + (eta_max - eta_min) (1 + cos(pi T_cur / T_i)) / 2."""
    return end + 0.5 * (start - end) * (1 + math.cos(math.pi * progress(step, steps, delay)))


def exponential(step: int, start: float, end: float, half_life: float, delay: int) -> float:
    """The distance to the end halves every ``half_life`` steps."""
    elapsed = max(0, step - delay)
    return end + (start - end) * 0.5 ** (elapsed / half_life)


def plateau_weights(
    scores: list[float], start: float, factor: float, patience: int, min_improvement: float, floor: float
) -> list[float]:
    """The weight after each finished episode."""
    weight, best, period, weights = start, None, [], []
    for score in scores:
        period.append(score)
        if len(period) == patience:
            mean = sum(period) / patience
            period = []
            if best is None or mean > best + min_improvement:
                best = mean
            else:
                weight = weight * factor
                weight = max(weight, floor)
        weights.append(weight)
    return weights
