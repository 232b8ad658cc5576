"""Gated accumulation: dense parts are paid for an episode only if its outcome is good enough.

With levels R^(1) (the outcome, highest priority) ... R^(n) and thresholds v^(1) ... v^(n-1),

    r_t = R^(1)_t + sum_{i > 1} R^(i)_t * prod_{j < i} 1[ O(R^(j)) passes v^(j) ],

where O is the sum (or the maximum, or the last value) of a level over the whole episode. The outcome is known only when the episode
ends, so the rewards of earlier steps are rewritten then. A threshold of -inf gives the plain sum (direct accumulation, D-RA), +inf
the outcome alone.
Source: G-RA, "Stabilizing Long-term Multi-turn Reinforcement Learning with Gated Rewards" 2025 (arXiv 2508.10548).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from shapegym.shaping.algebra import TaskReward, lift
from shapegym.shaping.arrays import as_plain, like
from shapegym.shaping.checks import is_integer
from shapegym.shaping.errors import ExpressionError
from shapegym.shaping.kernels.episodes import LAST, MAX, SUM, count_passes, episode_totals, hold_back
from shapegym.shaping.transitions import Array, Episodes, State
from shapegym.shaping.types import EpisodicCombinator, Expression, Guarantee
from shapegym.shaping.weights.schedules import OnPlateau, Schedule

Threshold: TypeAlias = float | Schedule | OnPlateau
"""What an outcome must reach: a number, or a schedule whose value at the episode's last step counts."""

_AGGREGATES = {"sum": SUM, "max": MAX, "last": LAST}
_WINDOW = 100
"""Episodes over which the frequency of passing is followed."""


