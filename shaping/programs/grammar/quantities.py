"""What of a state can be measured, found in an abstraction: numbers, codes, truths and distances that programs can compute."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, TypeAlias, TypeVar

import numpy as np

from shapegym.shaping.programs.abstraction import Abstraction, Feature

Rng: TypeAlias = np.random.Generator
Thing = TypeVar("Thing")
About: TypeAlias = Literal["number", "code", "truth", "distance"]

MOST_ENTRIES = 8
"""Of a vector that are looked at one by one."""
MOST_CODES = 16
"""Values of a whole number without a unit up to which they are codes: equal or not, but no more or less."""


@dataclass(frozen=True)
class Quantity:
    """A number that programs can compute of a state.

    Attributes:
        name: a word for it.
        code: over the state ``{s}``.
        width: of its range; 1 where that is not known.
        low: end of its range.
        high: end of its range.
        about: what it is: "number", "code" (equal or not, no more or less), "truth" or "distance".
    """

    name: str
    code: str
    width: float
    low: float = -math.inf
    high: float = math.inf
    about: About = "number"
    codes: tuple[int, ...] = ()

    def of(self, state: str) -> str:
        """Its code for a state."""
        return self.code.replace("{s}", state)


def quantities(abstraction: Abstraction) -> tuple[Quantity, ...]:
    """Return everything that idioms are about, in the order of the features."""
    return (
        *(each for feature in abstraction.features for each in _entries(feature)),
        *_distances(abstraction),
    )


def condition(known: Sequence[Quantity], state: str, rng: Rng) -> str:
    """Return something that holds of a state or not."""
    of = pick(known, rng)
    if of.about == "truth":
        return of.of(state) if rng.random() < 0.7 else f"not {of.of(state)}"
    if of.about == "code":
        return f"{of.of(state)} == {code_of(of, rng)}"
    return f"{of.of(state)} {pick(['<', '>'], rng)} {_inside(of, rng)}"


def place_in(of: Quantity, rng: Rng) -> str:
    """Return a place in the range of a number, mostly one of its ends."""
    if not (math.isfinite(of.low) and math.isfinite(of.high)):
        return written(rng.normal())
    return pick([written(of.low), written(of.high), _inside(of, rng)], rng)


def _inside(of: Quantity, rng: Rng) -> str:
    if not (math.isfinite(of.low) and math.isfinite(of.high)):
        return written(rng.normal())
    return written(of.low + rng.uniform(0.05, 0.95) * (of.high - of.low))


def code_of(of: Quantity, rng: Rng) -> int:
    """Return one of the values of a code."""
    return pick(of.codes or range(math.ceil(of.low), math.floor(of.high) + 1), rng)


def pick(things: Sequence[Thing], rng: Rng) -> Thing:
    """Return one of them, each as likely as another."""
    return things[int(rng.integers(len(things)))]


def written(value: float) -> str:
    """Return a number with three digits, as Python reads it back."""
    return repr(float(f"{value:.3g}"))


def _entries(feature: Feature) -> Iterator[Quantity]:
    if feature.low == feature.high:  # it never changes
        return
    word = re.sub(r"\W", "_", feature.name)
    about: About = "truth" if feature.kind == "truth" else "code" if _is_code(feature) else "number"
    width = feature.high - feature.low
    width = width if math.isfinite(width) and width > 0 else 1.0
    codes = tuple(code for code, _ in feature.codes)
    if not feature.length:
        yield Quantity(word, f"{{s}}.{feature.name}", width, feature.low, feature.high, about, codes)
    for index in range(min(feature.length, MOST_ENTRIES)):
        code = f"{{s}}.{feature.name}[{index}]"
        if about == "truth":
            code = f"({code} > 0.5)"
        yield Quantity(f"{word}_{index}", code, width, feature.low, feature.high, about, codes)


def _is_code(feature: Feature) -> bool:
    few = feature.kind == "whole" and feature.high - feature.low < MOST_CODES and feature.length < 2
    return bool(feature.codes) or (few and not feature.unit)


def _distances(abstraction: Abstraction) -> Iterator[Quantity]:
    vectors = [each for each in abstraction.features if each.length > 1 and each.kind != "truth"]
    for one, other in combinations(vectors, 2):
        if (one.length, one.unit, one.low, one.high) == (other.length, other.unit, other.low, other.high):
            word = f"{re.sub(r'_?pos(ition)?$', '', one.name)}_{re.sub(r'_?pos(ition)?$', '', other.name)}"
            longest = (one.high - one.low) * math.sqrt(one.length)
            known = math.isfinite(longest) and longest > 0
            yield Quantity(
                re.sub(r"\W", "_", word),
                f"distance({{s}}.{one.name}, {{s}}.{other.name})",
                longest if known else 1.0,
                0.0,
                longest if known else math.inf,
                "distance",
            )
