"""Made-up runs without an exploit, as rows of episodes: what alarms must stay silent on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Generator = np.random.Generator

BUDGET = 50_000
"""Global steps of a run."""

EPISODES = (500, 1000, 2500, 5000)
"""Of a run."""


def drifting(rng: Generator, episodes: int, memory: float) -> Floats:
    """A path of deviation about 1 that forgets after so many episodes; a random walk, brought to deviation 1, if it never does."""
    noise = rng.standard_normal(episodes)
    if np.isinf(memory):
        path = np.cumsum(noise)
        return (path - path.mean()) / path.std()
    kept = float(np.exp(-1 / memory))
    path = np.empty(episodes)
    last = rng.standard_normal()
    for place, value in enumerate(noise * np.sqrt(1 - kept**2)):
        path[place] = last = kept * last + value
    return path


def _noise(rng: Generator, done: Floats) -> tuple[Floats, Floats]:
    return np.full(done.size, rng.random()), rng.uniform(-1, 1) + rng.uniform(0, 5) * rng.standard_normal(
        done.size
    )


def _wandering(rng: Generator, done: Floats) -> tuple[Floats, Floats]:
    memory, other = rng.choice([10, 30, 100, 300, 1000, 3000, np.inf], 2)
    level = 0.5 + rng.choice([0.1, 0.25, 0.5]) * drifting(rng, done.size, memory)
    return level, rng.choice([0.25, 0.5, 1.0]) * drifting(rng, done.size, other) + _jitter(rng, done)


def _walking(rng: Generator, done: Floats) -> tuple[Floats, Floats]:
    bonus = 0.5 * drifting(rng, done.size, np.inf) + 0.3 * rng.standard_normal(done.size)
    return 0.5 + 0.25 * drifting(rng, done.size, np.inf), bonus


def _seasonal(rng: Generator, done: Floats) -> tuple[Floats, Floats]:
    """Cycles of 1/50 to 1/4 of the budget, each side with its own phase and half of the time its own length."""
    period = rng.choice([0.25, 0.1, 0.05, 0.02])
    other = period * (1.0 if rng.random() < 0.5 else rng.uniform(0.5, 2))
    level, bonus = (np.sin(2 * np.pi * (done / each + rng.random())) for each in (period, other))
    return 0.5 + rng.uniform(0.1, 0.4) * level, 0.5 * bonus + 0.3 * rng.standard_normal(done.size)


def _rising(rng: Generator, done: Floats) -> tuple[Floats, Floats]:
    """A task that is learned slowly or not yet, with a bonus that follows it or is learned first."""
    middle, width, top = rng.uniform(0.3, 1.2), rng.uniform(0.05, 0.3), rng.uniform(0.3, 1)
    level = top / (1 + np.exp(-(done - middle) / width))
    shape = level if rng.random() < 0.5 else np.minimum(1, done * rng.uniform(0.5, 4))
    return level, rng.choice([0.2, 0.5, 1.0]) * shape + _jitter(rng, done)


def _heavy(rng: Generator, done: Floats) -> tuple[Floats, Floats]:
    """Student's t with 1 to 3 degrees of freedom, of a task that stays or is learned."""
    level = np.full(done.size, 0.5) if rng.random() < 0.5 else np.clip(1.5 * done, 0, 0.9)
    return level, rng.choice([0.3, 1.0]) * rng.standard_t(rng.choice([1, 1.5, 2, 3]), done.size)


def _jitter(rng: Generator, done: Floats) -> Floats:
    return rng.choice([0.05, 0.3, 1.0]) * rng.standard_normal(done.size)


FAMILIES: dict[str, Callable[[Generator, Floats], tuple[Floats, Floats]]] = {
    "noise": _noise,
    "wandering": _wandering,
    "random walks": _walking,
    "seasonal": _seasonal,
    "rising slowly": _rising,
    "heavy tails": _heavy,
}
"""Name -> the level of the task and the bonus of each episode, by the share of the budget that is spent."""


def run_without_exploit(family: str, seed: int) -> list[dict[str, Any]]:
    """Return the episodes of a run, as ``episodes.jsonl`` has them.

    The task return is a success of that probability, a number around that level, or both are told; the agent is paid the bonus, and
    in 7 of 10 runs the task return too.
    """
    rng = np.random.default_rng((seed, *family.encode()))
    episodes = int(rng.choice(EPISODES))
    done = np.arange(episodes) / episodes
    level, bonus = FAMILIES[family](rng, done)
    told = rng.choice(["success", "return", "both"])
    success = rng.random(episodes) < np.clip(level, 0, 1)
    noise = rng.standard_t(2, episodes) if family == "heavy tails" else rng.standard_normal(episodes)
    earned = success.astype(np.float64) if told == "success" else level + rng.choice([0.05, 0.3, 1.0]) * noise
    paid = earned * (rng.random() < 0.7)
    return [
        {
            "step": (place + 1) * BUDGET // episodes,
            "task_return": float(earned[place]),
            "shaped_return": float(paid[place] + bonus[place]),
            "success": None if told == "return" else bool(success[place]),
            "parts": {"task_reward": float(paid[place]), "bonus": float(bonus[place])},
        }
        for place in range(episodes)
    ]
