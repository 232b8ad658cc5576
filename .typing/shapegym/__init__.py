"""Sparse-reward environments, and reward shaping that means the same wherever a reward is used.

Importing the package registers its environments with Gymnasium under ``shapegym/``. The names of the first hour are here:

* to write a reward: `TaskReward`, `Potential`, `Distance`, `StateReward`, `Event`, `CountBonus`, `state_function`; `gate`,
  `anneal` with `Linear`, `normalize`, `clip`; `guarantee_of`; `load_reward`, `dump_reward`;
* to pay it: `wire` and `check_wiring` for Stable-Baselines3, `ShapedEnv` for Gymnasium, `adapt_features` for environments that
  are not ours;
* to train and judge: `make_vec_env`, `make_agent`, `evaluate`; `tabulate` for exact answers on finite tasks.

All of the reward algebra is `shapegym.shaping`, the other surfaces are in `shapegym.shaping.surfaces`, and sweeps, reports and
comparisons in `shapegym.experiments`. Their names are found from here too (``shapegym.Milestones``), without being listed. Surfaces
and agents are imported when they are first used, because torch and Stable-Baselines3 take seconds.
"""

from importlib import import_module
from importlib.metadata import version
from typing import Any

from shapegym import shaping
from shapegym.envs.foreign.ready_features import adapt_features
from shapegym.envs.registration import register_all
from shapegym.shaping import (
    CountBonus,
    Distance,
    Event,
    Linear,
    Potential,
    StateReward,
    TaskReward,
    anneal,
    clip,
    dump_reward,
    gate,
    guarantee_of,
    load_reward,
    normalize,
    state_function,
)

__version__ = version("shapegym")

_WHEN_USED = {
    "ShapedEnv": "shaping.surfaces.gym_env",
    "check_wiring": "shaping.surfaces.findings",
    "evaluate": "agents",
    "make_agent": "agents",
    "make_vec_env": "agents",
    "tabulate": "agents.finite.tabulate",
    "wire": "shaping.surfaces.wiring",
}

_SURFACES = {
    "ShapedParallelEnv": "shaping.surfaces.parallel_env",
    "ShapedVecEnv": "shaping.surfaces.sb3_vec",
    "ShapedVectorEnv": "shaping.surfaces.vector_env",
    "engine_of": "shaping.surfaces.wiring",
}

_ROOMS = ("shaping", "agents", "experiments")

__all__ = [
    "CountBonus",
    "Distance",
    "Event",
    "Linear",
    "Potential",
    "ShapedEnv",
    "StateReward",
    "TaskReward",
    "adapt_features",
    "anneal",
    "check_wiring",
    "clip",
    "dump_reward",
    "evaluate",
    "gate",
    "guarantee_of",
    "load_reward",
    "make_agent",
    "make_vec_env",
    "normalize",
    "shaping",
    "state_function",
    "tabulate",
    "wire",
]

register_all()


def __getattr__(name: str) -> Any:
    if name in _WHEN_USED:
        return getattr(import_module(f"shapegym.{_WHEN_USED[name]}"), name)
    home = _SURFACES.get(name) or next((room for room in _ROOMS if name in _names(room)), None)
    if home is None:
        raise AttributeError(f"module 'shapegym' has no attribute {name!r}")
    return getattr(import_module(f"shapegym.{home}"), name)


def _names(room: str) -> list[str]:
    names: list[str] = import_module(f"shapegym.{room}").__all__
    return names


def __dir__() -> list[str]:
    return sorted(__all__)
