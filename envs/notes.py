"""What a person must be told of a task to write a reward for it: units, meanings, and which features already know the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Note:
    """What a feature, or the action, means.

    Attributes:
        about: A sentence.
        unit: "cells", "metres", "radians", ...; empty for numbers without one, and for codes.
        codes: What single values mean: (value, words).
        oracle: Whether the feature knows more than a designer may use: a solution, or whether the task was just solved.
    """

    about: str
    unit: str = ""
    codes: tuple[tuple[int, str], ...] = ()
    oracle: bool = False


def coded(words: Sequence[str], first: int = 0) -> tuple[tuple[int, str], ...]:
    """The codes of names that are numbered from `first` on."""
    return tuple(enumerate(words, first))
