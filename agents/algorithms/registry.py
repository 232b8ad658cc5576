"""What the library asks of an algorithm, and the algorithms by name.

A module of this folder declares its algorithm with `register_algorithm`, and so does one outside of the library. Nothing else lists
algorithms by name.
"""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module, resources
from pathlib import Path
from typing import Any, TypeVar

import gymnasium as gym
import yaml
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

from shapegym.agents.errors import SettingsError
from shapegym.shaping.discovery import load_plugins
from shapegym.shaping.errors import suggest

Kind = TypeVar("Kind", bound=type[BaseAlgorithm])
Layers = Mapping[str, Mapping[str, Any]]
"""Pattern of environment ids -> hyper-parameters; where several match, later ones win, and "*" matches all."""


def _takes_any(model: Any) -> None:
    """Refuse no reward."""


@dataclass(frozen=True)
class Algorithm:
    """An algorithm and what it says of itself.

    Attributes:
        kind: its class, whose name is the algorithm's.
        settings: default hyper-parameters. What they leave out is the class's own default; see `Settings` for policy and lanes.
        actions: the kind of action space that it takes; `gym.Space` for any.
        check_reward: called with a wired model before it trains; raises `SettingsError` for a reward that it refuses.
        callbacks: what it adds to a training run, which leaves its files in a folder.
        draw: called with the folder after the run; adds the algorithm's figures.
        files: those of ``callbacks`` that a repetition of the run writes again to the byte.
    """

    kind: type[BaseAlgorithm]
    settings: Layers = field(default_factory=dict)
    actions: type[gym.Space] = gym.Space
    check_reward: Callable[[Any], None] = _takes_any
    callbacks: Callable[[Path], Sequence[BaseCallback]] = lambda folder: ()
    draw: Callable[[Path], None] = lambda folder: None
    files: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """By which it is asked for, and under which checkpoints keep it."""
        return self.kind.__name__

    @property
    def is_ours(self) -> bool:
        """Whether this library brings it; the others are named before it."""
        return self.kind.__module__.startswith("shapegym.")

    @property
    def takes_any_reward(self) -> bool:
        """Whether it refuses none."""
        return self.check_reward is _takes_any


_registered: dict[str, Algorithm] = {}


def register_algorithm(kind: Kind, settings: Layers | None = None, **declared: Any) -> Kind:
    """Make an algorithm known by the name of its class, and return the class, so that this also decorates one.

        register_algorithm(MyPPO, settings={"*": {"n_steps": 64}})
        make_agent("MyPPO", env_id, reward)

    Registering a class again, as a notebook does, replaces what was said of it.

    Args:
        kind: a class of Stable-Baselines3's.
        settings: as in `Algorithm`; without them, those that ``settings.yaml`` has for the name.
        **declared: the other attributes of `Algorithm`.

    Raises:
        SettingsError: if another class has the name, or settings have no patterns.
    """
    name = kind.__name__
    layers: Layers = _table().get(name, {}) if settings is None else settings
    if not all(isinstance(values, Mapping) for values in layers.values()):
        raise SettingsError(
            f"The settings of {name} must be hyper-parameters by pattern of environment ids, such as {{'*': {{'gamma': 0.9}}}}, "
            f"got {layers!r}."
        )
    if name in _registered and (other := _registered[name].kind).__module__ != kind.__module__:
        raise SettingsError(
            f"Two algorithms are called {name!r}: in {other.__module__} and in {kind.__module__}. Rename one of the classes."
        )
    _registered[name] = Algorithm(kind, layers, **declared)
    return kind


def algorithms() -> Mapping[str, Algorithm]:
    """Return all algorithms by name: those of this folder, then strangers' that are installed as plugins or imported."""
    _find_ours()
    load_plugins()
    return _registered


def algorithm_of(name: str) -> Algorithm:
    """Return the algorithm called ``name``.

    Raises:
        SettingsError: if there is none; suggests the nearest.
    """
    known = algorithms()
    if name not in known:
        raise SettingsError(
            f"There is no algorithm {name!r}.{suggest(str(name), known)} One of your own is known once the module that registers "
            "it is imported; on the command line, with --import MODULE."
        )
    return known[name]


class _Classes(Mapping[str, type[BaseAlgorithm]]):
    def __getitem__(self, name: str) -> type[BaseAlgorithm]:
        return algorithms()[name].kind

    def __iter__(self) -> Iterator[str]:
        return iter(algorithms())

    def __len__(self) -> int:
        return len(algorithms())


ALGORITHMS: Mapping[str, type[BaseAlgorithm]] = _Classes()
"""The classes of all algorithms by name, those that are registered later included."""


@cache
def _find_ours() -> None:
    for module in pkgutil.iter_modules(sys.modules[__package__].__path__):
        import_module(f"{__package__}.{module.name}")


@cache
def _table() -> dict[str, dict[str, dict[str, Any]]]:
    text = resources.files(__package__).joinpath("settings.yaml").read_text(encoding="utf-8")
    table: dict[str, dict[str, dict[str, Any]]] = yaml.safe_load(text)
    return table
