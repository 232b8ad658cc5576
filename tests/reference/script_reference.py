"""The transitions of `ScriptedEnv`, built by hand from its script: what surfaces are compared with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np

from shapegym.shaping.testing.scripted import ScriptedEnv, scripted_episode
from shapegym.shaping.transitions import Transitions
from shapegym.shaping.types import ObservationKind


def actions_at(t: int, lanes: int) -> np.ndarray:
    return (np.arange(lanes) + t) % 3


def hand_built(
    observation: ObservationKind, lanes: int, steps: int, *, reset_rows: bool
) -> Iterator[Transitions]:
    """The scripted transitions; with ``reset_rows``, a row that is no transition follows each episode's last step."""
    space = ScriptedEnv(observation).observation_space
    number, t = [0] * lanes, [0] * lanes
    resting = [False] * lanes
    for step in range(steps):
        rows = []
        for lane in range(lanes):
            episode = scripted_episode(observation, lane, number[lane])
            if resting[lane]:
                resting[lane] = False
                anything = scripted_episode(observation, 99, step)
                rows.append((anything, 0, False, False))
                continue
            now = t[lane]
            rows.append((episode, now, True, now + 1 == len(episode.rewards)))
            t[lane] += 1
            if rows[-1][3]:
                number[lane], t[lane], resting[lane] = number[lane] + 1, 0, reset_rows
        obs = [episode.observations[now] for episode, now, _, _ in rows]
        next_obs = [episode.observations[now + 1] for episode, now, _, _ in rows]
        yield Transitions(
            obs=batched(space, obs),
            action=actions_at(step, lanes),
            next_obs=batched(space, next_obs),
            reward=np.array([episode.rewards[now] if active else 0.0 for episode, now, active, _ in rows]),
            terminated=np.array([last and episode.terminated for episode, _, _, last in rows]),
            truncated=np.array([last and episode.truncated for episode, _, _, last in rows]),
            first=np.array([now == 0 and active for _, now, active, _ in rows]),
            active=np.array([active for _, _, active, _ in rows]),
            features=stacked([episode.features[now] for episode, now, _, _ in rows]),
            next_features=stacked([episode.features[now + 1] for episode, now, _, _ in rows]),
        )


def batched(space: gym.Space, members: list[Any]) -> Any:
    if isinstance(space, gym.spaces.Dict):
        return {key: batched(entry, [member[key] for member in members]) for key, entry in space.items()}
    return np.stack([np.asarray(member, dtype=space.dtype) for member in members])


def stacked(features: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    flat = [dict(_flat(row)) for row in features]
    return {name: np.stack([np.asarray(row[name]) for row in flat]) for name in flat[0]}


def _flat(row: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """A feature that nests is read by its dotted name."""
    for name, value in row.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value
