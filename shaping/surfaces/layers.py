"""What stands between an agent and its environments, from the outside in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium as gym
from pettingzoo.utils import BaseParallelWrapper
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecEnvWrapper

from shapegym.shaping.surfaces.binding import Binding, inside
from shapegym.shaping.surfaces.sb3_stand_in import StandInVecEnv


def batch_layers(model_or_env: Any) -> Iterator[Any]:
    """Yield the wrappers of all lanes together, and at last what they wrap."""
    layer = model_or_env.env if isinstance(model_or_env, BaseAlgorithm) else model_or_env
    while layer is not None:
        yield layer
        if isinstance(layer, (VecEnvWrapper, StandInVecEnv)):
            layer = layer.venv
        elif isinstance(layer, (gym.Wrapper, gym.vector.VectorWrapper, BaseParallelWrapper)):
            layer = layer.env
        else:
            return


def vec_layers(model_or_env: Any) -> list[VecEnv]:
    """Return the layers that have SB3's API; SuperSuit's last one wraps a vector environment of another."""
    return [layer for layer in batch_layers(model_or_env) if isinstance(layer, VecEnv)]


def lane_layers(model_or_env: Any) -> list[list[Any]]:
    """Return the Gymnasium wrappers of every lane, as far as they live in this process (``DummyVecEnv``)."""
    *_, innermost = batch_layers(model_or_env)
    envs = innermost.envs if isinstance(innermost, DummyVecEnv) else []
    return [list(batch_layers(env)) for env in envs]


def is_wrapped(venv: VecEnv | None, kind: type[gym.Wrapper]) -> bool:
    """Whether the environments say that they are wrapped so, in whatever process; some cannot say."""
    try:
        return venv is not None and any(venv.env_is_wrapped(kind))
    except (AttributeError, NotImplementedError, TypeError):
        return False


def shaped_layers(model_or_env: Any) -> list[Binding]:
    """Return every surface of shapegym among the layers, also below what turns one API into another."""
    env = model_or_env.env if isinstance(model_or_env, BaseAlgorithm) else model_or_env
    return [layer for layer in (env, *inside(env)) if isinstance(layer, Binding)]
