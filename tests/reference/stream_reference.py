"""Random streams of transitions, and rewards over them in plain loops. Imports nothing of the project."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass
class Step:
    """One transition of each lane, (B, ...) arrays, in the words of the project."""

    obs: np.ndarray
    action: np.ndarray
    next_obs: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    first: np.ndarray
    active: np.ndarray


def random_stream(
    seed: int, steps: int, lanes: int, *, width: int = 3, end: float = 0.2, idle: float = 0.0
) -> list[Step]:
    """Lanes whose episodes end at random, by termination, truncation or both, with rows that are no transitions."""
    rng = np.random.default_rng(seed)
    obs = rng.normal(size=(lanes, width))
    first = np.ones(lanes, dtype=bool)
    stream = []
    for _ in range(steps):
        active = rng.random(lanes) >= idle
        next_obs = rng.normal(size=(lanes, width))
        ends = rng.random(lanes) < end
        kind = rng.integers(3, size=lanes)
        terminated = active & ends & (kind != 1)
        truncated = active & ends & (kind != 0)
        stream.append(
            Step(
                obs.copy(),
                rng.integers(2, size=lanes),
                next_obs.copy(),
                np.where(active, rng.integers(-1, 3, size=lanes).astype(float), 0.0),
                terminated,
                truncated,
                first.copy(),
                active,
            )
        )
        last = terminated | truncated
        fresh = rng.normal(size=(lanes, width))
        obs = np.where(active[:, None], np.where(last[:, None], fresh, next_obs), obs)
        first = np.where(active, last, first)
    return stream


def episodes(stream: list[Step]) -> list[list[tuple[int, int]]]:
    """Each episode as its (t, lane) steps in order; the last one of a lane may be open."""
    found: list[list[tuple[int, int]]] = []
    for lane in range(len(stream[0].first)):
        steps: list[tuple[int, int]] = []
        for t, step in enumerate(stream):
            if not step.active[lane]:
                continue
            if step.first[lane]:
                steps = []
                found.append(steps)
            steps.append((t, lane))
    return found


def gated(
    levels: list[np.ndarray], thresholds: list[float], stream: list[Step], strict: bool, outcome: str = "sum"
) -> np.ndarray:
    """r = level_1 + sum_i level_i * prod_{j<i} 1[outcome_j passes]; open episodes are paid level_1 only, unless at -inf."""
    reward = np.zeros_like(levels[0])
    for steps in episodes(stream):
        t_end, lane = steps[-1]
        closed = stream[t_end].terminated[lane] or stream[t_end].truncated[lane]
        for t, _ in steps:
            reward[t, lane] = levels[0][t, lane]
        for level in range(1, len(levels)):
            passes = True
            for higher in range(level):
                values = [levels[higher][t, lane] for t, _ in steps]
                total = 0.0
                for value in values:
                    total += value
                if outcome == "max":
                    total = max(values)
                if outcome == "last":
                    total = values[-1]
                if thresholds[higher] == -np.inf:
                    continue
                ok = total > thresholds[higher] if strict else total >= thresholds[higher]
                passes = passes and closed and ok
            if passes:
                for t, _ in steps:
                    reward[t, lane] += levels[level][t, lane]
    return reward


def look_ahead(values: np.ndarray, gamma: float, stream: list[Step]) -> np.ndarray:
    """gamma * v_{t+1} - v_t inside each episode, with v = 0 after its last known step."""
    reward = np.zeros_like(values)
    for steps in episodes(stream):
        for position, (t, lane) in enumerate(steps):
            after = values[steps[position + 1]] if position + 1 < len(steps) else 0.0
            reward[t, lane] = gamma * after - values[t, lane]
    return reward
