"""Encoders: what makes texts, and pictures, comparable. Equal things have equal codes, alike ones near codes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from shapegym.shaping.errors import EncoderError
from shapegym.shaping.limits import Limited

LONGEST_TEXT = 4096
"""Characters of a text that are read; what follows them is left out."""


@dataclass(frozen=True)
class Encoder(Limited, ABC):
    """Turns a text, and one that ``sees`` a picture too, into a unit vector of d numbers, (d,) float64.

    One at a time: in a batch, a code would depend by rounding on what else is in it, and a run that is resumed would not repeat to
    the bit. What has been coded is remembered by those who ask (`shapegym.shaping.similarity.recall`).
    """

    in_words: ClassVar[str] = "an encoder such as WordHash()"
    sees: ClassVar[bool] = False

    def fingerprint(self) -> str:
        """Return what tells its weights from others, and "" where its fields say all.

        Raises:
            EncoderError: if it cannot be used: its weights or a library are missing, or damaged; says what to do.
        """
        return ""

    @abstractmethod
    def text(self, text: str) -> np.ndarray:
        """Return the code of a text that is not empty, of at most `LONGEST_TEXT` characters."""

    def picture(self, picture: np.ndarray) -> np.ndarray:
        """Return the code of a picture, (rows, columns, channels) uint8.

        Raises:
            EncoderError: if it reads texts only, or pictures of another size.
        """
        raise EncoderError(
            f"{type(self).__name__} encodes texts, not pictures such as this one of shape {picture.shape}. Take an encoder that "
            "sees (PictureEncoder), or compare a text such as features.caption."
        )


def unit(code: np.ndarray) -> np.ndarray:
    """Return a code at length 1, in float64."""
    whole = np.asarray(code, dtype=np.float64)
    return whole / np.sqrt(np.square(whole).sum())
