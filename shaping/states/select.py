"""Selectors: the one way a term names the numbers that it reads.

A selector is a short text, so that expressions stay data:

===============================  ==================================================================
``"obs"``                        the observation, each lane flattened to a row
``"obs[0]"``, ``"obs[0:2]"``     columns of it
``"obs.achieved_goal"``          an entry of a Dict observation (``"obs.achieved_goal[0:2]"``)
``"obs.0"``, ``"obs.arm.pos"``   an entry of a Tuple observation, and of one that nests
``"features.agent_pos"``         a named feature of the state (``"features.agent_pos[0]"``)
``"features.reward.angle"``      one that stands in a mapping inside the info
``"action"``, ``"action[0]"``    the action of the step; of a Dict ``"action.gripper"``
``"previous_action"``            that of the step before; at an episode's first step the action itself
``"terminated"``                 1 if the step ended its episode so, else 0
``"truncated"``, ``"ended"``     the same; "truncated" if it was cut and not terminated, "ended" if either
===============================  ==================================================================

The last three rows describe a step and not a state: they can be read where a step is looked back on, and are no argument of a
potential, which looks at the states before and after.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Annotated, Any, TypeAlias

import gymnasium as gym
import numpy as np

from shapegym.shaping.errors import ExpressionError, ObservationError, suggest
from shapegym.shaping.limits import Unfit
from shapegym.shaping.reading import WHOLE, Reads
from shapegym.shaping.states.names import value_in
from shapegym.shaping.transitions import Features, Observation, OfStep, Spec

SOURCES = ("obs", "features", "action", "previous_action", "terminated", "truncated", "ended")

_GRAMMAR = re.compile(
    rf"^(?P<source>{'|'.join(SOURCES)})(?P<path>(?:\.\w+)*)(?:\[(?P<start>\d+)(?P<range>:(?P<stop>\d+)?)?\])?$"
)

_ALSO_SAID = {
    "observation": "obs",
    "state": "obs",
    "info": "features",
    "infos": "features",
    "last_action": "previous_action",
    "prev_action": "previous_action",
    "done": "ended",
}


@dataclass(frozen=True, slots=True)
class Selector:
    """A parsed selector. ``columns`` applies to the flattened row of a lane."""

    text: str
    source: str
    path: tuple[str, ...]
    """Names between the dots."""
    columns: slice | None
    single: int | None
    """The column, if ``columns`` is exactly one."""
    feature: str | None
    """The feature it reads, if any: a dotted name."""

    @property
    def stem(self) -> str:
        """The text without columns."""
        return ".".join((self.source, *self.path))

    @property
    def of_step(self) -> tuple[str, ...]:
        """Its stem, if it describes the step and not a state; else nothing."""
        return () if self.source in ("obs", "features") else (self.stem,)

    def read(self, obs: Observation, features: Features) -> np.ndarray:
        """Return the selected numbers, (B, width), in their own dtype."""
        values = self.values(obs, features)
        if values.ndim != 2:
            values = values.reshape(len(values), -1)
        return values if self.columns is None else values[:, self.columns]

    def read_one(self, obs: Observation, features: Features) -> np.ndarray:
        """Return the one selected number of each lane, (B,) float64.

        Raises:
            ObservationError: if it selects several (which binding notices only for declared features), or no numbers.
        """
        values = self.values(obs, features)
        if values.ndim == 2 and self.single is not None and self.single < values.shape[1]:
            # The common case, without the detour over a slice.
            return self._numbers(values[:, self.single])
        values = self.read(obs, features)
        self.require_one(values.shape[1])
        return self._numbers(values[:, 0])

    def _numbers(self, values: np.ndarray) -> np.ndarray:
        if values.dtype.kind not in "biuf":
            raise ObservationError(
                f"{self.text!r} is {values[0]!r:.60}, and a number is needed; a function of your own (@state_function) makes one."
            )
        return values.astype(np.float64)

    def values(self, obs: Observation, features: Features) -> np.ndarray:
        """Return what is selected before columns are picked, (B, ...), as it is."""
        if self.feature is not None:
            return features[self.feature]
        if self.source == "previous_action":
            return features[derived_name(self.stem)]
        values = obs if self.source == "obs" else self._of_step(features)
        for key in self.path:
            values = values[key] if isinstance(values, Mapping) else values[int(key)]
        return values

    def _of_step(self, features: Features) -> Any:
        if not isinstance(features, OfStep):
            raise ObservationError(
                f"{self.text!r} describes the step and not a state, so it cannot be read here. (A term of your own reads it with "
                "selector(...).read(*transitions.after).)"
            )
        return features.of_step(self.source)

    def require_one(self, width: int | None, why: str = "") -> None:
        """Raise `ObservationError` if it is known to select several numbers; ``why`` one is needed."""
        if width not in (None, 1):
            raise ObservationError(
                f"{self.text!r} selects {width} numbers a lane{why}; pick one, e.g. {self.text + '[0]'!r}."
            )

    def space(self, spec: Spec) -> gym.Space | None:
        """Return the space of what it reads, before columns are picked, or None if none is declared.

        Raises:
            ObservationError: if there is no such entry.
        """
        if self.feature is not None:
            declared = value_in(spec.features or {}, self.feature)
            return declared if isinstance(declared, gym.Space) else None
        if self.source in ("terminated", "truncated", "ended"):
            return gym.spaces.Box(0, 1, (), np.bool_)
        what, space = ("observation", spec.observation_space)
        if self.source != "obs":
            what, space = ("action", spec.action_space)
        for depth, key in enumerate(self.path):
            space = self._entry(what, space, key, ".".join((self.source, *self.path[:depth])))
        self._require_array(what, space)
        return space

    def width(self, spec: Spec) -> int | None:
        """Return how many numbers a lane it selects, or None for a feature that the environment does not declare.

        Raises:
            ObservationError: if there is no such entry or column, or it holds no numbers (text, a tuple).
        """
        space = self.space(spec)
        if space is None:
            return None
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

    def _entry(self, what: str, space: gym.Space, key: str, there: str) -> gym.Space:
        entries = _entries(space)
        if entries is None:
            kind = what if there == self.source else repr(there)
            raise ObservationError(
                f"Selector {self.text!r} names an entry, but the {kind} is {space}, not a Dict or Tuple."
            )
        if key not in entries:
            where = what if there == self.source else there
            raise ObservationError(f"The {where} has no entry {key!r}.{suggest(key, entries)}")
        return entries[key]

    def _require_array(self, what: str, space: gym.Space) -> None:
        if (entries := _entries(space)) is not None:
            raise ObservationError(
                f"The {what} is a {type(space).__name__}, so {self.text!r} is ambiguous: select one entry, "
                f"e.g. '{self.stem}.{next(iter(entries), '')}' (entries: {', '.join(entries)}), or a feature "
                "('features.<name>'), or write a state function that takes all of it."
            )


def _entries(space: gym.Space) -> dict[str, gym.Space] | None:
    """The members of a Dict or Tuple space by name or number; None if it is neither."""
    if isinstance(space, gym.spaces.Dict):
        return dict(space.spaces)
    if isinstance(space, gym.spaces.Tuple):
        return {str(place): entry for place, entry in enumerate(space.spaces)}
    return None


def derived_name(stem: str) -> str:
    """Return the key under which the engine adds what it remembers of the step before to ``next_features``: no feature's name."""
    return f"<{stem}>"


