"""The best episodes so far: as many of the ranking as fit, whole.

    score = w0 G + w1 D / T + w2 mean_t 1 / sqrt(N(s_t))

G is the task return of the episode, T its steps, D the number of different states among them, N(s) how often all episodes so far
visited s, which is read anew whenever episodes are ranked. Source: Zha et al. 2021, "Rank the Episodes", equations 1 to 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shapegym.agents.algorithms.ranking.steps import Episodes, Steps, within
from shapegym.agents.algorithms.ranking.visits import distinct, visits
from shapegym.shaping.states.keys import Table


@dataclass(frozen=True, slots=True)
class Weights:
    """w0 of the task return, w1 of the local score, w2 of the global score."""

    extrinsic: float
    local: float
    overall: float


@dataclass(frozen=True, slots=True)
class BestEpisodes:
    """The episodes that rank highest, in the order in which they ended.

    Attributes:
        episodes: they themselves.
        returns: task return of each, (E,).
        locals: share of different states among the steps of each, (E,).
        scores: of each when they were ranked last, (E,).
    """

    episodes: Episodes
    returns: np.ndarray
    locals: np.ndarray
    scores: np.ndarray

    @classmethod
    def none(cls, steps: Steps) -> BestEpisodes:
        """Return an empty ranking of steps of the form of ``steps`` (M, ...)."""
        nothing = np.zeros(0)
        return cls(Episodes(steps.take(slice(0)), np.zeros(0, dtype=np.int64)), nothing, nothing, nothing)

    def with_more(self, ended: Episodes, weights: Weights, table: Table, size: int) -> BestEpisodes:
        """Return the best of these and others, in at most ``size`` steps.

        The ranking goes from the highest score down, of equals from the one that ended last, and ends before the first episode
        that does not fit.

        Args:
            ended: later episodes, whose visits ``table`` has counted.
            weights: of the scores.
            table: visits so far.
            size: steps.
        """
        lengths = np.concatenate([self.episodes.lengths, ended.lengths])
        keys = np.concatenate([self.episodes.steps.keys, ended.steps.keys])
        returns = np.concatenate([self.returns, ended.sums(ended.steps.rewards)])
        locals_ = np.concatenate([self.locals, distinct(ended.steps.keys, ended.lengths) / ended.lengths])
        starts = np.cumsum(lengths) - lengths
        rarity = 1 / np.sqrt(visits(table, keys))
        overall = np.add.reduceat(rarity, starts) / lengths if len(lengths) else returns
        scores = weights.extrinsic * returns + weights.local * locals_ + weights.overall * overall
        ranking = np.argsort(scores, kind="stable")[::-1]
        kept = np.sort(ranking[np.cumsum(lengths[ranking]) <= size])
        rows = np.repeat(starts[kept], lengths[kept]) + within(lengths[kept])
        steps = _taken(self.episodes.steps, ended.steps, rows)
        return BestEpisodes(Episodes(steps, lengths[kept]), returns[kept], locals_[kept], scores[kept])


def _taken(kept: Steps, ended: Steps, rows: np.ndarray) -> Steps:
    """The given rows, in order, of two pieces that follow each other, without joining the whole of them."""
    old = rows < len(kept)
    return Steps.joined([kept.take(rows[old]), ended.take(rows[~old] - len(kept))])
