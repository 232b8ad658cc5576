"""Intrinsic rewards in plain loops, as their papers write them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch


def distillation_errors(fixed: Any, trained: Any, rows: np.ndarray) -> list[float]:
    """|f(s) - g(s)|^2 / k, state by state (Burda et al. 2019, section 2.2)."""
    errors = []
    for row in rows:
        x = torch.from_numpy(row[None].astype(np.float32))
        with torch.no_grad():
            wanted, said = fixed(x)[0].tolist(), trained(x)[0].tolist()
        errors.append(sum((a - b) ** 2 for a, b in zip(said, wanted, strict=True)) / len(wanted))
    return errors


def stream_scale(
    bonuses: Sequence[Sequence[float]], active: Sequence[Sequence[bool]], gamma: float = 0.99
) -> list[float]:
    """1 / std of the discounted sums of all lanes so far, step by step; the sums go on across episodes (section 2.4)."""
    sums = [0.0] * len(bonuses[0])
    seen: list[float] = []
    scales = []
    for step, steps in zip(bonuses, active, strict=True):
        for lane, bonus in enumerate(step):
            if not steps[lane]:
                continue
            sums[lane] = gamma * sums[lane] + bonus
            seen.append(sums[lane])
        mean = sum(seen) / len(seen)
        variance = sum((value - mean) ** 2 for value in seen) / len(seen)
        scales.append(1.0 / math.sqrt(variance + 1e-8))
    return scales


def standardised(rows: np.ndarray, seen: np.ndarray, clip: float) -> list[list[float]]:
    """(x - mean) / std of each number over all states seen, clipped (section 2.4); a constant one is 0."""
    shown = []
    for row in rows:
        numbers = []
        for column, value in enumerate(row):
            values = [float(other[column]) for other in seen]
            mean = sum(values) / len(values)
            variance = sum((other - mean) ** 2 for other in values) / len(values)
            number = (float(value) - mean) / math.sqrt(variance) if variance > 1e-8 else 0.0
            numbers.append(max(-clip, min(clip, number)))
        shown.append(numbers)
    return shown


def curiosity_losses(
    networks: Any, before: np.ndarray, action: Sequence[int], after: np.ndarray
) -> tuple[Any, Any]:
    """L_I and L_F, transition by transition, with gradients (Pathak et al. 2017, eqs. 3 and 6).

    Args:
        networks: "encoder", "inverse_model" (of both codes, side by side), "forward_model" (of a code and an action's indicator).
        before: s_t, (M, n).
        action: a_t, whole numbers from 0.
        after: s_{t+1}, (M, n).
    """
    told: Any = 0.0
    foreseen: Any = 0.0
    for s, a, then in zip(before, action, after, strict=True):
        here, there = (
            networks["encoder"](torch.from_numpy(row[None].astype(np.float32)))[0] for row in (s, then)
        )
        logits = networks["inverse_model"](torch.cat([here, there])[None])[0]
        told = told - (logits[a] - torch.log(sum(torch.exp(logit) for logit in logits)))
        taken = torch.tensor([float(choice == a) for choice in range(len(logits))])
        said = networks["forward_model"](torch.cat([here, taken])[None])[0]
        foreseen = foreseen + 0.5 * sum((x - y) ** 2 for x, y in zip(said, there, strict=True))
    return told / len(before), foreseen / len(before)


def noveld(
    fixed: Any,
    trained: Any,
    before: np.ndarray,
    after: np.ndarray,
    first: np.ndarray,
    active: np.ndarray,
    alpha: float = 0.5,
) -> list[list[float]]:
    """max(nov(s_{t+1}) - alpha nov(s_t), 0) on the first visit of s_{t+1} in the episode (Zhang et al. 2021, eqs. 2 and 3).

    Everything is (T, B, ...); nov(s) = |f(s) - g(s)|; inactive rows are 0.
    """
    seen: list[set[tuple[float, ...]]] = [set() for _ in first[0]]
    width = fixed(torch.from_numpy(before[0].astype(np.float32))).shape[1]
    bonuses = []
    for t in range(len(first)):
        novelty = [
            [math.sqrt(error * width) for error in distillation_errors(fixed, trained, rows)]
            for rows in (before[t], after[t])
        ]
        row = []
        for lane in range(len(first[t])):
            if not active[t, lane]:
                row.append(0.0)
                continue
            if first[t, lane]:
                seen[lane] = set()
            state = tuple(after[t, lane].tolist())
            gain = max(novelty[1][lane] - alpha * novelty[0][lane], 0.0)
            row.append(0.0 if state in seen[lane] else gain)
            seen[lane].add(state)
        bonuses.append(row)
    return bonuses


def disagreement(networks: Any, members: int, before: np.ndarray, action: Sequence[int]) -> list[float]:
    """The variance over members of each predicted number, on average (Pathak et al. 2019, eq. 2).

    Args:
        networks: "encoder" and "members", whose k-th is read by itself here.
        members: K.
        before: s_t, (M, n).
        action: a_t, whole numbers from 0, of three.
    """
    variances = []
    for s, a in zip(before, action, strict=True):
        with torch.no_grad():
            code = networks["encoder"](torch.from_numpy(s[None].astype(np.float32)))[0].tolist()
        read = code + [float(choice == a) for choice in range(3)]
        said = [single_member(networks["members"], k, read) for k in range(members)]
        total = 0.0
        for numbers in zip(*said, strict=True):
            mean = sum(numbers) / members
            total += sum((number - mean) ** 2 for number in numbers) / members
        variances.append(total / len(code))
    return variances


def single_member(perceptrons: Any, k: int, read: Sequence[float]) -> list[float]:
    """What the k-th network of several says, number by number."""
    values = list(read)
    for layer in (perceptrons.layers[0], perceptrons.layers[2]):
        weight, bias = layer.weight[k].tolist(), layer.bias[k, 0].tolist()
        values = [
            bias[j] + sum(value * weight[i][j] for i, value in enumerate(values)) for j in range(len(bias))
        ]
        if layer is perceptrons.layers[0]:
            values = [value if value > 0 else 0.01 * value for value in values]
    return values


def ride_bonuses(
    encoder: Any, before: np.ndarray, after: np.ndarray, first: np.ndarray, active: np.ndarray
) -> list[list[float]]:
    """|phi(s') - phi(s)| / sqrt(N_ep(s')), step by step and lane by lane (Raileanu & Rocktäschel 2020, eq. 3); (T, B, n) each."""
    seen: list[dict[bytes, int]] = [{} for _ in first[0]]
    bonuses = []
    for t in range(len(first)):
        paid = []
        for lane in range(len(first[0])):
            if not active[t, lane]:
                paid.append(0.0)
                continue
            if first[t, lane]:
                seen[lane] = {}
            key = after[t, lane].tobytes()
            seen[lane][key] = seen[lane].get(key, 0) + 1
            with torch.no_grad():
                here, there = (
                    encoder(torch.from_numpy(row[None].astype(np.float32)))[0].tolist()
                    for row in (before[t, lane], after[t, lane])
                )
            moved = math.sqrt(sum((x - y) ** 2 for x, y in zip(there, here, strict=True)))
            paid.append(moved / math.sqrt(seen[lane][key]))
        bonuses.append(paid)
    return bonuses


def elliptical(
    before: np.ndarray, after: np.ndarray, first: np.ndarray, active: np.ndarray, ridge: float
) -> list[list[float]]:
    """phi^T C^-1 phi, C = ridge I + the sum of phi phi^T from s_0 on (Henaff et al. 2022, eq. 1), by rank-one updates.

    Codes are (T, B, d); inactive rows are 0.
    """
    width = after.shape[2]

    def fresh() -> list[list[float]]:
        return [[1.0 / ridge if i == j else 0.0 for j in range(width)] for i in range(width)]

    def entered(phi: list[float], inverse: list[list[float]]) -> float:
        u = [0.0] * width
        for i in range(width):
            for j in range(width):
                u[j] += phi[i] * inverse[i][j]
        bonus = 0.0
        for i in range(width):
            bonus += phi[i] * u[i]
        for i in range(width):
            for j in range(width):
                inverse[i][j] -= u[i] * u[j] * (1.0 / (1.0 + bonus))
        return bonus

    inverses = [fresh() for _ in first[0]]
    bonuses = []
    for t in range(len(first)):
        row = []
        for lane in range(len(first[t])):
            if not active[t, lane]:
                row.append(0.0)
                continue
            if first[t, lane]:
                inverses[lane] = fresh()
                entered(before[t, lane].tolist(), inverses[lane])
            row.append(entered(after[t, lane].tolist(), inverses[lane]))
        bonuses.append(row)
    return bonuses


def _squared(one: list[float], other: list[float]) -> float:
    total = 0.0
    for a, b in zip(one, other, strict=True):
        total += (a - b) * (a - b)
    return total


def kernel_counts(
    before: np.ndarray,
    after: np.ndarray,
    first: np.ndarray,
    active: np.ndarray,
    k: int,
    memory: int,
    *,
    xi: float = 0.008,
    epsilon: float = 1e-4,
    c: float = 1e-3,
    largest: float = 8.0,
) -> list[list[float]]:
    """Algorithm 1 of Badia et al. 2020 over the newest ``memory`` codes of the episode, s_0 first; a missing one is at d_m.

    Codes are (T, B, d) float32; inactive rows are 0.
    """
    lanes = len(first[0])
    remembered: list[list[list[float]]] = [[] for _ in range(lanes)]
    total, number = [0.0] * lanes, [0] * lanes
    bonuses = []
    before, after = before.astype(np.float32), after.astype(np.float32)
    for t in range(len(first)):
        row = []
        for lane, code in enumerate(after[t].tolist()):
            if not active[t, lane]:
                row.append(0.0)
                continue
            if first[t, lane]:
                remembered[lane] = [before[t, lane].tolist()]
            nearest = sorted(_squared(code, other) for other in remembered[lane])[:k]
            for distance in nearest:
                total[lane] += distance
                number[lane] += 1
            mean = total[lane] / number[lane] if number[lane] else 0.0
            ratios = [distance / mean if mean > 0.0 else 0.0 for distance in nearest]
            ratios += [1.0] * (k - len(ratios))
            similarity = 0.0
            for ratio in ratios:
                similarity += epsilon / (max(ratio - xi, 0.0) + epsilon)
            s = math.sqrt(similarity) + c
            row.append(1.0 / s if s <= largest else 0.0)
            remembered[lane] = [*remembered[lane], code][-memory:]
        bonuses.append(row)
    return bonuses


def lifetime_factor(errors: np.ndarray, active: np.ndarray, largest: float) -> list[list[float]]:
    """min(max(1 + (e - mean) / std, 1), L) with the moments of all errors of the rollout (Badia et al. 2020, eq. 1)."""
    seen = [float(error) for error in errors[active]]
    mean = sum(seen) / len(seen)
    std = math.sqrt(sum((error - mean) ** 2 for error in seen) / len(seen) + 1e-8)
    return [[min(max(1.0 + (float(error) - mean) / std, 1.0), largest) for error in row] for row in errors]


def neighbour_distances(
    codes: np.ndarray, active: np.ndarray, k: int, places: int, seed: int
) -> list[list[float]]:
    """log(|y - y_k| + 1) (Seo et al. 2021, eq. 3) over a reservoir of ``places`` steps (Vitter 1985, algorithm R)."""
    kept: list[list[list[float]]] = []
    bonuses = []
    for t, (step, steps) in enumerate(zip(codes.astype(np.float32).tolist(), active, strict=True)):
        others = [code for earlier in kept for code in earlier]
        row = []
        for lane, code in enumerate(step):
            nearest = sorted(_squared(code, other) for other in others)[:k] if steps[lane] else []
            row.append(math.log1p(math.sqrt(nearest[-1])) if nearest else 0.0)
        bonuses.append(row)
        batch = [code for lane, code in enumerate(step) if steps[lane]]
        if len(kept) < places:
            kept.append(batch)
        elif (place := int(np.random.default_rng([seed, t]).integers(t + 1))) < places:
            kept[place] = batch
    return bonuses
