"""Texts as features: a row of bytes of one length, so that a text travels, is stored and is hashed as any feature is.

A text is UTF-8, filled up with zeros; one that is too long ends at the last character that fits. A text holds no zeros of its
own (a NUL becomes a space), so nothing is lost between the two forms but what is cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray


def text_space(length: int) -> spaces.Box:
    """The space of a text of at most `length` bytes."""
    return spaces.Box(0, 255, (length,), np.uint8)


def encode(texts: Sequence[str], length: int) -> NDArray[np.uint8]:
    """Texts as rows of bytes (len(texts), length); half of a surrogate pair, which UTF-8 does not have, becomes "?"."""
    rows = np.zeros((len(texts), length), np.uint8)
    for row, text in zip(rows, texts, strict=True):
        raw = _bytes(text)
        if len(raw) > length:
            raw = raw[:length].decode("utf-8", "ignore").encode()
        row[: len(raw)] = np.frombuffer(raw, np.uint8)
    return rows


def decode(rows: NDArray[np.uint8]) -> list[str]:
    """The texts of rows (B, length); what is no UTF-8 becomes U+FFFD."""
    return [bytes(row).rstrip(b"\0").decode("utf-8", "replace") for row in np.asarray(rows, np.uint8)]


def longest(texts: Iterable[str]) -> int:
    """Bytes of the longest text as `encode` writes it, at least 1, as no space is empty."""
    return max((len(_bytes(text)) for text in texts), default=0) or 1


def _bytes(text: str) -> bytes:
    return text.replace("\0", " ").encode("utf-8", "replace")


class Text(str):
    """A text in the info of a single environment, which people read; rewards read its `row`.

    Attributes:
        row: Its bytes (length,), as the vector form reports them.
    """

    row: NDArray[np.uint8]

    def __new__(cls, row: NDArray[np.uint8]) -> Text:
        """The text of a row, which is copied."""
        text = super().__new__(cls, decode(row[None])[0])
        text.row = row.copy()
        return text

    def __reduce__(self) -> tuple[Any, ...]:
        return Text, (self.row,)
