"""How often the task reward is paid."""

from __future__ import annotations

import pytest

from shapegym.shaping.algebra import Constant, TaskReward
from shapegym.shaping.combinators.elementwise import when
from shapegym.shaping.combinators.gate import gate
from shapegym.shaping.combinators.groups import group_relative
from shapegym.shaping.combinators.renorm import renorm
from shapegym.shaping.terms.potential import Potential
from shapegym.shaping.types import times_task_is_paid
from shapegym.shaping.weights.bandit import UCB1, choose_by
from shapegym.shaping.weights.blend import blend
from shapegym.shaping.weights.multipliers import constrained
from shapegym.shaping.weights.normalize import normalize
from shapegym.shaping.weights.schedules import Linear, anneal
from shapegym.shaping.weights.trust import trusted

TASK = TaskReward()
PART = Potential("obs[0]", gamma=0.99)


@pytest.mark.parametrize(
    ("times", "expression"),
    [
        (0, PART),
        (1, TASK + PART + Constant(1.0)),
        (2, TASK + 0.5 * TASK),
        (1, normalize(TASK, center=True) + PART),
        (2, TASK + gate(PART, threshold=1.0)),
        (1, TASK + gate(PART, PART, threshold=1.0)),
        (2, gate(TASK + PART, threshold=1.0)),
        (1, renorm(PART)),
        (2, TASK + renorm(PART)),
        (2, renorm(TASK)),
        (1, TASK + renorm(PART, PART)),
        (1, constrained(TASK, {PART: 1.0})),
        (2, TASK + constrained(TASK, {PART: 1.0})),
        (1, blend(TASK, PART)),
        (2, TASK + blend(TASK, PART)),
        (2, TASK + anneal(TASK, Linear(1, 0, 100_000))),
        (2, TASK + group_relative(TASK)),
        (1, TASK + trusted(PART)),
        (1, TASK + when(TASK, PART)),
        (2, TASK + when(PART, TASK)),
        (1, choose_by(UCB1(2), TASK, TASK + PART)),
        (2, TASK + choose_by(UCB1(2), TASK, PART)),
    ],
    ids=str,
)
def test_the_task_is_counted_for_each_time_that_it_is_paid(times, expression):
    assert times_task_is_paid(expression) == times
