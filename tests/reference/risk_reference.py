"""Sharpe ratios and drawdowns of one episode, in plain loops and the standard library."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence


def sharpe(values: Sequence[float]) -> float:
    """Mean over sample deviation; 0 where there is none."""
    if len(values) < 2 or len(set(values)) == 1:
        return 0.0
    return statistics.fmean(values) / statistics.stdev(values)


def drawdown(values: Sequence[float], *, compounded: bool = False) -> float:
    """The deepest fall of the equity from any earlier point."""
    equity = [1.0 if compounded else 0.0]
    for value in values:
        equity.append(equity[-1] * max(1.0 + value, 0.0) if compounded else equity[-1] + value)
    falls = []
    for end in range(len(equity)):
        for start in range(end + 1):
            fall = equity[start] - equity[end]
            falls.append(fall / equity[start] if compounded and equity[start] > 0 else fall)
    return max(falls)


def differential_sharpe(values: Sequence[float], rate: float) -> list[float]:
    """Moody & Saffell's D_t for each value."""
    mean = square = 0.0
    paid = []
    for value in values:
        step, step_of_square = value - mean, value * value - square
        variance = square - mean * mean
        if variance > 1e-12 * square:
            paid.append((square * step - 0.5 * mean * step_of_square) / math.sqrt(variance) ** 3)
        else:
            paid.append(0.0)
        mean, square = mean + rate * step, square + rate * step_of_square
    return paid
