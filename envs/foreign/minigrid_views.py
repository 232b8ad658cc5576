"""What agents see of MiniGrid and BabyAI environments: the views of the compiled grid worlds, by minigrid's own wrappers."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
from gymnasium.spaces import Dict
from gymnasium.wrappers import FlattenObservation

from shapegym.envs.foreign.kinds import MINIGRID, kinds_of


def with_view(env: gym.Env[Any, Any], view: str) -> gym.Env[Any, Any]:
    """Show a view in place of MiniGrid's Dict observation; any other environment stays as it is.

    Args:
        env: A fresh environment.
        view: "flat" or "image", the symbols of the agent's view as one vector or an image; "flat_full" or
            "image_full", those of the full grid.
    """
    if MINIGRID not in kinds_of(env) or not isinstance(env.observation_space, Dict):
        return env
    from minigrid.wrappers import FullyObsWrapper, ImgObsWrapper

    if view.endswith("full"):
        env = FullyObsWrapper(env)  # type: ignore[no-untyped-call]
    env = ImgObsWrapper(env)  # type: ignore[no-untyped-call]
    return FlattenObservation(env) if view.startswith("flat") else env
