"""Missions as token ids: one vocabulary for all grid tasks, so that a token means the same in each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

VOCABULARY = (
    "", "a", "and", "at", "avoid", "ball", "blue", "box", "door", "end", "fetch", "find", "from", "get", "go",
    "goal", "green", "grey", "hallway", "key", "lava", "matching", "must", "near", "object", "of", "open",
    "opening", "pick", "purple", "put", "reach", "red", "room", "rooms", "square", "the", "then", "to",
    "traverse", "unlock", "up", "use", "yellow", "you",
)  # fmt: skip
"""Word of every token id; 0 is padding."""

MAX_TOKENS = 17
"""Words of the longest mission, and the length of every token vector."""

_ID = {word: index for index, word in enumerate(VOCABULARY)}


def tokenize(missions: Sequence[str]) -> NDArray[np.uint8]:
    """Token ids (len(missions), MAX_TOKENS) of missions, padded with 0.

    Raises:
        ValueError: A mission has a word outside the vocabulary, or too many words.
    """
    tokens = np.zeros((len(missions), MAX_TOKENS), np.uint8)
    for row, mission in enumerate(missions):
        words = mission.replace(",", "").split()
        unknown = [word for word in words if word not in _ID]
        if unknown or len(words) > MAX_TOKENS:
            raise ValueError(
                f"mission {mission!r} has unknown words {unknown} or more than {MAX_TOKENS} words"
            )
        tokens[row, : len(words)] = [_ID[word] for word in words]
    return tokens


def detokenize(tokens: NDArray[np.integer]) -> str:
    """The mission that token ids (MAX_TOKENS,) stand for, in MiniGrid's words but without commas.

    Raises:
        ValueError: A token is outside the vocabulary.
    """
    ids = np.asarray(tokens)
    unknown = ids[(ids < 0) | (ids >= len(VOCABULARY))]
    if unknown.size:
        raise ValueError(f"tokens {unknown.tolist()} are outside the vocabulary of {len(VOCABULARY)} words")
    return " ".join(VOCABULARY[index] for index in ids[ids != 0])
