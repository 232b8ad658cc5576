"""Hyper-parameters as data: defaults of each algorithm, overrides by environment id, overrides by the caller.

Defaults stand with the algorithms (`shapegym.agents.algorithms.registry`); the library's own are ``algorithms/settings.yaml``. Its
values follow Stable-Baselines3's and RL Zoo's where these exist, with more lanes (native vector environments make them cheap) and
smaller networks.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm

from shapegym.agents.algorithms.registry import algorithm_of
from shapegym.agents.environments import Lanes
from shapegym.agents.errors import SettingsError
from shapegym.shaping.errors import suggest
from shapegym.shaping.limits import Limited, NonNegative

MOST_OF: Mapping[str, int] = {
    "batch_size": 2**20,
    "n_steps": 2**24,
    "n_epochs": 2**16,
    "gradient_steps": 2**20,
    "buffer_size": 2**32,
    "imitation_steps": 2**20,
    "imitation_batch_size": 2**20,
    "longest": 2**24,
}
"""Hyper-parameters that memory or patience is taken for, and what they are at most."""
WIDEST_LAYER, MOST_LAYERS = 8192, 512
"""What ``policy_kwargs: net_arch`` takes: a layer between two of that width has 256 MiB of weights."""

_OURS = {"policy", "num_envs", "action_noise_std"}
_GIVEN_BY_MAKE_AGENT = {"self", "env", "seed", "device", "verbose", "tensorboard_log", "_init_setup_model"}


@dataclass(frozen=True)
class Settings(Limited):
    """The complete hyper-parameters of one agent on one environment.

    Attributes:
        algo: name of the algorithm.
        policy: name of SB3's policy; None is that which reads the environment's observations (`fitting_policy`).
        num_envs: lanes.
        action_noise_std: standard deviation of Gaussian exploration noise on actions scaled to [-1, 1]; 0 for none.
        arguments: the other arguments of the algorithm's class.
    """

    misfit = SettingsError

    algo: str
    policy: str | None = None
    num_envs: Lanes = 1
    action_noise_std: NonNegative = 0.0
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        policies = algorithm_of(self.algo).kind.policy_aliases
        if self.policy is not None and self.policy not in policies:
            raise SettingsError(
                f"{self.algo} has no policy {self.policy!r}.{suggest(str(self.policy), policies)}"
            )
        if self.action_noise_std and "action_noise" not in hyper_parameters(self.algo):
            raise SettingsError(f"{self.algo} explores by its own policy; it has no action_noise_std.")
        for name, default in _defaults(algorithm_of(self.algo).kind).items():
            value = self.arguments.get(name, default)
            if isinstance(default, (int, float)) and isinstance(value, (str, dict, type(None))):
                raise SettingsError(f"{self.algo}: {name} must be a number, got {value!r}.")
            most = MOST_OF.get(name)
            if most and isinstance(value, (int, float)) and value > most:
                raise SettingsError(f"{self.algo}: {name} is at most {most:,}, got {value!r}.")
        net = self.arguments.get("policy_kwargs") or {}
        widths = _widths(net.get("net_arch", ()) if isinstance(net, Mapping) else ())
        if len(widths) > MOST_LAYERS or any(not 1 <= width <= WIDEST_LAYER for width in widths):
            raise SettingsError(
                f"{self.algo}: policy_kwargs: net_arch takes up to {MOST_LAYERS} layers of 1 to {WIDEST_LAYER} units each, got "
                f"{str(net['net_arch'])[:200]}."
            )
        if isinstance(net, Mapping) and any(width > WIDEST_LAYER for width in _widths(net)):
            raise SettingsError(
                f"{self.algo}: a number of policy_kwargs is at most {WIDEST_LAYER:,}, got {str(net)[:200]}."
            )

    def as_dict(self) -> dict[str, Any]:
        """Return all hyper-parameters in one flat dict, as `resolve_settings` takes overrides."""
        noise = {"action_noise_std": self.action_noise_std} if self.action_noise_std else {}
        policy = {"policy": self.policy} if self.policy else {}
        return {**policy, "num_envs": self.num_envs, **noise, **self.arguments}


def resolve_settings(algo: str, env_id: str = "", overrides: Mapping[str, Any] | None = None) -> Settings:
    """Return the hyper-parameters of ``algo`` on ``env_id``: the algorithm's defaults, with ``overrides`` on top.

    A ``policy_kwargs`` override is merged into the defaults, entry by entry.

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
        for pattern, values in algorithm_of(algo).settings.items()
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


def hyper_parameters(algo: str) -> frozenset[str]:
    """Return the names of everything that can be set for ``algo``.

    Raises:
        SettingsError: if there is no such algorithm.
    """
    arguments = _arguments(algorithm_of(algo).kind)
    ours = {"policy", "num_envs"} | ({"action_noise_std"} if "action_noise" in arguments else set())
    return (arguments - _GIVEN_BY_MAKE_AGENT) | ours


@cache
def _arguments(kind: type[BaseAlgorithm]) -> frozenset[str]:
    """What the constructor takes, and what it hands on to its parent's as ``**kwargs``."""
    return frozenset(_defaults(kind))


@cache
def _defaults(kind: type[BaseAlgorithm]) -> dict[str, Any]:
    """The same with the defaults."""
    found: dict[str, Any] = {}
    for cls in kind.__mro__:
        if "__init__" in vars(cls):
            parameters = inspect.signature(vars(cls)["__init__"]).parameters.values()
            for each in parameters:
                if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD):
                    found.setdefault(each.name, each.default)
            if not any(each.kind is each.VAR_KEYWORD for each in parameters):
                break
    return found


def _widths(net: Any) -> list[int]:
    """All integers of a ``net_arch``, which is a list of them, or lists of them by network."""
    if isinstance(net, (list, tuple, Mapping)):
        parts = net.values() if isinstance(net, Mapping) else net
        return [width for part in parts for width in _widths(part)]
    return [net] if isinstance(net, int) else []
