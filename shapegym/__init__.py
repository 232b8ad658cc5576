"""Sparse-reward environments, and reward shaping that means the same wherever a reward is used.

Importing the package registers its environments with Gymnasium under ``shapegym/``. The names for everyday use are here:

* rewards: everything of `shapegym.shaping`, such as `TaskReward`, `Potential`, `CountBonus`, `gate`;
* surfaces: `wire` and `check_wiring`, or the wrappers `ShapedEnv`, `ShapedVectorEnv`, `ShapedVecEnv`, `ShapedParallelEnv`;
* agents: `make_agent`, `make_vec_env`, `evaluate`;
* `adapt_features` for environments that are not ours.

Surfaces and agents are imported when they are first used, because torch and Stable-Baselines3 take seconds.
"""

from importlib import import_module
from importlib.metadata import version
from typing import Any

from shapegym import shaping
from shapegym.envs.foreign.ready_features import adapt_features
from shapegym.envs.registration import register_all
from shapegym.shaping import *  # noqa: F403  # its __all__ is the list of names

__version__ = version("shapegym")

_SURFACES = {
    "ShapedEnv": "gym_env",
    "ShapedParallelEnv": "parallel_env",
    "ShapedVecEnv": "sb3_vec",
    "ShapedVectorEnv": "vector_env",
    "check_wiring": "findings",
    "engine_of": "wiring",
    "wire": "wiring",
}
_AGENTS = ("evaluate", "make_agent", "make_vec_env")

__all__ = ["adapt_features", *_AGENTS, *_SURFACES, *shaping.__all__]  # noqa: PLE0604

register_all()


def __getattr__(name: str) -> Any:
    if name in _SURFACES:
        return getattr(import_module(f"shapegym.shaping.surfaces.{_SURFACES[name]}"), name)
    if name in _AGENTS:
        return getattr(import_module("shapegym.agents"), name)
    raise AttributeError(f"module 'shapegym' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
