"""Hyper-parameters as data: defaults of each algorithm, overrides by environment id, overrides by the caller.

The table is ``settings.yaml``. Its values follow Stable-Baselines3's and RL Zoo's where these exist, with more lanes (native vector
environments make them cheap) and smaller networks.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from typing import Any

import yaml
from sb3_contrib import QRDQN, RecurrentPPO
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm

from shapegym.agents.bilevel.barfi import BARFI
from shapegym.agents.constrained import ConstrainedPPO
from shapegym.agents.errors import SettingsError
from shapegym.shaping.errors import suggest

ALGORITHMS: dict[str, type[BaseAlgorithm]] = {
    algorithm.__name__: algorithm
    for algorithm in (PPO, A2C, DQN, SAC, TD3, RecurrentPPO, QRDQN, BARFI, ConstrainedPPO)
}
"""The algorithms by name."""

_OURS = {"policy", "num_envs", "action_noise_std"}
_GIVEN_BY_MAKE_AGENT = {"self", "env", "seed", "device", "verbose", "tensorboard_log", "_init_setup_model"}


@dataclass(frozen=True)
class Settings:
    """The complete hyper-parameters of one agent on one environment.

    Attributes:
        algo: name of the algorithm.
        policy: name of SB3's policy.
        num_envs: lanes.
        action_noise_std: standard deviation of Gaussian exploration noise on actions scaled to [-1, 1]; 0 for none.
        arguments: the other arguments of the algorithm's class.
    """

    algo: str
    policy: str
    num_envs: int
    action_noise_std: float = 0.0
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        algorithm = algorithm_of(self.algo)
        if self.policy not in algorithm.policy_aliases:
            raise SettingsError(
                f"{self.algo} has no policy {self.policy!r}.{suggest(str(self.policy), algorithm.policy_aliases)}"
            )
        if isinstance(self.num_envs, bool) or not isinstance(self.num_envs, int) or self.num_envs < 1:
            raise SettingsError(f"num_envs must be an integer of at least 1, got {self.num_envs!r}.")
        if not isinstance(self.action_noise_std, (int, float)) or not self.action_noise_std >= 0:
            raise SettingsError(
                f"action_noise_std must be a number of at least 0, got {self.action_noise_std!r}."
            )
        if self.action_noise_std and "action_noise" not in hyper_parameters(self.algo):
            raise SettingsError(f"{self.algo} explores by its own policy; it has no action_noise_std.")

    def as_dict(self) -> dict[str, Any]:
        """Return all hyper-parameters in one flat dict, as `resolve_settings` takes overrides."""
        noise = {"action_noise_std": self.action_noise_std} if self.action_noise_std else {}
        return {"policy": self.policy, "num_envs": self.num_envs, **noise, **self.arguments}


def algorithm_of(algo: str) -> type[BaseAlgorithm]:
    """Return the algorithm called ``algo``.

    Raises:
        SettingsError: if there is none.
    """
    if algo not in ALGORITHMS:
        raise SettingsError(f"There is no algorithm {algo!r}.{suggest(str(algo), ALGORITHMS)}")
    return ALGORITHMS[algo]


def resolve_settings(algo: str, env_id: str = "", overrides: Mapping[str, Any] | None = None) -> Settings:
    """Return the hyper-parameters of ``algo`` on ``env_id``: the table's, with ``overrides`` on top.

    A ``policy_kwargs`` override is merged into the table's, entry by entry.

    Args:
        algo: a name in `ALGORITHMS`.
        env_id: the environment's id; "" takes the algorithm's defaults.
        overrides: hyper-parameters by name.

    Raises:
        SettingsError: for an unknown algorithm or hyper-parameter; suggests the nearest.
    """
    known = hyper_parameters(algo)
    resolved: dict[str, Any] = {}
    layers = [
        values
        for pattern, values in _table()[algo].items()
        if pattern == "*" or fnmatchcase(env_id.rpartition(":")[2], pattern)
    ]
    for layer in (*layers, overrides or {}):
        for key, value in layer.items():
            if key not in known:
                raise SettingsError(f"{algo} has no hyper-parameter {key!r}.{suggest(str(key), known)}")
            merges = key == "policy_kwargs" and isinstance(value, Mapping)
            resolved[key] = {**resolved.get(key, {}), **value} if merges else value
    ours = {key: resolved.pop(key) for key in _OURS & resolved.keys()}
    return Settings(algo, arguments=resolved, **ours)


@cache
def hyper_parameters(algo: str) -> frozenset[str]:
    """Return the names of everything that can be set for ``algo``.

    Raises:
        SettingsError: if there is no such algorithm.
    """
    arguments = inspect.signature(algorithm_of(algo).__init__).parameters
    return frozenset((arguments.keys() - _GIVEN_BY_MAKE_AGENT) | {"policy", "num_envs"}) | (
        {"action_noise_std"} if "action_noise" in arguments else set()
    )


@cache
def _table() -> dict[str, dict[str, dict[str, Any]]]:
    text = resources.files(__package__).joinpath("settings.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)
