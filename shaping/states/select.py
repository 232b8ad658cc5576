"""Selectors: the one way a term names the numbers that it reads.

A selector is a short text, so that expressions stay data:

=============================  ========================================================
``"obs"``                      the observation, each lane flattened to a row
``"obs[0]"``, ``"obs[0:2]"``   columns of it
``"obs.achieved_goal"``        an entry of a Dict observation (``"obs.achieved_goal[0:2]"``)
``"features.agent_pos"``       a named feature of the state (``"features.agent_pos[0]"``)
=============================  ========================================================
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Annotated, Any, TypeAlias

import gymnasium as gym
import numpy as np

from shapegym.shaping.errors import ExpressionError, ObservationError, suggest
from shapegym.shaping.limits import Unfit
from shapegym.shaping.reading import Reads
from shapegym.shaping.transitions import Features, Observation, Spec

_GRAMMAR = re.compile(
    r"^(?P<source>obs|features)(?:\.(?P<key>[A-Za-z_]\w*))?(?:\[(?P<start>\d+)(?P<range>:(?P<stop>\d+)?)?\])?$"
)


@dataclass(frozen=True, slots=True)
class Selector:
    """A parsed selector. ``columns`` applies to the flattened row of a lane."""

    text: str
    source: str
    key: str | None
    columns: slice | None
    single: int | None
    """The column, if ``columns`` is exactly one."""

    @property
    def feature(self) -> str | None:
        """The feature it reads, if any."""
        return self.key if self.source == "features" else None

    def read(self, obs: Observation, features: Features) -> np.ndarray:
        """Return the selected numbers, (B, width), in their own dtype."""
        source: Any = features if self.source == "features" else obs
        values = source if self.key is None else source[self.key]
        if values.ndim != 2:
            values = values.reshape(len(values), -1)
        return values if self.columns is None else values[:, self.columns]

    def read_one(self, obs: Observation, features: Features) -> np.ndarray:
        """Return the one selected number of each lane, (B,) float64.

        Raises:
            ObservationError: if it selects several (which binding notices only for declared features).
        """
        source: Any = features if self.source == "features" else obs
        values = source if self.key is None else source[self.key]
        if values.ndim == 2 and self.single is not None and self.single < values.shape[1]:
            # The common case, without the detour over a slice.
            return values[:, self.single].astype(np.float64)
        values = self.read(obs, features)
        self.require_one(values.shape[1])
        return values[:, 0].astype(np.float64)

    def require_one(self, width: int | None, why: str = "") -> None:
        """Raise `ObservationError` if it is known to select several numbers; ``why`` one is needed."""
        if width not in (None, 1):
            raise ObservationError(
                f"{self.text!r} selects {width} numbers a lane{why}; pick one, e.g. {self.text + '[0]'!r}."
            )

    def width(self, spec: Spec) -> int | None:
        """Return how many numbers a lane it selects, or None for a feature that the environment does not declare.

        Raises:
            ObservationError: if there is no such entry or column, or it holds no numbers (text, a tuple).
        """
        if self.source == "features":
            if spec.features is None or self.key not in spec.features:
                return None
            space = spec.features[self.key]  # type: ignore[index]
        else:
            space = self._observed(spec.observation_space)
        if space.shape is None:
            raise ObservationError(
                f"Selector {self.text!r} reads {space}, which is no array of numbers. Select another entry or a feature, or write "
                "a state function."
            )
        total = math.prod(space.shape)
        if self.columns is None:
            return total
        stop = total if self.columns.stop is None else self.columns.stop
        if stop > total or self.columns.start >= total:
            raise ObservationError(
                f"Selector {self.text!r} reads column {stop - 1}, but there are only {total} (0 to {total - 1})."
            )
        return int(stop - self.columns.start)

    def _observed(self, space: gym.Space) -> gym.Space:
        if isinstance(space, gym.spaces.Dict):
            if self.key is None:
                raise ObservationError(
                    f"The observation is a Dict, so {self.text!r} is ambiguous: select one entry, e.g. "
                    f"'obs.{next(iter(space.spaces))}' (entries: {', '.join(space.spaces)}), or a feature ('features.<name>'), or "
                    "write a state function that takes the dict."
                )
            if self.key not in space.spaces:
                raise ObservationError(
                    f"The observation has no entry {self.key!r}.{suggest(self.key, space.spaces)}"
                )
            return space[self.key]
        if self.key is not None:
            raise ObservationError(
                f"Selector {self.text!r} names an entry, but the observation is {space}, not a Dict."
            )
        return space


@lru_cache(maxsize=1024)
def selector(text: str) -> Selector:
    """Parse a selector.

    Raises:
        ExpressionError: if it is none.
    """
    match = _GRAMMAR.match(text) if isinstance(text, str) else None
    if match is None or (match["source"] == "features" and match["key"] is None):
        raise ExpressionError(
            f"{text!r} is not a selector. Write 'obs', 'obs[0:2]', 'obs.<entry>' or 'features.<name>[<column>]'."
        )
    columns = single = None
    if match["start"] is not None:
        start = int(match["start"])
        stop = (int(match["stop"]) if match["stop"] else None) if match["range"] else start + 1
        if stop is not None and stop <= start:
            raise ExpressionError(f"Selector {text!r} selects nothing: {start}:{stop} is empty.")
        columns = slice(start, stop)
        single = start if stop == start + 1 else None
    return Selector(text, match["source"], match["key"], columns, single)


def width_for_network(reader: str, keys: Sequence[str], spec: Spec) -> int:
    """Return how many numbers selectors read together.

    Raises:
        ObservationError: if the environment does not declare a feature among them, or one reads what is not there, or no numbers.
    """
    widths = {key: selector(key).width(spec) for key in keys}
    if unknown := [key for key, width in widths.items() if width is None]:
        raise ObservationError(
            f"{reader}: a network must know how many numbers {unknown[0]!r} selects, and the environment does not declare that "
            "feature. Declare it (env.features), or read an entry of it, or the observation."
        )
    return sum(width for width in widths.values() if width is not None)


def _require_selector(text: str) -> None:
    try:
        selector(text)
    except ExpressionError as error:
        raise Unfit(f"cannot be read: {error}") from None


def _feature(text: str) -> tuple[str, ...]:
    feature = selector(text).feature
    return () if feature is None else (feature,)


_ANY = Reads(
    _require_selector,
    keep=False,
    features=_feature,
    check=lambda text, spec: selector(text).width(spec),
)
_ONE = replace(_ANY, check=lambda text, spec: selector(text).require_one(selector(text).width(spec)))

Selects: TypeAlias = Annotated[str, _ANY, "a selector such as 'obs[0]'"]
"""A field that holds a selector."""

SelectsOne: TypeAlias = Annotated[str, _ONE, "a selector such as 'obs[0]'"]
"""A field that holds a selector of one number."""
