"""A small recorded environment for SB3, and its shaped rewards in plain loops. Imports nothing of the project."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces


@dataclass
class Happened:
    """One transition of one lane, as the environment made it."""

    obs: Any
    action: Any
    next_obs: Any
    reward: float
    terminated: bool
    truncated: bool
    first: bool
    progress: float
    next_progress: float
    episode: int


class Walk(gym.Env):
    """A random walk on a line of 6 cells: reward 1 and end at the right, cut at random; records everything in ``log``.

    ``progress`` (a feature) is the cell over 5, which the observation also holds, next to a number that is never seen twice.
    """

    def __init__(
        self, kind: str = "box", lane: int = 0, *, continuous: bool = False, cut: float = 0.15
    ) -> None:
        self.kind = kind
        box = spaces.Box(-10.0, 10.0, (2,), np.float32)
        goal = spaces.Box(-10.0, 10.0, (1,), np.float32)
        goals = spaces.Dict({"observation": box, "achieved_goal": goal, "desired_goal": goal})
        image = spaces.Box(0, 255, (36, 36, 1), np.uint8)
        self.observation_space = {"box": box, "dict": goals, "discrete": spaces.Discrete(6), "image": image}[
            kind
        ]
        self.action_space = spaces.Box(-2.0, 2.0, (1,), np.float32) if continuous else spaces.Discrete(2)
        self.cut = cut
        self.random = np.random.default_rng(lane)
        self.log: list[Happened] = []
        self.resets = 0

    def _look(self) -> tuple[Any, dict[str, Any]]:
        vector = np.array([self.cell / 5, self.random.normal()], dtype=np.float32)
        look = {
            "box": vector,
            "dict": {
                "observation": vector,
                "achieved_goal": np.array([self.cell], dtype=np.float32),
                "desired_goal": np.array([5], dtype=np.float32),
            },
            "discrete": self.cell,
            "image": np.full((36, 36, 1), 40 * self.cell, dtype=np.uint8),
        }[self.kind]
        return look, {"progress": self.cell / 5, "is_success": self.cell == 5}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.cell = int(self.random.integers(0, 3))
        self.first = True
        self.resets += 1
        self.obs, info = self._look()
        return self.obs, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        before = self.cell
        right = float(np.asarray(action).reshape(-1)[0]) > 0 or self.random.random() < 0.5
        self.cell = min(max(self.cell + (1 if right else -1), 0), 5)
        obs, info = self._look()
        terminated, truncated = self.cell == 5, bool(self.random.random() < self.cut)
        reward = 1.0 if terminated else -0.125
        self.log.append(
            Happened(
                self.obs,
                np.array(action),
                obs,
                reward,
                terminated,
                truncated,
                self.first,
                before / 5,
                self.cell / 5,
                self.resets,
            )
        )
        self.obs, self.first = obs, False
        return obs, reward, terminated, truncated, info

    def compute_reward(self, achieved_goal: np.ndarray, desired_goal: np.ndarray, info: Any) -> np.ndarray:
        return np.where(np.abs(achieved_goal - desired_goal).max(axis=-1) < 0.5, 1.0, -0.125)

    def action_masks(self) -> np.ndarray:
        return np.ones(2, dtype=bool)


def potential(step: Happened, gamma: float) -> float:
    """gamma * Phi(s') - Phi(s) with Phi = progress, 0 in terminal states."""
    return (0.0 if step.terminated else gamma * step.next_progress) - step.progress


def stacked(logs: list[list[Happened]], values: list[list[float]]) -> np.ndarray:
    """(T, B) from a list for each lane."""
    length = min(len(log) for log in logs)
    return np.array([[values[lane][t] for lane in range(len(logs))] for t in range(length)])


def additive(logs: list[list[Happened]], gamma: float) -> np.ndarray:
    """r + F, (T, B)."""
    return stacked(logs, [[step.reward + potential(step, gamma) for step in log] for log in logs])


def gated(logs: list[list[Happened]], dense: Callable[[Happened], float], threshold: float) -> np.ndarray:
    """r + 1[sum of r over the episode >= threshold] * dense where the episode has ended, else nan, (T, B)."""
    lanes = []
    for log in logs:
        values = [float("nan")] * len(log)
        for number in {step.episode for step in log}:
            steps = [t for t, step in enumerate(log) if step.episode == number]
            if log[steps[-1]].terminated or log[steps[-1]].truncated:
                passes = sum(log[t].reward for t in steps) >= threshold
                for t in steps:
                    values[t] = log[t].reward + (dense(log[t]) if passes else 0.0)
        lanes.append(values)
    return stacked(logs, lanes)