@dataclass(frozen=True)
class Gate(EpisodicCombinator):
    """The first level, always, and each lower one where the outcomes of all higher ones pass their thresholds.

    Levels stand in order of priority; see the module's formula.

    ``per`` says over what the outcome is taken, and what passes or fails as one: the episode; a *turn*, which ends where the
    expression ``turn`` is > 0 and with the episode; or the single step, where nothing need wait (such a gate is not episodic and
    works on every surface). A truncated episode has the outcome it has reached. A level whose gates are all at -inf never waits.

    An episode (or turn) that spans several rollouts is cut into fragments; ``fragments`` says what the lower levels of one that is
    still open are paid:

    * "held": nothing. What was held back is paid as one sum at the last step, if the episode passes.
    * "bootstrapped": their values times the frequency p with which episodes pass (a mean of all so far, of the last 100 or so later
      on; 0 before the first ends). At the last step what is due is settled: passes * sum - p * sum.
    * "closed": all or nothing at once, by the outcome and the threshold so far. Credit comes early, but what an episode earns
      depends on where rollouts are cut: an episode of which only the last fragment passes is paid for that fragment.

    With the first two an episode's return does not depend on where rollouts were cut. Whole episodes (replay buffers,
    ``pay_at_end``) have no fragments, and there all three are one.

    Guarantee: bounded if the lower levels are; even a potential loses its invariance behind a gate.

    Args:
        of: the levels, at least two.
        thresholds: one for each level but the last; schedules anneal them. In a replay buffer a schedule has its value of now.
        strict: pass on ``>`` instead of ``>=``.
        outcome: how a level's values make its outcome: "sum", "max" or "last".
        per: see above.
        turn: ends a turn where > 0; for ``per="turn"`` only.
        fragments: see above.
        warn_after: so many episodes (or turns) without one that passes raise a warning with advice.
    """

    of: tuple[Expression, ...] = ()
    thresholds: tuple[Threshold, ...] = ()
    strict: bool = False
    outcome: Literal["sum", "max", "last"] = "sum"
    per: Literal["episode", "turn", "step"] = "episode"
    turn: Expression | None = None
    fragments: Literal["held", "closed", "bootstrapped"] = "held"
    warn_after: int = 1000

    def __post_init__(self) -> None:
        levels = self.of if isinstance(self.of, tuple) else ()
        if len(levels) < 2 or not all(isinstance(level, Expression) for level in levels):
            raise ExpressionError(
                f"Gate needs a tuple of at least two levels (expressions), the outcome first, got {self.of!r}."
            )
        try:
            object.__setattr__(self, "thresholds", tuple(map(_as_threshold, self.thresholds)))
        except TypeError:
            raise ExpressionError(
                f"Gate: thresholds must be a tuple of numbers or schedules, got {self.thresholds!r}."
            ) from None
        if len(self.thresholds) != len(self.of) - 1:
            raise ExpressionError(
                f"Gate has {len(self.of)} levels and {len(self.thresholds)} thresholds: every level but the last needs one."
            )
        if any(isinstance(threshold, float) and math.isnan(threshold) for threshold in self.thresholds):
            raise ExpressionError(f"Gate: a threshold is NaN: {self.thresholds}.")
        _require_choice("outcome", self.outcome, tuple(_AGGREGATES))
        _require_choice("per", self.per, ("episode", "turn", "step"))
        _require_choice("fragments", self.fragments, ("held", "closed", "bootstrapped"))
        if not is_integer(self.warn_after, 1):
            raise ExpressionError(
                f"Gate: warn_after must be an integer of at least 1, got {self.warn_after!r}."
            )
        self._check_turn()

    def _check_turn(self) -> None:
        if (self.per == "turn") != (self.turn is not None):
            raise ExpressionError(
                f"Gate: per='turn' and an expression turn that is > 0 at the last step of a turn belong together; got "
                f"per={self.per!r}, turn={self.turn!r}."
            )
        if self.per == "step" and self.fragments != "held":
            raise ExpressionError(
                f"Gate: a step is never cut, so fragments={self.fragments!r} says nothing with per='step'."
            )
        if self.turn is None:
            return
        from shapegym.shaping.tree import is_episodic  # which reads this module

        if not isinstance(self.turn, Expression) or is_episodic(self.turn):
            raise ExpressionError(
                "Gate: turn must be an expression that is known at its step, such as Event('features.submitted'), got "
                f"{self.turn!r}."
            )

    @property
    def episodic(self) -> bool:  # type: ignore[override]  # a fact of the instance here
        """Whether the fate of a step is known only later."""
        return self.per != "step"

    @property
    def additive(self) -> bool:  # type: ignore[override]
        """See `EpisodicCombinator.additive`."""
        return self.per == "episode" and self.outcome == "sum"

    def compose_guarantee(self, guarantees: Sequence[Guarantee]) -> Guarantee:
        """The outcome's own, at most bounded, if the lower levels are bounded."""
        return min(guarantees[0], super().compose_guarantee(guarantees[1 : len(self.of)]))

    def carry(self, num_lanes: int) -> State:
        """Return the outcomes so far, the sums held back and advanced, (levels - 1, B) each, and the tallies of each gate."""
        shape = (len(self.thresholds), num_lanes)
        return {
            "outcomes": np.full(shape, np.nan),
            "held": np.zeros(shape),
            "advanced": np.zeros(shape),
            "run": {"tallies": np.zeros((len(self.thresholds), 3))},
        }

    def combine(self, values: Sequence[Array]) -> Array:
        """See `Combinator.combine`; for ``per="step"``."""
        if self.episodic:
            return super().combine(values)
        levels, bars, _ = self._sort_out(values)
        reward, passes = levels[0], np.array(True)
        for higher, bar, lower in zip(levels[:-1], bars, levels[1:], strict=True):
            passes = passes & self._reaches(
                as_plain(higher), bar if isinstance(bar, float) else as_plain(bar)
            )
            reward = reward + lower * like(passes, lower)
        return reward

    def combine_block(self, values: Sequence[Array], episodes: Episodes, carry: State) -> Array:
        """See `EpisodicCombinator.combine_block`."""
        levels, bars, turn = self._sort_out(values)
        last = episodes.last if turn is None else episodes.last | (as_plain(turn) > 0)
        marks = (episodes.first, last, episodes.active)
        reward = levels[0]
        passes = np.ones(last.shape, dtype=bool)
        decided = np.ones(last.shape, dtype=bool)
        for level, (bar, lower) in enumerate(zip(bars, levels[1:], strict=True)):
            carried = carry["outcomes"][level]
            outcomes, closed = _over_episodes(levels[level], marks, _AGGREGATES[self.outcome], carried)
            if not (isinstance(bar, float) and bar == -math.inf):  # which passes whatever is still to come
                passes = passes & self._reaches(outcomes, _at_last_steps(bar, marks))
                decided = decided if self.fragments == "closed" else decided & closed
            tally = carry["run"]["tallies"][level]
            count_passes(last, episodes.active, passes, _WINDOW, tally)
            paid, late = (passes & decided).astype(np.float64), np.empty(last.shape)
            hold_back(as_plain(lower), *marks, decided, passes, carry["held"][level], late)
            if self.fragments == "bootstrapped":
                share, always, repaid = float(tally[2]), np.ones_like(passes), np.empty(last.shape)
                advance = share * as_plain(lower)
                hold_back(advance, *marks, decided, always, carry["advanced"][level], repaid)
                paid, late = np.where(decided, paid, share), late - repaid
            reward = reward + lower * like(paid, lower) + like(late, lower)
        return reward

    def warning(self, carry: State) -> str | None:
        """See `EpisodicCombinator.warning`: a gate that has not opened in ``warn_after`` episodes."""
        for higher, threshold, tally in zip(
            self.of[:-1], self.thresholds, carry["run"]["tallies"], strict=True
        ):
            ended, passed = int(tally[0]), tally[1]
            if passed == 0 and ended >= self.warn_after and threshold != math.inf:
                sign = ">" if self.strict else ">="
                return (
                    f"Gate: in {ended} {self.per}s not one outcome ({self.outcome} of {higher}) was {sign} {threshold}, so its "
                    "lower levels have never been paid and the agent learns from the outcome alone. Lower the threshold; or anneal "
                    "it (thresholds=(Linear(low, high, steps),)); or grade the outcome (nothing handed in < empty < wrong < right) "
                    "and put the gate below success. If it should have been reached, look at the outcome."
                )
        return None

    def _sort_out(self, values: Sequence[Array]) -> tuple[Sequence[Array], list[float | Array], Array | None]:
        """Return the levels' values, the threshold of every gate, and the turns' marks: children come in field order."""
        others = iter(values[len(self.of) :])
        bars = [next(others) if isinstance(bar, Expression) else bar for bar in self.thresholds]
        return values[: len(self.of)], bars, next(others, None)

    def _reaches(self, outcomes: np.ndarray, bar: float | np.ndarray) -> np.ndarray:
        return outcomes > bar if self.strict else outcomes >= bar


