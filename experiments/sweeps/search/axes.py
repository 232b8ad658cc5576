"""What is swept, as it is written on a command line.

=============================================  ==========================================
``reward.count_bonus.beta=0.01,0.1``           these values
``env_kwargs.size=log:5..50``                  a range, even in the logarithm
``settings.learning_rate=0.0001..0.001``       a range, even (``lin:`` says the same)
=============================================  ==========================================

A range between two integers has integers only, both ends included.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from shapegym.experiments.errors import RunError
from shapegym.experiments.sweeps.plan import value_name
from shapegym.shaping.files.marked_yaml import YamlError, read_yaml


@dataclass(frozen=True)
class Choices:
    """Some values of a field."""

    path: str  # of the field, as `shapegym.experiments.sweeps.search.apply` takes it
    # plain data, each with a name of its own (`shapegym.experiments.sweeps.plan.value_name`)
    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise RunError(f"{self.path} has no values: write {self.path}=V1,V2.")
        first: dict[str, Any] = {}
        for value in self.values:
            name = value_name(value)
            if name not in first:
                first[name] = value
            elif first[name] == value:
                raise RunError(f"{self.path} has the value {value!r} twice.")
            else:
                raise RunError(
                    f"{self.path}: {first[name]!r} and {value!r} would both be called {name}, and runs need names of their own."
                )

    @property
    def probes(self) -> tuple[Any, ...]:
        """Values that show whether the field takes what the axis holds."""
        return self.values

    def sample(self, generator: np.random.Generator) -> Any:
        """Draw a value, each equally likely."""
        return self.values[generator.integers(len(self.values))]


@dataclass(frozen=True)
class Range:
    """All values of a field between two ends."""

    path: str  # of the field
    low: float  # smallest value
    high: float  # largest value; both ends integers: only integers
    log: bool = False  # even in the logarithm

    def __post_init__(self) -> None:
        if not -math.inf < self.low < self.high < math.inf:
            raise RunError(f"{self.path}: a range goes up, {self.low}..{self.high} does not.")
        if self.log and self.low <= 0:
            raise RunError(f"{self.path}: a logarithmic range starts above 0, not at {self.low}.")

    @property
    def whole(self) -> bool:
        """Whether it holds only integers."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def probes(self) -> tuple[Any, ...]:
        """Values that show whether the field takes what the axis holds: its ends."""
        return (self.low, self.high)

    def sample(self, generator: np.random.Generator) -> Any:
        """Draw a value; see `settle`."""
        margin = 0.5 if self.whole else 0.0  # so that both ends are as likely as what lies between
        low, high = self.low - margin, self.high + margin
        if self.log:
            return self.settle(math.exp(generator.uniform(math.log(low), math.log(high))))
        return self.settle(generator.uniform(low, high))

    def settle(self, value: float) -> float:
        """Return the value that a run is given: an integer, or four digits, so that a run's name says it in full."""
        settled = round(value) if self.whole else float(f"{value:.4g}")
        return min(max(settled, self.low), self.high)


Axis: TypeAlias = Choices | Range

_NUMBER = r"[-+]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"(?:(log|lin):)?({_NUMBER})\.\.({_NUMBER})")


def parse_axis(text: str) -> Axis:
    """Read an axis; the module's table shows how they are written.

    Raises:
        RunError: if it is none.
    """
    path, equals, written = text.partition("=")
    path, written = path.strip(), written.strip()
    if not (path and equals):
        raise RunError(
            f"What is swept is written FIELD=V1,V2 or FIELD=LOW..HIGH or FIELD=log:LOW..HIGH, not {text!r}."
        )
    if bounds := _RANGE.fullmatch(written):
        low, high = _number(bounds[2]), _number(bounds[3])
        return Range(path, low, high, log=bounds[1] == "log")
    try:
        values = read_yaml(f"[{written}]")[0]
    except YamlError as error:
        raise RunError(f"{path}: {written!r} is no list of values: {error.message}") from None
    return Choices(path, tuple(values))


def parse_axes(texts: Iterable[str]) -> tuple[Axis, ...]:
    """Read several axes, each of its own field.

    Raises:
        RunError: if one is none, or two have one field.
    """
    axes = tuple(map(parse_axis, texts))
    paths = [axis.path for axis in axes]
    if repeated := [path for place, path in enumerate(paths) if path in paths[:place]]:
        raise RunError(f"{repeated[0]} is swept twice: write all its values in one place.")
    return axes


def _number(text: str) -> float:
    return int(text) if re.fullmatch(r"[-+]?\d+", text) else float(text)
