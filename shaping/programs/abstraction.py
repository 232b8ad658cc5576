"""What a program may see: named features of a state, and the action, as data."""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

import gymnasium as gym
import numpy as np

from shapegym.shaping.limits import Extended, Limited, Natural
from shapegym.shaping.states.names import names_in, value_in
from shapegym.shaping.written import cut

GIVES_AWAY = ("success", "is_success", "reward", "distance_to_*", "needed_*")
"""Features that say how well the task goes, by name or pattern: who is to find a reward is not shown them, unless asked to."""

LONGEST_SENTENCE = 200
"""Characters of what a stub says about one feature: descriptions may be anybody's."""


@dataclass(frozen=True)
class Feature(Limited):
    """Something that can be read of a state, or the action.

    Attributes:
        name: as programs spell it behind ``before.`` and ``after.``; may be dotted.
        length: 0 for a number; n for a vector of n numbers.
        kind: "number", "whole" (a whole number) or "truth" (true or false), of every entry.
        low: the smallest value of any entry.
        high: the largest.
        unit: "cells", "metres", "radians"; "" for none and for codes.
        about: one sentence.
        codes: what values mean: (5, "a key"), (-1, "nothing").
    """

    name: str
    length: Natural = 0
    kind: Literal["number", "whole", "truth"] = "number"
    low: Extended = -math.inf
    high: Extended = math.inf
    unit: str = ""
    about: str = ""
    codes: tuple[tuple[int, str], ...] = ()

    @property
    def in_python(self) -> str:
        """The type that a stub shows."""
        scalar = {"number": "float", "whole": "int", "truth": "bool"}[self.kind]
        return f"Vector[{self.length}]" if self.length else scalar

    @property
    def in_words(self) -> str:
        """Its meaning, range, unit and codes, in a line; whatever a description holds, it stays one line."""
        bounded = math.isfinite(self.low) or math.isfinite(self.high)
        span = f"in [{self.low:g}, {self.high:g}]" if bounded and self.kind != "truth" else ""
        codes = ", ".join(f"{value}: {_line(meaning)}" for value, meaning in self.codes)
        facts = " ".join(filter(None, (span, _line(self.unit))))
        return "; ".join(filter(None, (cut(_line(self.about), LONGEST_SENTENCE), facts, codes)))


@dataclass(frozen=True)
class Abstraction:
    """What a program may see of a task.

    Attributes:
        task: what the agent is to do, in a sentence; nothing of the reward or of how success is measured.
        features: of a state. What happened in a step is a feature of the state after it.
        action: of the step; a number, or a vector.
    """

    task: str
    features: tuple[Feature, ...]
    action: Feature

    def feature(self, name: str) -> Feature | None:
        """Return the feature of that name, or None."""
        return next((feature for feature in self.features if feature.name == name), None)

    def stub(self) -> str:
        """Return it as a Python class without code, for prompts."""
        shown = [f"    {_declared(feature)}" for feature in self.features] or ["    pass"]
        lines = ["class State:", f'    """{_line(self.task) or "A state of the task."}"""', *shown, ""]
        return "\n".join([*lines, _declared(self.action)])


def abstraction_from(
    spaces: Mapping[str, gym.Space],
    action_space: gym.Space,
    observation_space: gym.Space | None = None,
    *,
    task: str = "",
    asked: Collection[str] | None = (),
) -> Abstraction:
    """Return what spaces alone say, where nobody said more.

    Args:
        spaces: of the features that the environment declares, by name; mappings may nest.
        action_space: of one lane.
        observation_space: of one lane; readable as ``obs``, its entries as ``obs.NAME``.
        task: what the agent is to do.
        asked: features that are shown although they give the task away (`GIVES_AWAY`); None shows all.
    """
    named = {name: value_in(spaces, name) for name in names_in(spaces)}
    if observation_space is not None and "obs" not in named:
        named |= _spelled_out("obs", observation_space)
    features = [
        feature
        for name, space in named.items()
        if (asked is None or name in asked or not gives_away(name))
        and (feature := _feature(name, space)) is not None
    ]
    return Abstraction(task, tuple(features), _feature("action", action_space) or Feature("action"))


def gives_away(name: str) -> bool:
    """Whether a feature of this name says how well the task goes."""
    return any(fnmatchcase(name.rpartition(".")[2], pattern) for pattern in GIVES_AWAY)


def _spelled_out(name: str, space: gym.Space) -> dict[str, gym.Space]:
    """An observation, or the entries of one that has some, by name."""
    if not isinstance(space, gym.spaces.Dict):
        return {name: space}
    inner = (_spelled_out(f"{name}.{key}", entry) for key, entry in space.spaces.items())
    return {key: entry for entries in inner for key, entry in entries.items()}


def _feature(name: str, space: gym.Space) -> Feature | None:
    """What a space says of a feature; None if a program cannot spell or compute with it."""
    if not all(
        word.isidentifier() and word.isascii() and not keyword.iskeyword(word) for word in name.split(".")
    ):
        return None
    match space:
        case gym.spaces.Discrete():
            return Feature(name, 0, "whole", float(space.start), float(space.start + space.n - 1))
        case gym.spaces.MultiBinary():
            return Feature(name, math.prod(space.shape), "truth", 0.0, 1.0)
        case gym.spaces.MultiDiscrete():
            return Feature(
                name, math.prod(space.shape), "whole", *_ends(space.start, space.start + space.nvec - 1)
            )
        case gym.spaces.Box() if space.dtype.kind in "biuf" and space.low.size:
            length = math.prod(space.shape) if space.shape else 0
            kind = {"b": "truth", "f": "number"}.get(space.dtype.kind, "whole")
            return Feature(name, length, kind, *_ends(space.low, space.high))  # type: ignore[arg-type]
        case _:
            return None


def _ends(low: np.ndarray, high: np.ndarray) -> tuple[float, float]:
    return float(low.min()), float(high.max())


def _declared(feature: Feature) -> str:
    words = feature.in_words
    return f"{feature.name}: {feature.in_python}" + (f"  # {words}" if words else "")


def _line(text: str) -> str:
    """A text as one line that ends no comment and no string."""
    return (
        re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in text))
        .replace('"""', "'''")
        .strip()
    )
