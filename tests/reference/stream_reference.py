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


def turns(stream: list[Step], marks: np.ndarray | None) -> list[tuple[list[tuple[int, int]], bool]]:
    """Each turn as its (t, lane) steps and whether it has ended: episodes, cut after steps where ``marks`` is true."""
    found = []
    for steps in episodes(stream):
        turn: list[tuple[int, int]] = []
        for t, lane in steps:
            turn.append((t, lane))
            ended = bool(stream[t].terminated[lane] or stream[t].truncated[lane])
            if ended or (marks is not None and marks[t, lane]):
                found.append((turn, True))
                turn = []
        if turn:
            found.append((turn, False))
    return found


def aggregated(values: list[float], outcome: str) -> float:
    """The sum, from left to right, or maximum or last one."""
    if outcome == "max":
        return max(values)
    if outcome == "last":
        return values[-1]
    total = 0.0
    for value in values:
        total += value
    return total


def gated(
    levels: list[np.ndarray],
    thresholds: list[float | np.ndarray],
    stream: list[Step],
    strict: bool,
    outcome: str = "sum",
    marks: np.ndarray | None = None,
) -> np.ndarray:
    """r = level_1 + sum_i level_i * prod_{j<i} 1[outcome_j passes], within each turn.

    Open ones are paid level_1 only, unless at -inf. A threshold that is an array counts as it is at a turn's last step.
    """
    reward = np.zeros_like(levels[0])
    for steps, closed in turns(stream, marks):
        for step in steps:
            reward[step] = levels[0][step]
        for level in range(1, len(levels)):
            passes = True
            for higher in range(level):
                bar = thresholds[higher]
                if isinstance(bar, np.ndarray):
                    bar = bar[steps[-1]]
                if bar == -np.inf:
                    continue
                total = aggregated([levels[higher][step] for step in steps], outcome)
                ok = total > bar if strict else total >= bar
                passes = passes and closed and ok
            if passes:
                for step in steps:
                    reward[step] += levels[level][step]
    return reward


def gated_in_pieces(
    levels: list[np.ndarray], threshold: float, stream: list[Step], bounds: list[int], closed: bool
) -> np.ndarray:
    """Two levels, cut before each of ``bounds``; what an open episode's fragment is paid.

    ``closed``: all or nothing, by the outcome so far. Else bootstrapped: the frequency with which the episodes that have ended by
    the end of the piece passed, times the values, and the difference to what is due at the last step. Plain means: less than 100
    episodes.
    """
    first, second = levels
    reward = first.copy()
    stops = [*bounds, len(stream)]
    ends = {
        steps[-1]: sum(first[step] for step in steps) >= threshold
        for steps, ended in turns(stream, None)
        if ended
    }

    def share(stop: int) -> float:
        known = [passed for (t, _), passed in ends.items() if t < stop]
        return sum(known) / len(known) if known else 0.0

    for steps, ended in turns(stream, None):
        stop_of = {step: next(stop for stop in stops if step[0] < stop) for step in steps}
        final = stop_of[steps[-1]]
        advanced = 0.0
        for step in steps:
            stop = stop_of[step]
            whole = ended and stop == final
            if closed:
                so_far = sum(first[other] for other in steps if other[0] < stop)
                reward[step] += second[step] * (so_far >= threshold)
            elif whole:
                reward[step] += second[step] * ends[steps[-1]]
            else:
                reward[step] += second[step] * share(stop)
                advanced += second[step] * share(stop)
        if ended and not closed:
            early = sum(second[step] for step in steps if stop_of[step] != final)
            reward[steps[-1]] += early * ends[steps[-1]] - advanced
    return reward


def look_ahead(values: np.ndarray, gamma: float, stream: list[Step]) -> np.ndarray:
    """gamma * v_{t+1} - v_t inside each episode, with v = 0 after its last known step."""
    reward = np.zeros_like(values)
    for steps in episodes(stream):
        for position, (t, lane) in enumerate(steps):
            after = values[steps[position + 1]] if position + 1 < len(steps) else 0.0
            reward[t, lane] = gamma * after - values[t, lane]
    return reward


def relative_outcomes(values: np.ndarray, stream: list[Step], size: int, form: str) -> np.ndarray:
    """Each finished episode against those that end at its step and, by whole steps, before it, until there are ``size``."""
    ended: dict[int, list[tuple[int, float]]] = {}
    for steps, closed in turns(stream, None):
        if closed:
            t, lane = steps[-1]
            ended.setdefault(t, []).append((lane, sum(values[step] for step in steps)))
    reward = np.zeros_like(values)
    for t, batch in ended.items():
        for place, (lane, outcome) in enumerate(batch):
            others = [total for other, (_, total) in enumerate(batch) if other != place]
            for earlier in sorted((s for s in ended if s < t), reverse=True):
                if len(others) + 1 >= size:
                    break
                others += [total for _, total in ended[earlier]]
            if not others:
                continue
            group = [outcome, *others]
            if form == "standard":
                reward[t, lane] = (outcome - np.mean(group)) / (np.std(group) + 1e-8)
            elif form == "centred":
                reward[t, lane] = outcome - np.mean(group)
            else:
                reward[t, lane] = outcome - np.mean(others)
    return reward


def redistributed(values, proxy, stream: list[Step], rest: str, cuts=()) -> np.ndarray:
    """Return p_t plus the episode's rest, (T, B): all that is due to steps before the last cut comes at the last step."""
    paid = proxy.copy()
    for steps in episodes(stream):
        t_end, lane = steps[-1]
        if not (stream[t_end].terminated[lane] or stream[t_end].truncated[lane]):
            continue
        missing = sum(values[step] - proxy[step] for step in steps)
        last_cut = max((cut for cut in cuts if cut <= t_end), default=0)
        for step in steps:
            due = missing / len(steps) if rest == "uniform" else missing * (step == steps[-1])
            paid[step if step[0] >= last_cut else steps[-1]] += due
    return paid
