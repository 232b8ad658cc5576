"""Registers the shaped task under an id, so that a script makes it as any other: ``--env-id cleanrl_task:Shaped/CartPole-v1``."""

import atexit
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from task import GAMMA, REWARD, require_paid

import shapegym as sg


class Witness(gym.Wrapper):
    """Outermost: sees what the script sees, and holds it to the expression when the script ends."""

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
    obs, after, terminated, rewards = map(np.array, zip(*Witness.rows, strict=True))
    require_paid("cleanrl", rewards, obs, after, terminated)


def _make(**kwargs: Any) -> gym.Env:
    return Witness(sg.ShapedEnv(gym.make("CartPole-v1", **kwargs), REWARD, gamma=GAMMA))


gym.register("Shaped/CartPole-v1", entry_point=_make)
