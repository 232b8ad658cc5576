"""Gated accumulation: dense parts are paid for an episode only if its outcome is good enough.

With levels R^(1) (the outcome, highest priority) ... R^(n) and thresholds v^(1) ... v^(n-1),

    r_t = R^(1)_t + sum_{i > 1} R^(i)_t * prod_{j < i} 1[ O(R^(j)) passes v^(j) ],

where O is the sum (or the maximum, or the last value) of a level over the whole episode. The outcome is known only when the episode
ends, so the rewards of earlier steps are rewritten then. A threshold of -inf gives the plain sum, +inf the outcome alone.
Source: G-RA, "Stabilizing Long-term Multi-turn Reinforcement Learning with Gated Rewards" 2025 (arXiv 2508.10548).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from shapegym.shaping.compose import TaskReward, array_namespace, lift
from shapegym.shaping.errors import ExpressionError
from shapegym.shaping.kernels.episodes import LAST, MAX, SUM, episode_totals, hold_back
from shapegym.shaping.types import Array, Episodes, EpisodicCombinator, Expression, Guarantee, State

_AGGREGATES = {"sum": SUM, "max": MAX, "last": LAST}


@dataclass(frozen=True)
class Gate(EpisodicCombinator):
    """The levels of a gated reward, highest priority first; see the module's formula.

    An episode that spans several blocks (rollouts) is cut into fragments. While it is open its lower levels are held back: the
    steps of a fragment whose episode has not ended are paid their first level only, and what was held back is paid as one sum at
    the episode's last step if it passes. So an episode's return does not depend on where rollouts were cut. A level whose gates
    are all at -inf is never held back. A truncated episode has the outcome it has reached.

    Guarantee: bounded if the lower levels are; even a potential loses its invariance behind a gate.

    Args:
        of: the levels, at least two.
        thresholds: one for each level but the last.
        strict: pass on ``>`` instead of ``>=``.
        outcome: how a level's values make its outcome: "sum", "max" or "last".
    """

    of: tuple[Expression, ...] = ()
    thresholds: tuple[float, ...] = ()
    strict: bool = False
    outcome: Literal["sum", "max", "last"] = "sum"

    def __post_init__(self) -> None:
        levels = self.of if isinstance(self.of, tuple) else ()
        if len(levels) < 2 or not all(isinstance(level, Expression) for level in levels):
            raise ExpressionError(
                f"Gate needs a tuple of at least two levels (expressions), the outcome first, got {self.of!r}."
            )
        try:
            object.__setattr__(self, "thresholds", tuple(float(threshold) for threshold in self.thresholds))
        except (TypeError, ValueError):
            raise ExpressionError(
                f"Gate: thresholds must be a tuple of numbers, got {self.thresholds!r}."
            ) from None
        if len(self.thresholds) != len(self.of) - 1:
            raise ExpressionError(
                f"Gate has {len(self.of)} levels and {len(self.thresholds)} thresholds: every level but the last needs one."
            )
        if any(math.isnan(threshold) for threshold in self.thresholds):
            raise ExpressionError(f"Gate: a threshold is NaN: {self.thresholds}.")
        if self.outcome not in _AGGREGATES:
            raise ExpressionError(
                f"Gate: outcome must be one of {', '.join(_AGGREGATES)}, got {self.outcome!r}."
            )

    def compose_guarantee(self, guarantees: Sequence[Guarantee]) -> Guarantee:
        """The outcome's own, at most bounded, if the lower levels are bounded."""
        return min(guarantees[0], super().compose_guarantee(guarantees[1:]))

    def carry(self, num_lanes: int) -> State:
        """Return the outcomes so far and the sums held back: (levels - 1, B) each."""
        shape = (len(self.thresholds), num_lanes)
        return {"outcomes": np.full(shape, np.nan), "held": np.zeros(shape)}

    def combine_block(self, values: Sequence[Array], episodes: Episodes, carry: State) -> Array:
        """See `EpisodicCombinator.combine_block`."""
        last = episodes.last
        marks = (episodes.first, last, episodes.active)
        reward = values[0]
        passes = np.ones(last.shape, dtype=bool)
        decided = np.ones(last.shape, dtype=bool)
        for level, threshold in enumerate(self.thresholds):
            outcomes, closed = np.empty(last.shape), np.empty(last.shape, dtype=bool)
            outcome_values = _plain(values[level])
            aggregate = _AGGREGATES[self.outcome]
            episode_totals(outcome_values, *marks, aggregate, carry["outcomes"][level], outcomes, closed)
            if threshold != -math.inf:
                passes = passes & (outcomes > threshold if self.strict else outcomes >= threshold)
                decided = decided & closed
            lower = values[level + 1]
            late = np.empty(last.shape)
            hold_back(_plain(lower), *marks, decided, passes, carry["held"][level], late)
            reward = reward + lower * _like(passes & decided, lower) + _like(late, lower)
        return reward


def gate(
    dense: Expression,
    outcome: Expression | None = None,
    *,
    threshold: float,
    strict: bool = False,
) -> Expression:
    """Return ``outcome + 1[sum of outcome over the episode passes threshold] * dense``. See `Gate`.

    Args:
        dense: what is paid at every step of episodes that pass.
        outcome: the long-term signal; the task reward by default.
        threshold: what the outcome must reach (``>=``, or ``>`` if ``strict``).
        strict: see above.
    """
    return Gate((TaskReward() if outcome is None else lift(outcome), lift(dense)), (threshold,), strict)


def _plain(values: Array) -> np.ndarray:
    """A contiguous NumPy view of a tensor or array; decisions of a gate are not differentiated."""
    if array_namespace(values) is not np:
        values = values.detach().cpu().numpy()
    return np.ascontiguousarray(values, dtype=np.float64)


def _like(mask: np.ndarray, values: Array) -> Array:
    xp = array_namespace(values)
    return mask if xp is np else xp.as_tensor(mask, dtype=values.dtype, device=values.device)
