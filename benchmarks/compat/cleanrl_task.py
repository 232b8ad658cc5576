"""Registers the shaped task under an id, so that a script makes it as any other: ``--env-id cleanrl_task:Shaped/CartPole-v1``."""

from typing import Any

import gymnasium as gym
from task import GAMMA, REWARD
from witness import Witness

import shapegym as sg


def _make(**kwargs: Any) -> gym.Env:
    return Witness(sg.ShapedEnv(gym.make("CartPole-v1", **kwargs), REWARD, gamma=GAMMA))


gym.register("Shaped/CartPole-v1", entry_point=_make)
