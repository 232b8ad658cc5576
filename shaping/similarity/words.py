"""Texts as bags of words: an encoder without weights."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from typing_extensions import override

from shapegym.shaping.limits import Count
from shapegym.shaping.similarity.encoder import Encoder, unit

_WORD = re.compile(r"\w+")


def words_of(text: str) -> list[str]:
    """Return the words of a text in lower case; of one without any, the text."""
    return _WORD.findall(text.lower()) or [text]


@dataclass(frozen=True)
class WordHash(Encoder):
    """Counts of words, each with a random sign in one of ``width`` places: texts are near that share words.

    It knows nothing of meaning, needs no weights, and is what a language model must beat. The code does not depend on the order of
    words. Source: Weinberger et al. 2009, "Feature hashing for large scale multitask learning", definition 1.

    Args:
        width: numbers in a code; the fewer, the more words share a place.
    """

    width: Count = 256

    @override
    def text(self, text: str) -> np.ndarray:
        code = np.zeros(self.width)
        for word, times in Counter(words_of(text)).items():
            drawn = int.from_bytes(blake2b(word.encode(errors="replace"), digest_size=8).digest(), "little")
            code[(drawn >> 1) % self.width] += times if drawn & 1 else -times
        if not code.any():  # words of opposite sign in one place
            code[0] = 1.0
        return unit(code)
