"""Steps and whole episodes as arrays, and the window in which the open episodes of all lanes lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np

from shapegym.shaping.arrays import tree_join, tree_map, tree_take


@dataclass(frozen=True, slots=True)
class Steps:
    """Steps, of which every array has the same leading axes: (T, B) of all lanes, or (M,).

    Attributes:
        obs: s_t as the policy sees it, an array or a dict of arrays.
        actions: a_t as the policy chose it, (..., A).
        keys: what stands for s_t where visits are counted, (...) uint64.
        rewards: of the task, (...) float64.
    """

    obs: Any
    actions: np.ndarray
    keys: np.ndarray
    rewards: np.ndarray

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, rows: Any) -> Self:
        """Return some of the steps: a slice of them or their numbers, for (T, B) arrays also pairs of numbers."""
        return type(self)(*(tree_take(getattr(self, item.name), rows) for item in fields(Steps)))

    @classmethod
    def flat(cls, steps: Steps) -> Self:
        """Return (T, B) steps as (T B,)."""
        arrays = (getattr(steps, item.name) for item in fields(Steps))
        return cls(*(tree_map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), each) for each in arrays))

    @classmethod
    def joined(cls, pieces: Sequence[Steps]) -> Self:
        """Return one piece after the other."""
        trees = ([getattr(piece, item.name) for piece in pieces] for item in fields(Steps))
        return cls(*(tree_join(np.concatenate, each) for each in trees))


@dataclass(frozen=True, slots=True)
class Episodes:
    """Whole episodes one after the other, E of them, in the order in which they ended.

    Attributes:
        steps: of all, (M, ...).
        lengths: steps of each, (E,) int64.
    """

    steps: Steps
    lengths: np.ndarray

    @property
    def starts(self) -> np.ndarray:
        """Where each begins among the steps, (E,)."""
        return np.cumsum(self.lengths) - self.lengths

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Return the sum of ``values`` (M,) over each episode, (E,)."""
        return np.add.reduceat(values, self.starts) if len(self.lengths) else np.zeros(0)


@dataclass(frozen=True, slots=True)
class OpenEpisodes:
    """The latest steps of all lanes, as far back as an episode that may still be ranked is open.

    An episode of more than ``longest`` steps is not ranked, and neither is one of which steps were not seen. So the window has
    fewer than ``longest`` steps between two rollouts, whatever the environment does.

    Attributes:
        steps: of all lanes, (W, B, ...).
        begun: where each lane's open episode begins in the window, W if none is open, -1 if it will not be ranked, (B,) int64.
        clock: global steps made when the window was made.
    """

    steps: Steps
    begun: np.ndarray
    clock: int

    @classmethod
    def none(cls, steps: Steps, clock: int = 0) -> OpenEpisodes:
        """Return the window in which nothing is known, which is of the form of ``steps`` (T, B)."""
        empty = steps.take(slice(0))
        return cls(empty, np.full(empty.keys.shape[1], -1), clock)

    def extended(
        self, rollout: Steps, first: np.ndarray, last: np.ndarray, longest: int, clock: int
    ) -> tuple[OpenEpisodes, Episodes]:
        """Return the window after a rollout, and the episodes that ended in it.

        Args:
            rollout: the steps that follow, (T, B, ...).
            first: whether a step begins an episode, (T, B) bool. Where an episode begins that another is open before, that was
                abandoned and is forgotten.
            last: whether it ends one, (T, B) bool.
            longest: steps of the longest episodes that are ranked.
            clock: global steps made after it.
        """
        held = len(self.steps)
        window = Steps.joined([self.steps, rollout])
        rows = held + np.arange(len(rollout))[:, None]
        begun = np.maximum.accumulate(np.where(first, rows, self.begun), axis=0)
        times, lanes = np.nonzero(last & (begun >= 0) & (rows - begun < longest))
        starts = begun[times, lanes]
        lengths = held + times + 1 - starts
        ended = window.take((np.repeat(starts, lengths) + within(lengths), np.repeat(lanes, lengths)))
        size = len(window)
        still = np.where(last[-1], size, begun[-1])
        still[size - still >= longest] = -1
        oldest = int(still[still >= 0].min(initial=size))
        kept = window.take(slice(oldest, None))
        left = OpenEpisodes(kept, np.where(still < 0, -1, still - oldest), clock)
        return left, Episodes(ended, lengths)


def within(lengths: np.ndarray) -> np.ndarray:
    """Return 0, 1, ... for the steps of each of some pieces that follow each other, (M,)."""
    return np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
