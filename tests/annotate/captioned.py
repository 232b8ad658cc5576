"""Recorded steps of a world that says what happens, and an engine that is paid by it."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.evaluation.answers import Correspondence
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.testing import record
from shapegym.shaping.transitions import Transitions
from shapegym.shaping.types import Expression

LENGTH = 24
SAID = ("you walk", "you turn left", "you pick up the key", "you bump into a wall", "", "you open the door")


def row(text: str | bytes) -> np.ndarray:
    """The bytes of a caption."""
    raw = text if isinstance(text, bytes) else text.encode()
    return np.frombuffer(raw[:LENGTH].ljust(LENGTH, b"\0"), np.uint8)


class Talking(gym.Env[Any, Any]):
    """Says one caption after the other, of a script that the lane's seed shifts; an episode has eight steps."""

    observation_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
    action_space = spaces.Discrete(2)

    def __init__(self, script: tuple[str | bytes, ...] = SAID, length: int = 8) -> None:
        self.features = {"caption": spaces.Box(0, 255, (LENGTH,), np.uint8)}
        self.script, self.length, self.place, self.steps = script, length, 0, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.place += 0 if seed is None else seed
        self.steps = 0
        return np.zeros(2, np.float32), {"caption": row("")}

    def step(self, action: Any) -> Any:
        self.steps += 1
        said = self.script[self.place % len(self.script)]
        self.place += 1
        obs = np.full(2, (self.place % 7) / 7, np.float32)
        return obs, 0.0, False, self.steps == self.length, {"caption": row(said)}


def stream(
    steps: int = 40, lanes: int = 2, script: tuple[str | bytes, ...] = SAID
) -> tuple[Any, list[Transitions]]:
    """Spec and recorded steps, without those in which lanes are reset."""
    spec, recorded = record(
        TaskReward() + caption_reader(), lambda: Talking(script), lanes=lanes, steps=2 * steps
    )
    return spec, [step for step in recorded if step.active.all()][:steps]


def caption_reader() -> Expression:
    """Something that makes captions part of a recording."""
    from shapegym.shaping.terms.counts import CountBonus

    return CountBonus("features.caption")


def engine_for(
    reward: Expression, spec: Any, answers: Correspondence | None = None, **options: Any
) -> RewardEngine:
    """An engine that pays at once."""
    return RewardEngine(reward, spec, answers=answers, **options)


def pay(engine: RewardEngine, steps: list[Transitions]) -> np.ndarray:
    """What each step is paid, (T, B)."""
    return np.stack([engine.step(step)[0] for step in steps])


def texts(steps: list[Transitions]) -> list[list[str]]:
    """The captions of each step."""
    return [
        [bytes(each).rstrip(b"\0").decode("utf-8", "replace") for each in step.next_features["caption"]]
        for step in steps
    ]
