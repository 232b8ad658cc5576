"""Bandits that pick among reward expressions while the agent trains: the arm whose periods earn the most task reward is used more.

    choose_by(UCB1(arms=3, high=1.0), TaskReward(), TaskReward() + bonus, TaskReward() + progress)

An arm is held for a *period* of global steps, and longer if no episode ends in it; its score is the mean task return (or success
rate) of the episodes that ended in the period, brought to [0, 1]. The agent that is scored learns meanwhile, so scores drift: the
bound of UCB1 is for scores that do not; that of EXP3 is for any, but what an arm would have earned had it been used all along is
another question.
"""

from __future__ import annotations

import zlib
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge, Gt, Le, Lt
from typing_extensions import override

from shapegym.shaping.algebra import TaskReward, bounded, lift
from shapegym.shaping.arrays import array_namespace
from shapegym.shaping.errors import ExpressionError
from shapegym.shaping.kernels.moments import accumulate_returns
from shapegym.shaping.limits import Count, NonNegative
from shapegym.shaping.promises import Replay
from shapegym.shaping.remembered import COUNTS, SAME
from shapegym.shaping.terms.events import EVENT
from shapegym.shaping.terms.potential import PROGRESS
from shapegym.shaping.transitions import Array, Spec, State, Transitions
from shapegym.shaping.types import Combinator, Example, Expression, Operands, Term
from shapegym.shaping.weights.schedules import Metric
from shapegym.shaping.written import in_full


@dataclass(frozen=True)
class Bandit(Term):
    """Measures the arm that is in use, 0 to arms - 1, the same for all lanes. Your own overrides `pick` and `credit`.

    Replay: frozen, so a stored transition is paid by the arm of now.

    Args:
        arms: how many there are.
        period: global steps for which an arm is held.
        metric: what scores an arm: "task_return" (undiscounted) or "success" (the feature of that name at the last step).
        low: the score that counts as 0.
        high: the score that counts as 1; scores outside are limited to [0, 1].
    """

    abstract: ClassVar[bool] = True
    in_words: ClassVar[str] = "a bandit such as UCB1(arms=2)"
    replay: ClassVar[Replay] = Replay.FROZEN

    arms: Annotated[int, Ge(2)] = 2
    period: Count = 10_000
    metric: Metric = "task_return"
    low: float = 0.0
    high: float = 1.0

    bound = property(lambda self: float(self.arms - 1))
    remembers = property(
        lambda self: {
            **dict.fromkeys(("pulls", "until", "episodes"), COUNTS),
            "arm": (Ge(0), Lt(self.arms)),
            "seed": (SAME,),
        }
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.low < self.high:
            raise ExpressionError(
                f"{type(self).__name__}: needs low < high, the scores that count as 0 and 1, got {self.low!r} and {self.high!r}."
            )

    @abstractmethod
    def pick(self, state: State) -> int:
        """Return the arm of the next period from ``state``, which holds ``pulls`` and ``gains``, (arms,) each, and ``seed``.

        ``pulls`` counts an arm's periods, ``gains`` is what `credit` makes of their scores.
        """

    @abstractmethod
    def credit(self, state: State, arm: int, score: float) -> None:
        """Take in the score in [0, 1] of a period of ``arm``."""

    @override
    def init(self, spec: Spec) -> State:
        state: State = {
            "pulls": np.zeros(self.arms),
            "gains": np.zeros(self.arms),
            "seed": int(spec.seed),
            "until": int(self.period),
            "total": 0.0,
            "episodes": 0,
            "returns": np.zeros(spec.num_lanes),
        }
        state["arm"] = self.pick(state)
        return state

    @override
    def observe(self, transitions: Transitions, state: State, *inputs: Any) -> None:
        active = transitions.active
        if not active.any():
            return
        if transitions.clock >= state["until"] and state["episodes"]:
            mean = state["total"] / state["episodes"]
            score = min(max((mean - self.low) / (self.high - self.low), 0.0), 1.0)
            self.credit(state, state["arm"], score)
            state["pulls"][state["arm"]] += 1.0
            state["arm"] = self.pick(state)
            state["until"] = int(transitions.clock) + self.period
            state["total"], state["episodes"] = 0.0, 0
        accumulate_returns(transitions.reward, transitions.first, active, 1.0, state["returns"])
        ended = (transitions.terminated | transitions.truncated) & active
        if ended.any():
            by_success = self.metric == "success"
            scores = transitions.next_features["success"] if by_success else state["returns"]
            state["total"] += float(np.asarray(scores, dtype=np.float64)[ended].sum())
            state["episodes"] += int(np.count_nonzero(ended))

    @override
    def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        return np.full(transitions.num_lanes, float(state["arm"]))


@dataclass(frozen=True)
class UCB1(Bandit):
    """The arm with the highest ``mean_i + c * sqrt(ln n / n_i)`` after n periods, n_i of them of arm i; untried arms first.

    With c = sqrt(2) the expected regret on independent rewards in [0, 1] is at most 8 sum_{i: D_i > 0} (ln n) / D_i +
    (1 + pi^2 / 3) sum_i D_i, D_i the gap of arm i to the best. Source: Auer, Cesa-Bianchi & Fischer 2002, theorem 1.

    Args:
        exploration: c.
    """

    exploration: NonNegative = 2.0**0.5

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(2, period=5, low=-2.0, high=3.0)),)

    @override
    def pick(self, state: State) -> int:
        pulls, gains = state["pulls"], state["gains"]
        if not pulls.all():
            return int(np.argmin(pulls > 0.0))
        return int(np.argmax(gains / pulls + self.exploration * np.sqrt(np.log(pulls.sum()) / pulls)))

    @override
    def credit(self, state: State, arm: int, score: float) -> None:
        state["gains"][arm] += score


