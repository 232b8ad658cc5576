"""Intrinsic rewards by what an episode has seen, in plain loops, as their papers write them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch


def mrn_distance(x: np.ndarray, y: np.ndarray) -> float:
    """max_k relu(x_k - y_k) over one half of the codes + |x - y| over the other, at the codes' precision (Liu et al. 2023)."""
    half = len(x) // 2
    furthest, squares = x.dtype.type(0.0), x.dtype.type(0.0)
    for a, b in zip(x[:half], y[:half], strict=True):
        furthest = max(furthest, a - b)
    for a, b in zip(x[half:], y[half:], strict=True):
        squares += (a - b) * (a - b)
    return furthest + np.sqrt(squares + x.dtype.type(1e-8))


def temporal_novelty(
    before: np.ndarray, after: np.ndarray, first: np.ndarray, active: np.ndarray, size: int
) -> np.ndarray:
    """min over an episode's earlier states of their distance to the new one (Jiang et al. 2025); NaN where inactive.

    Codes are (T, B, d). Of the different states of an episode the latest ``size`` count.
    """
    paid = np.full(first.shape, np.nan, dtype=np.float32)
    for lane in range(first.shape[1]):
        seen: list[np.ndarray] = []
        for t in range(len(first)):
            if not active[t, lane]:
                continue
            if first[t, lane]:
                seen = [before[t, lane]]
            new = after[t, lane]
            paid[t, lane] = min(mrn_distance(old, new) for old in seen)
            if not any(np.array_equal(old, new) for old in seen):
                seen = [*seen, new][-size:]
    return paid


def symmetric_info_nce(x: torch.Tensor, y: torch.Tensor, potential: torch.Tensor) -> torch.Tensor:
    """The cross entropy of telling which y_j came after x_i, and of which x_i it was that came before y_j; means over all."""
    n, half = len(x), x.shape[1] // 2
    logits = [[None] * n for _ in range(n)]
    for i in range(n):
        for j in range(n):
            furthest = torch.relu(x[i, :half] - y[j, :half]).max()
            apart = torch.sqrt(((x[i, half:] - y[j, half:]) ** 2).sum() + 1e-8)
            logits[i][j] = potential[j] - furthest - apart  # type: ignore[call-overload]
    loss = torch.zeros(())
    for i in range(n):
        row = torch.stack([logits[i][j] for j in range(n)])  # type: ignore[misc]
        column = torch.stack([logits[j][i] for j in range(n)])  # type: ignore[misc]
        loss = loss - torch.log_softmax(row, 0)[i] - torch.log_softmax(column, 0)[i]
    return loss / (2 * n)


def moving_standard(rollouts: Sequence[Sequence[float]], momentum: float = 0.9) -> list[list[float]]:
    """(x - m) / (sqrt(v) + 1e-5), rollout by rollout, each by the moments that it has moved (Wan et al. 2023)."""
    paid = []
    mean = variance = 0.0
    for number, values in enumerate(rollouts):
        keep = momentum if number else 0.0
        mean = keep * mean + (1.0 - keep) * sum(values) / len(values)
        spread = sum((value - mean) ** 2 for value in values) / len(values)
        variance = keep * variance + (1.0 - keep) * spread
        paid.append([(value - mean) / (math.sqrt(variance) + 1e-5) for value in values])
    return paid
