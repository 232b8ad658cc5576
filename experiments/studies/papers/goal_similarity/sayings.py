"""Whether similarity to the mission ranks captions as a planner does that knows the whole grid."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import gymnasium as gym
import numpy as np
from scipy.stats import spearmanr

from shapegym.envs.grid.planner import Planner
from shapegym.experiments.potentials import needed_progress
from shapegym.shaping.similarity.encoder import Encoder
from shapegym.texts import decode

TASKS = ("MiniGrid-DoorKey-8x8-v0", "MiniGrid-KeyCorridorS3R3-v0")
OFTEN = 20
"""How often a caption must have been heard under a mission."""


class Heard(NamedTuple):
    """A caption under a mission: how often it was heard, and how much nearer to the mission's end the step led, in stages."""

    caption: str
    mission: str
    times: int
    progress: float


def listen(task: str, seed: int, steps: int, lanes: int = 64) -> list[Heard]:
    """Play half by the planner and half at random, and return what was heard at least `OFTEN` times.

    Progress is the mean rise of the potential `needed_progress`, a stage for each thing that is still needed.
    """
    names = ("caption", "mission", "needed_distance", "needed_stages")
    env = gym.make_vec(f"shapegym/{task}", num_envs=lanes, features=names)
    env.reset(seed=seed)
    planner, rng = Planner(env), np.random.default_rng(seed)
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    ended = np.zeros(lanes, bool)
    before = np.full(lanes, np.nan)
    for _ in range(steps):
        actions = np.where(rng.random(lanes) < 0.5, planner.actions(), rng.integers(0, 7, lanes))
        _, _, terminated, truncated, infos = env.step(actions)
        after = needed_progress.value(np.zeros((lanes, 1)), infos)
        said = zip(
            decode(infos["caption"]), decode(infos["mission"]), (after - before).tolist(), ended, strict=True
        )
        for caption, mission, rise, new in said:
            if not new and np.isfinite(rise):
                found[caption, mission].append(round(rise, 9))
        before, ended = after.copy(), terminated | truncated
    env.close()
    return [
        Heard(caption, mission, len(rises), float(np.mean(rises)))
        for (caption, mission), rises in sorted(found.items())
        if len(rises) >= OFTEN
    ]


def likeness(heard: list[Heard], encoder: Encoder) -> list[float]:
    """Return the cosine of each caption with its mission."""
    codes = {text: encoder.text(text) for each in heard for text in (each.caption, each.mission)}
    return [float(codes[each.caption] @ codes[each.mission]) for each in heard]


def agreement(heard: list[Heard], values: list[float]) -> float:
    """Return Spearman's correlation of values with progress, over the captions of a mission: the mean over missions."""
    by_mission: dict[str, list[int]] = defaultdict(list)
    for place, each in enumerate(heard):
        by_mission[each.mission].append(place)
    ranks = [
        float(spearmanr([values[i] for i in own], [heard[i].progress for i in own]).statistic)
        for own in by_mission.values()
        if len(own) >= 5
    ]
    return float(np.mean(ranks))
