"""Redistribution: what an episode earns, paid in other places of the same episode.

| rest | paid at step t of an episode of T steps with return R |
|---|---|
| "uniform" | p_t + (R - sum p) / T |
| "end" | p_t, and R - sum p more at the last step |

p is a guess of what each step is worth (a learned term, say), and the rest makes the rewards of the episode sum to its return,
whatever the guess. Without a guess, "uniform" spreads the return evenly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
from typing_extensions import override

from shapegym.shaping.algebra import TaskReward, lift
from shapegym.shaping.arrays import as_plain, like
from shapegym.shaping.combinators.whole_episodes import totals
from shapegym.shaping.promises import Keeps
from shapegym.shaping.terms.potential import PROGRESS
from shapegym.shaping.transitions import Array, Episodes, State
from shapegym.shaping.types import Elementwise, EpisodicCombinator, Example, Expression

_TASK = TaskReward()


@dataclass(frozen=True)
class Redistribute(EpisodicCombinator):
    """The return of each episode, distributed over its steps: see the module's table.

    The rest is known when the episode ends. Where a block ends before it, the open steps are paid p_t; their share of the rest is
    paid as one sum at the episode's last step. So the sum of an episode's rewards does not depend on where rollouts were cut; a
    discounted return does, as pay comes later. A truncated episode has the return that it has reached.

    Keeps every episode's return if ``of`` does. Rewards that give every episode the same return have the same optimal policies
    where nothing is discounted (Arjona-Medina et al. 2019, "RUDDER", on return-equivalent decision processes); a discounting
    agent can prefer others, because pay moves in time. The reward of a step may depend on all of the episode, so an agent sees
    only its mean. Sources: a learned guess, RUDDER; no guess, "uniform": Gangwani et al. 2020, "Learning Guidance Rewards with
    Trajectory-space Smoothing" (IRCR); both, Ren et al. 2022, "Learning Long-Term Reward Redistribution via Randomized Return
    Decomposition" (RRD).

    Not differentiable: an episode's rest depends on all of its values.

    Args:
        of: what is redistributed; only its sum over an episode matters.
        proxy: p, what each step is guessed to be worth; None is 0.
        rest: where the difference between the return and the guesses goes: "uniform" or "end".
    """

    of: Expression = _TASK
    proxy: Elementwise | None = None
    rest: Literal["uniform", "end"] = "uniform"

    additive: ClassVar[bool] = True
    named_after = property(lambda self: self.of)

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls()),
            Example(0.5 * cls(_TASK, PROGRESS) + _TASK),
            Example(cls(_TASK, 0.25 * _TASK, "end")),
        )

    @override
    def pays_task(self, times: Sequence[int]) -> int:
        return times[0]

    @override
    def map_addends(self, each: Callable[[Expression], Expression | None]) -> Expression | None:
        """Of what is redistributed: the guess only says where it is paid."""
        left = each(self.of)
        return None if left is None else replace(self, of=left)

    @override
    def compose_keeps(self, kept: Sequence[Keeps]) -> Keeps:
        return kept[0] & Keeps.RETURN

    @override
    def leave_one_out(self) -> Iterator[tuple[Expression, Expression | None]]:
        for part, rest in self.of.leave_one_out():
            yield part, None if rest is None else replace(self, of=rest)
        for part, rest in self.proxy.leave_one_out() if self.proxy is not None else ():
            yield part, replace(self, proxy=rest)

    @override
    def carry(self, num_lanes: int) -> State:
        """Return, of each lane's open episode, the rest so far and the number of its steps."""
        return {"rest": np.full(num_lanes, np.nan), "steps": np.full(num_lanes, np.nan)}

    @override
    def combine_block(self, values: Sequence[Array], episodes: Episodes, carry: State) -> Array:
        paid = as_plain(values[1]) if self.proxy is not None else np.zeros(episodes.first.shape)
        marks = (episodes.first, episodes.last, episodes.active)
        rest, closed = totals(as_plain(values[0]) - paid, marks, carry["rest"])
        ends = (episodes.last & episodes.active).astype(np.float64)
        if self.rest == "uniform":
            ones = np.ones(paid.shape)
            steps, _ = totals(ones, marks, carry["steps"])
            here, _ = totals(ones, marks, np.full(paid.shape[1], np.nan))
            shares = (1.0 + ends * (steps - here)) / np.where(episodes.active, steps, 1.0)
        else:
            shares = ends
        return like(paid + np.where(closed & episodes.active, rest * shares, 0.0), values[0])


def redistribute(
    of: Expression | None = None,
    proxy: Expression | None = None,
    rest: Literal["uniform", "end"] = "uniform",
) -> Expression:
    """Return the episode's sum of ``of``, the task reward by default, distributed over its steps. See `Redistribute`."""
    return Redistribute(_TASK if of is None else lift(of), None if proxy is None else lift(proxy), rest)
