"""Intrinsic rewards by what an episode has seen, in plain loops, as their papers write them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

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


def off_path_novelty(
    before: np.ndarray, after: np.ndarray, path: np.ndarray, first: np.ndarray, active: np.ndarray, size: int
) -> np.ndarray:
    """min over an episode's states i of |e_i - e_{t+1}|^2 / (|h_{i-1} - h_t| + 1e-6) (Wan et al. 2023, equation 4).

    NaN where inactive. Codes of observations and of trajectories are (T, B, d). Of an episode's states the latest ``size`` count.
    """
    paid = np.full(first.shape, np.nan, dtype=np.float32)
    kind = after.dtype.type
    for lane in range(first.shape[1]):
        seen: list[tuple[np.ndarray, np.ndarray]] = []
        for t in range(len(first)):
            if not active[t, lane]:
                continue
            if first[t, lane]:
                seen = [(before[t, lane], np.zeros_like(path[t, lane]))]
            new, way = after[t, lane], path[t, lane]
            quotients = []
            for old, other in seen:
                squares, apart = kind(0.0), kind(0.0)
                for a, b, c, d in zip(old, new, other, way, strict=True):
                    squares += (a - b) * (a - b)
                    apart += (c - d) * (c - d)
                quotients.append(squares / (np.sqrt(apart) + kind(1e-6)))
            paid[t, lane] = min(quotients)
            seen = [*seen, (new, way)][-size:]
    return paid


def codes_of_trajectories(
    eye: Any, cell: Any, before: np.ndarray, after: np.ndarray, first: np.ndarray, active: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes of o_t, of o_{t+1} and of the trajectory up to o_t, step by step and lane by lane, (T, B, d)."""
    with torch.no_grad():
        codes = [eye(torch.from_numpy(rows.astype(np.float32))).numpy() for rows in (before, after)]
        paths = np.zeros_like(codes[0])
        for lane in range(first.shape[1]):
            hidden = torch.zeros(1, paths.shape[2])
            for t in range(len(first)):
                if not active[t, lane]:
                    continue
                if first[t, lane]:
                    hidden = torch.zeros(1, paths.shape[2])
                hidden = cell(torch.from_numpy(codes[0][t, lane][None]), hidden)
                paths[t, lane] = hidden[0].numpy()
    return codes[0], codes[1], paths


def discriminator_loss(
    networks: Any,
    before: np.ndarray,
    action: np.ndarray,
    after: np.ndarray,
    false: np.ndarray,
    ways: np.ndarray,
) -> torch.Tensor:
    """The mean of the cross entropies of true and of false transitions, row by row; false ones that are true are left out."""
    true_losses, false_losses = [], []
    for row in range(len(before)):
        x, y, z, way = (
            torch.from_numpy(rows[row][None].astype(np.float32)) for rows in (before, after, false, ways)
        )
        now = networks["cell"](networks["eye"](x), way)
        choice = torch.eye(3)[int(action[row])][None]
        for state, is_true, losses in ((y, True, true_losses), (z, False, false_losses)):
            then = networks["cell"](networks["eye"](state), now)
            likelihood = torch.sigmoid(networks["judge"](torch.cat([now, then, choice], dim=1)))[0, 0]
            if is_true or not torch.equal(z, y):
                losses.append(-torch.log(likelihood if is_true else 1.0 - likelihood))
    return (sum(true_losses) / len(true_losses) + sum(false_losses) / len(false_losses)) / 2