@lru_cache(maxsize=1024)
def selector(text: str) -> Selector:
    """Parse a selector.

    Raises:
        ExpressionError: if it is none.
    """
    match = _GRAMMAR.match(text) if isinstance(text, str) else None
    path = tuple(match["path"].split(".")[1:]) if match else ()
    if match is None or not _fits(match["source"], path):
        raise ExpressionError(
            f"{text!r} is not a selector. Write 'obs', 'obs[0:2]', 'obs.<entry>', 'features.<name>[<column>]', 'action' or "
            f"'terminated'.{meant(text)}"
        )
    columns = single = None
    if match["start"] is not None:
        start = int(match["start"])
        stop = (int(match["stop"]) if match["stop"] else None) if match["range"] else start + 1
        if stop is not None and stop <= start:
            raise ExpressionError(f"Selector {text!r} selects nothing: {start}:{stop} is empty.")
        columns = slice(start, stop)
        single = start if stop == start + 1 else None
    feature = ".".join(path) if match["source"] == "features" else None
    return Selector(text, match["source"], path, columns, single, feature)


def _fits(source: str, path: tuple[str, ...]) -> bool:
    """Whether names may stand behind a source: a feature needs one, a flag has none."""
    return bool(path) if source == "features" else not path or source in ("obs", "action", "previous_action")


def is_selector(text: str) -> bool:
    """Whether a text begins as a selector does, rightly written or not."""
    return re.split(r"[.\[]", text, maxsplit=1)[0] in SOURCES


def meant(text: Any) -> str:
    """Return `` Did you mean 'features.agent_pos'?`` for a text that is nearly a selector, or nothing."""
    if not isinstance(text, str) or not (head := re.match(r"\w+", text)):
        return ""
    near = difflib.get_close_matches(head[0].lower(), [*SOURCES, *_ALSO_SAID], n=1, cutoff=0.7)
    candidates = [_ALSO_SAID.get(name, name) + text[head.end() :] for name in near] + [f"features.{text}"]
    for candidate in candidates:
        match = _GRAMMAR.match(candidate)
        if match and candidate != text and _fits(match["source"], tuple(match["path"].split(".")[1:])):
            return f" Did you mean {candidate!r}?"
    return ""


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


def _entries_read(text: str) -> tuple[str, ...]:
    read = selector(text)
    return () if read.source != "obs" else read.path[:1] or (WHOLE,)


def _of_step(text: str) -> tuple[str, ...]:
    return selector(text).of_step


ANY = Reads(
    _require_selector,
    keep=False,
    features=_feature,
    of_step=_of_step,
    entries=_entries_read,
    check=lambda text, spec: selector(text).width(spec),
)
"""How a selector of any width is read."""

_ONE = replace(ANY, check=lambda text, spec: selector(text).require_one(selector(text).width(spec)))

Selects: TypeAlias = Annotated[str, ANY, "a selector such as 'obs[0]'"]
"""A field that holds a selector."""

SelectsOne: TypeAlias = Annotated[str, _ONE, "a selector such as 'obs[0]'"]
"""A field that holds a selector of one number."""
