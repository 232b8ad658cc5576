"""How often states were visited in all episodes that have ended, by their 64-bit digests."""

from __future__ import annotations

from typing import Any

import numpy as np

from shapegym.shaping.kernels.counts import digest, tally
from shapegym.shaping.states.keys import Table, empty_table, make_room

MOST_STATES = 2**20
"""Distinct states that are counted; those that come later have N = 1. A full table takes 48 MiB."""


def digests(words: np.ndarray) -> np.ndarray:
    """Return what stands for each key, (B,) uint64: two of a million states share one with chance 3e-8.

    Args:
        words: keys as `Keys.words` gives them, (B, W).
    """
    found = np.empty(len(words), dtype=np.uint64)
    digest(words, found)
    return found


def no_visits() -> dict[str, Any]:
    """Return the table of a run that has seen nothing."""
    return {**empty_table(2), "owners": np.zeros(1, dtype=np.uint64)}


def count(table: Table, keys: np.ndarray, most: int = MOST_STATES) -> None:
    """Count visits of states (M,); once there is no room for as many new ones, of those that are known already."""
    rows = _rows(keys)
    amounts = np.ones(len(keys), dtype=np.int64)
    if table["size"] + len(keys) <= most:
        make_room(table, len(keys))
    else:
        amounts = np.minimum(_read(table, rows), 1)
    table["size"] += tally(rows, amounts, table["keys"], table["counts"], np.empty(len(keys), dtype=np.int64))


def visits(table: Table, keys: np.ndarray) -> np.ndarray:
    """Return how often states (M,) were visited, at least 1."""
    return np.maximum(_read(table, _rows(keys)), 1)


def distinct(keys: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return how many different states each of some episodes visited, (E,), which follow each other in ``keys`` (M,)."""
    episode = np.repeat(np.arange(len(lengths)), lengths)
    sorted_keys = keys[np.lexsort((keys, episode))]
    new = np.ones(len(keys), dtype=bool)
    new[1:] = (sorted_keys[1:] != sorted_keys[:-1]) | (episode[1:] != episode[:-1])
    return np.bincount(episode[new], minlength=len(lengths))


def require_table(table: Table) -> None:
    """Raise ValueError if this is no table that `count` makes: the kernel would look for an empty slot in vain."""
    keys, counts = np.asarray(table["keys"]), np.asarray(table["counts"])
    slots = len(counts)
    if (
        set(table) != set(no_visits())
        or keys.shape != (slots, 2)
        or keys.dtype != np.uint64
        or counts.dtype != np.int64
        or slots < 2
        or slots & (slots - 1)
        or table["size"] != np.count_nonzero(counts)
        or 3 * table["size"] > 2 * slots
        or (counts < 0).any()
        or not np.array_equal(table["owners"], no_visits()["owners"])
    ):
        raise ValueError("its table of visits is none")


def _rows(keys: np.ndarray) -> np.ndarray:
    """Keys as `tally` takes them, behind the word of their owner, (M, 2)."""
    return np.stack([np.zeros_like(keys), keys], axis=1)


def _read(table: Table, rows: np.ndarray) -> np.ndarray:
    found = np.empty(len(rows), dtype=np.int64)
    tally(rows, np.zeros(len(rows), dtype=np.int64), table["keys"], table["counts"], found)
    return found
