"""An outermost wrapper that holds what a tool sees to the expression when its process ends."""

import atexit
import sys
from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from task import require_paid


class Witness(gym.Wrapper):
    """Remembers every step of every environment of this process."""

    rows: ClassVar[list[tuple[np.ndarray, np.ndarray, bool, float]]] = []

    def reset(self, **kwargs: Any) -> Any:
        """Remember where the episode begins."""
        self.obs, info = self.env.reset(**kwargs)
        return self.obs, info

    def step(self, action: Any) -> Any:
        """Remember the step."""
        before = self.obs
        self.obs, reward, terminated, truncated, info = self.env.step(action)
        self.rows.append((before, self.obs, terminated, float(reward)))
        return self.obs, reward, terminated, truncated, info


@atexit.register
def _check() -> None:
    if Witness.rows:
        obs, after, terminated, rewards = map(np.array, zip(*Witness.rows, strict=True))
        require_paid(Path(sys.argv[0]).name, rewards, obs, after, terminated)