def gate(
    dense: Expression,
    outcome: Expression | None = None,
    *,
    threshold: Threshold,
    strict: bool = False,
    per: Literal["episode", "turn", "step"] = "episode",
    turn: Expression | None = None,
    fragments: Literal["held", "closed", "bootstrapped"] = "held",
) -> Expression:
    """Return ``outcome + 1[sum of outcome over the episode passes threshold] * dense``. See `Gate`.

    Args:
        dense: what is paid at every step of episodes that pass.
        outcome: the long-term signal; the task reward by default.
        threshold: what the outcome must reach (``>=``, or ``>`` if ``strict``); -inf is direct accumulation.
        strict: see above.
        per: what passes as one, an episode, a turn or a step.
        turn: > 0 where a turn ends.
        fragments: what is paid of episodes that go on in the next rollout.
    """
    levels = (TaskReward() if outcome is None else lift(outcome), lift(dense))
    return Gate(levels, (threshold,), strict, per=per, turn=turn, fragments=fragments)


def _as_threshold(value: object) -> Threshold:
    if isinstance(value, (Schedule, OnPlateau)):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError
    return float(value)


def _require_choice(key: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ExpressionError(f"Gate: {key} must be one of {', '.join(choices)}, got {value!r}.")


def _over_episodes(
    values: Array, marks: tuple[np.ndarray, np.ndarray, np.ndarray], aggregate: int, carried: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    totals, closed = np.empty(marks[0].shape), np.empty(marks[0].shape, dtype=bool)
    episode_totals(as_plain(values), *marks, aggregate, carried, totals, closed)
    return totals, closed


def _at_last_steps(
    bar: float | Array, marks: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> float | np.ndarray:
    """A threshold that is a schedule, at every step of an episode as it was at the last."""
    return (
        bar if isinstance(bar, float) else _over_episodes(bar, marks, LAST, np.full(bar.shape[1], np.nan))[0]
    )
