"""What kind of environment it is, by name, so that an environment's package is imported only by those who use it."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

MINIGRID = "minigrid.minigrid_env.MiniGridEnv"


def kinds_of(env: gym.Env[Any, Any]) -> list[str]:
    """Qualified names of the unwrapped environment's class and its bases, the class itself first."""
    return [f"{kind.__module__}.{kind.__qualname__}" for kind in type(env.unwrapped).__mro__]
