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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal, TypeAlias

import numpy as np
from annotated_types import MinLen
from typing_extensions import override

from shapegym.shaping.algebra import Scale, Sum, TaskReward, bounded, lift
from shapegym.shaping.arrays import as_plain, like
from shapegym.shaping.combinators.whole_episodes import Marks, held_back, totals
from shapegym.shaping.errors import ExpressionError
from shapegym.shaping.kernels.episodes import count_passes
from shapegym.shaping.limits import Count, Extended
from shapegym.shaping.remembered import COUNTS, At, Remembers
from shapegym.shaping.terms.events import EVENT
from shapegym.shaping.terms.potential import PROGRESS
from shapegym.shaping.transitions import Array, Episodes, State
from shapegym.shaping.types import Elementwise, EpisodicCombinator, Example, Expression
from shapegym.shaping.weights.schedules import Linear, Schedule

Threshold: TypeAlias = Extended | Schedule
"""What an outcome must reach: a number, or a schedule whose value at the episode's last step counts."""

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

    With the first two an episode's sum of rewards does not depend on where rollouts were cut. Its discounted return does: what was
    held back is paid later, and so is worth less to a discounting agent. Whole episodes (replay buffers,
    ``pay_at_end``) have no fragments, and there all three are one.

    Keeps nothing: even a potential changes optimal policies behind a gate. A step is bounded if all levels are and nothing is paid
    late: per step, or with closed fragments.

    Args:
        of: the levels, the outcome first.
        thresholds: one for each level but the last; schedules anneal them. In a replay buffer a schedule has its value of now.
        strict: pass on ``>`` instead of ``>=``.
        outcome: how a level's values make its outcome: "sum", "max" or "last".
        per: see above.
        turn: ends a turn where > 0, such as ``Event("features.submitted")``; for ``per="turn"`` only.
        fragments: see above.
        warn_after: so many episodes (or turns) without one that passes raise a warning with advice.
    """

    of: Annotated[tuple[Expression, ...], MinLen(2)]
    thresholds: tuple[Threshold, ...]
    strict: bool = False
    outcome: Literal["sum", "max", "last"] = "sum"
    per: Literal["episode", "turn", "step"] = "episode"
    turn: Elementwise | None = None
    fragments: Literal["held", "closed", "bootstrapped"] = "held"
    warn_after: Count = 1000

    episodic = property(lambda self: self.per != "step")
    additive = property(lambda self: self.per == "episode" and self.outcome == "sum")
    waits_for_end = property(lambda self: self.per == "episode" and self.fragments != "closed")
    remembers: ClassVar[Remembers] = {"run/tallies": (At((slice(None), slice(2)), COUNTS),)}
    discount = property(lambda self: None if self.fragments == "closed" else 1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.thresholds) != len(self.of) - 1:
            raise ExpressionError(
                f"Gate has {len(self.of)} levels and {len(self.thresholds)} thresholds: every level but the last needs one."
            )
        if (self.per == "turn") != (self.turn is not None):
            raise ExpressionError(
                f"Gate: per='turn' and an expression turn that is > 0 at the last step of a turn belong together; got "
                f"per={self.per!r}, turn={self.turn!r}."
            )
        if self.per == "step" and self.fragments != "held":
            raise ExpressionError(
                f"Gate: a step is never cut, so fragments={self.fragments!r} says nothing with per='step'."
            )

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        task = TaskReward()
        return (
            Example(cls((task, PROGRESS), (0.5,))),
            Example(cls((task, EVENT, PROGRESS), (0.0, 0.5), strict=True, outcome="last")),
            Example(cls((task, PROGRESS), (Linear(-1.0, 1.0, 40),), fragments="bootstrapped")),
            Example(cls((task, EVENT), (0.0,), per="turn", turn=EVENT, fragments="closed")),
            Example(cls((task, PROGRESS), (0.5,), per="step")),
        )

    @override
    def pays_task(self, times: Sequence[int]) -> int:
        return sum(times[: len(self.of)])

    @override
    def compose_bound(self, bounds: Sequence[float | None]) -> float | None:
        at_once = self.per == "step" or self.fragments == "closed"
        return bounded(sum, bounds[: len(self.of)]) if at_once else None

    @override
    def leave_one_out(self) -> Iterator[tuple[Expression, Expression | None]]:
        """Of the lower levels: a level goes with its threshold, the last one with that which opens it."""
        for place, level in enumerate(self.of[1:], start=1):
            for part, rest in level.leave_one_out():
                yield part, self._with_level(place, rest)

    @override
    def map_addends(self, each: Callable[[Expression], Expression | None]) -> Expression | None:
        """The first level stays the outcome, whatever is paid of it; levels that open others cannot be told apart from that."""
        first, *between, _ = self.of
        left, *lower = map(each, self.of)
        if not any(lower):
            return left
        if lower[:-1] != between:
            return super().map_addends(each)
        paid = self._with_level(len(self.of) - 1, lower[-1])
        if left == first:
            return paid
        return Sum((paid, *filter(None, [left]), Scale(first, -1.0)))

    def _with_level(self, place: int, level: Expression | None) -> Expression:
        if level is not None:
            return replace(self, of=(*self.of[:place], level, *self.of[place + 1 :]))
        if len(self.of) == 2:
            return self.of[0]
        dropped = min(place, len(self.thresholds) - 1)
        return replace(
            self,
            of=(*self.of[:place], *self.of[place + 1 :]),
            thresholds=(*self.thresholds[:dropped], *self.thresholds[dropped + 1 :]),
        )

    @override
    def carry(self, num_lanes: int) -> State:
        """Return the outcomes so far, the sums held back and advanced, (levels - 1, B) each, and the tallies of each gate."""
        shape = (len(self.thresholds), num_lanes)
        return {
            "outcomes": np.full(shape, np.nan),
            "held": np.zeros(shape),
            "advanced": np.zeros(shape),
            "run": {"tallies": np.zeros((len(self.thresholds), 3))},
        }

    @override
    def combine(self, values: Sequence[Array]) -> Array:
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

    @override
    def combine_block(self, values: Sequence[Array], episodes: Episodes, carry: State) -> Array:
        levels, bars, turn = self._sort_out(values)
        last = episodes.last if turn is None else episodes.last | (as_plain(turn) > 0)
        marks = (episodes.first, last, episodes.active)
        reward = levels[0]
        passes = np.ones(last.shape, dtype=bool)
        decided = np.ones(last.shape, dtype=bool)
        for level, (bar, lower) in enumerate(zip(bars, levels[1:], strict=True)):
            carried = carry["outcomes"][level]
            outcomes, closed = totals(levels[level], marks, carried, self.outcome)
            if not (isinstance(bar, float) and bar == -math.inf):  # which passes whatever is still to come
                passes = passes & self._reaches(outcomes, _at_last_steps(bar, marks))
                decided = decided if self.fragments == "closed" else decided & closed
            tally = carry["run"]["tallies"][level]
            count_passes(last, episodes.active, passes, _WINDOW, tally)
            paid = (passes & decided).astype(np.float64)
            late = held_back(lower, marks, decided, passes, carry["held"][level])
            if self.fragments == "bootstrapped":
                share = float(tally[2])
                late -= held_back(share * as_plain(lower), marks, decided, None, carry["advanced"][level])
                paid = np.where(decided, paid, share)
            reward = reward + lower * like(paid, lower) + like(late, lower)
        return reward

    @override
    def warning(self, carry: State) -> str | None:
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
        bars = [next(others) if isinstance(bar, Schedule) else float(bar) for bar in self.thresholds]
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
    """Return ``outcome + 1[sum of outcome over the episode passes threshold] * dense``; the other arguments are `Gate`'s.

    The outcome is the task reward by default. A threshold of -inf is direct accumulation.
    """
    levels = (TaskReward() if outcome is None else lift(outcome), lift(dense))
    return Gate(levels, (threshold,), strict, per=per, turn=turn, fragments=fragments)


def _at_last_steps(bar: float | Array, marks: Marks) -> float | np.ndarray:
    """A threshold that is a schedule, at every step of an episode as it was at the last."""
    return bar if isinstance(bar, float) else totals(bar, marks, np.full(bar.shape[1], np.nan), "last")[0]
