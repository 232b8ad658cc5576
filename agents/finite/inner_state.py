"""What an environment keeps between steps, as a flat table: to tell whether two copies of it are in the same state."""

from __future__ import annotations

import pickle
import random
from collections import deque
from collections.abc import Mapping
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec

from shapegym.agents.errors import TabulationError
from shapegym.agents.finite.wrappers import TRANSPARENT

FIXED = (gym.Space, EnvSpec, type, ModuleType, FunctionType, BuiltinFunctionType, MethodType)
"""What does not change from step to step."""

_PICTURES = ("pygame", "PIL", "matplotlib", "moviepy", "cv2")
_ASIDE = frozenset({"_np_random_seed", "metadata", "render_mode", "spec", "_cached_spec"})

_SMALL = 16

Kept = dict[str, Any]
"""Where it is kept -> a number, a text, or the bytes of an array."""


class InnerState:
    """What an environment keeps, its wrappers included.

    Attributes:
        kept: all of it but streams, pictures, spaces and functions.
        streams: where its random streams are.
    """

    def __init__(self, env: gym.Env) -> None:
        self.kept: Kept = {}
        self.streams: list[Any] = []
        self._open: set[int] = set()
        while isinstance(env, gym.Wrapper):
            if type(env).__name__ not in TRANSPARENT:
                self._read_attributes(type(env).__name__, {**vars(env), "env": None})
            env = env.env
        self._read_attributes("", vars(env))

    def numbers(self) -> dict[str, float]:
        """Those that may be clocks."""
        return {
            place: float(value)
            for place, value in self.kept.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        }

    def _read_attributes(self, place: str, attributes: Mapping[str, Any]) -> None:
        for name, value in attributes.items():
            if name not in _ASIDE:
                self.read(f"{place}.{name}".removeprefix("."), value)

    def read(self, place: str, value: Any) -> None:
        """Add what a value holds, under a name."""
        if isinstance(value, np.random.Generator):
            self.streams.append(value.bit_generator.state)
        elif isinstance(value, np.random.RandomState):
            self.streams.append(repr(value.get_state()))
        elif isinstance(value, random.Random):
            self.streams.append(value.getstate())
        elif isinstance(value, FIXED) or type(value).__module__.partition(".")[0] in _PICTURES:
            return
        elif value is None or isinstance(value, bool | int | float | complex | str | bytes):
            self.kept[place] = value
        elif isinstance(value, np.generic):
            self.kept[place] = value.item()
        elif isinstance(value, np.ndarray) and value.dtype != np.object_:
            if value.size <= _SMALL:  # among a few numbers may be a clock
                self.kept |= {
                    f"{place}.{number}": entry for number, entry in enumerate(value.ravel().tolist())
                }
            else:
                self.kept[place] = value.tobytes()
            self.kept[f"{place}.shape"] = value.dtype.str, value.shape
        elif id(value) not in self._open:  # an object that holds itself is read once
            self._open.add(id(value))
            self._read_members(place, value)
            self._open.discard(id(value))

    def _read_members(self, place: str, value: Any) -> None:
        if isinstance(value, Mapping):
            self.kept[f"{place}.keys"] = tuple(map(repr, value))
            for key, entry in value.items():
                self.read(f"{place}[{key!r}]", entry)
        elif isinstance(value, list | tuple | deque | np.ndarray):
            self.kept[f"{place}.length"] = str(len(value))
            for number, entry in enumerate(value):
                self.read(f"{place}[{number}]", entry)
        elif isinstance(value, set | frozenset):
            self.kept[place] = tuple(sorted(map(repr, value)))
        elif hasattr(value, "__dict__"):
            self._read_attributes(place, vars(value))
        else:
            try:
                self.kept[place] = pickle.dumps(value)
            except Exception as error:  # which of many, depends on whose it is
                raise TabulationError(
                    f"What {place} keeps, {type(value).__name__}, cannot be compared: {error}"
                ) from error