@dataclass(frozen=True)
class EXP3(Bandit):
    """Arm i with probability ``p_i = (1 - g) w_i / sum_j w_j + g / K``; then ``w_i *= exp(g * score / (p_i K))`` of the one in use.

    Whatever the scores do, the expected regret to the best single arm over n periods is at most (e - 1) g G + K ln K / g, with G
    the best arm's total score; so with g = min(1, sqrt(K ln K / ((e - 1) n))) at most 2 sqrt(e - 1) sqrt(n K ln K).
    Source: Auer, Cesa-Bianchi, Freund & Schapire 2002, theorem 3.1.

    Args:
        mixing: g, the share of periods that are spread over all arms, and the rate of learning.
    """

    mixing: Annotated[float, Gt(0), Le(1)] = 0.2

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(2, period=4, low=-2.0, high=3.0)),
            Example(cls(3, period=9, metric="success", mixing=0.5)),
        )

    def probabilities(self, gains: np.ndarray) -> np.ndarray:
        """Return p, (arms,), from the logarithms of the weights."""
        weights = np.exp(gains - gains.max())
        return (1.0 - self.mixing) * weights / weights.sum() + self.mixing / self.arms

    @override
    def pick(self, state: State) -> int:
        own = zlib.crc32(in_full(self).encode())  # two bandits of one reward draw apart
        draw = np.random.default_rng([state["seed"], own, int(state["pulls"].sum())]).random()
        shares = np.cumsum(self.probabilities(state["gains"]))
        return min(int(np.searchsorted(shares, draw, side="right")), self.arms - 1)

    @override
    def credit(self, state: State, arm: int, score: float) -> None:
        state["gains"][arm] += self.mixing * score / (self.probabilities(state["gains"])[arm] * self.arms)


@dataclass(frozen=True)
class Choose(Combinator):
    """The value of expression number ``bandit``: ``of[bandit]``. Bounded if all expressions are.

    Rewards that change while they are paid are no one potential's, so optimal policies are not kept.

    Args:
        bandit: what picks; its arms are the expressions.
        of: the expressions, one for each arm.
    """

    bandit: Bandit
    of: Operands

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.of) != self.bandit.arms:
            raise ExpressionError(
                f"Choose has {len(self.of)} expressions, and its bandit {self.bandit.arms} arms: give one expression for each arm."
            )

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        task = TaskReward()
        return (Example(cls(UCB1(3, period=6, low=-2.0, high=3.0), (task, task + PROGRESS, task + EVENT))),)

    @override
    def combine(self, values: Sequence[Array]) -> Array:
        arm, *options = values
        xp = array_namespace(options[0])
        chosen = options[0]
        for number, value in enumerate(options[1:], start=1):
            chosen = xp.where(arm == number, value, chosen)
        return chosen

    @override
    def pays_task(self, times: Sequence[int]) -> int:
        return max(times[1:])

    @override
    def compose_bound(self, bounds: Sequence[float | None]) -> float | None:
        return bounded(max, bounds[1:])


def choose_by(bandit: Bandit, *of: Expression | float) -> Expression:
    """Pay whichever of the expressions ``bandit`` holds. See `Choose`."""
    return Choose(bandit, tuple(map(lift, of)))
