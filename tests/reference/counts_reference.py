"""Visit counts in dictionaries, and sign hashes in plain loops. Imports nothing of the project."""

from __future__ import annotations

import numpy as np


def lifetime_visits(keys: list[list[tuple]], active: list[list[bool]]) -> np.ndarray:
    """N of each step's key (T, B): all active lanes of a step are counted before any is read; never below 1."""
    seen: dict[tuple, int] = {}
    visits = []
    for row, counted in zip(keys, active, strict=True):
        for key, count in zip(row, counted, strict=True):
            if count:
                seen[key] = seen.get(key, 0) + 1
        visits.append([max(seen.get(key, 0), 1) for key in row])
    return np.array(visits)


def episode_visits(keys: list[list[tuple]], first: list[list[bool]], active: list[list[bool]]) -> np.ndarray:
    """N of each active step's key within the lane's episode (T, B); 0 in inactive rows."""
    seen: list[dict[tuple, int]] = [{} for _ in keys[0]]
    visits = []
    for row, starts, counted in zip(keys, first, active, strict=True):
        found = []
        for lane, key in enumerate(row):
            if not counted[lane]:
                found.append(0)
                continue
            if starts[lane]:
                seen[lane] = {}
            seen[lane][key] = seen[lane].get(key, 0) + 1
            found.append(seen[lane][key])
        visits.append(found)
    return np.array(visits)


def signs(values: np.ndarray, directions: np.ndarray) -> list[tuple]:
    """Whether <a_k, x> >= 0, for every row x of ``values`` and column a_k of ``directions``."""
    found = []
    for x in values.tolist():
        bits = []
        for k in range(directions.shape[1]):
            total = 0.0
            for i, number in enumerate(x):
                total += number * float(directions[i, k])
            bits.append(total >= 0.0)
        found.append(tuple(bits))
    return found
