"""Numbers that are costly to make and asked for again and again, remembered by what they are of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b

import numpy as np

from shapegym.shaping.kernels.distinct import find_distinct

MOST = 65_536
"""Numbers that are kept; then the oldest is forgotten, and made again when it is asked for."""


class Recall:
    """Remembers a number for every row of bytes."""

    def __init__(self, most: int = MOST) -> None:
        self._known: dict[bytes, float] = {}
        self._most = most

    def __len__(self) -> int:
        return len(self._known)

    def of(self, rows: Sequence[np.ndarray], make: Callable[[int], float]) -> np.ndarray:
        """Return the number of each of B rows, (B,) float64; of rows that are equal, one is asked for.

        Args:
            rows: what each number depends on, arrays (B, ...) of bytes, uint8.
            make: makes the number of a row, by its place.
        """
        flat = [part.reshape(len(part), -1) for part in rows]
        whole = np.ascontiguousarray(flat[0] if len(flat) == 1 else np.concatenate(flat, axis=1))
        first, places = _distinct(whole)
        return np.array([self._one(whole[row], row, make) for row in first])[places]

    def _one(self, content: np.ndarray, row: int, make: Callable[[int], float]) -> float:
        key = blake2b(content.tobytes(), digest_size=16).digest()
        if key not in self._known:
            made = make(row)
            if len(self._known) >= self._most:
                del self._known[next(iter(self._known))]
            self._known[key] = made
        return self._known[key]


def _distinct(rows: np.ndarray) -> tuple[list[int], np.ndarray]:
    """Return where the rows stand that differ, and which of them each row is, (B,)."""
    count, width = rows.shape
    if count > 1:
        words = np.pad(rows, ((0, 0), (0, -width % 4))).view(np.uint32) if width % 4 else rows.view(np.uint32)
        first, places = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int64)
        found = find_distinct(words, np.full(1 << (2 * count - 1).bit_length(), -1), first, places)
        if found >= 0:
            return first[:found].tolist(), places
    return list(range(count)), np.arange(count)
