"""What stands between an agent and its environments, from the outside in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium as gym
from pettingzoo.utils import BaseParallelWrapper
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnvWrapper

from shapegym.shaping.surfaces.binding import Binding


def batch_layers(model_or_env: Any) -> Iterator[Any]:
    """Yield the wrappers of all lanes together, and at last what they wrap."""
    layer = model_or_env.env if isinstance(model_or_env, BaseAlgorithm) else model_or_env
    while layer is not None:
        yield layer
        if isinstance(layer, VecEnvWrapper):
            layer = layer.venv
        elif isinstance(layer, (gym.Wrapper, gym.vector.VectorWrapper, BaseParallelWrapper)):
            layer = layer.env
        else:
            return


def lane_layers(model_or_env: Any) -> list[list[Any]]:
    """Return the Gymnasium wrappers of every lane, as far as they live in this process (``DummyVecEnv``)."""
    *_, innermost = batch_layers(model_or_env)
    envs = innermost.envs if isinstance(innermost, DummyVecEnv) else []
    return [list(batch_layers(env)) for env in envs]


def shaped_layers(model_or_env: Any) -> list[Binding]:
    """Return every surface of shapegym among the layers."""
    layers = [*batch_layers(model_or_env), *(layer for lane in lane_layers(model_or_env) for layer in lane)]
    return [layer for layer in layers if isinstance(layer, Binding)]
