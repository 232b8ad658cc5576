"""How often the task reward is paid."""

from __future__ import annotations

import pytest

from shapegym.shaping.bandit import UCB1, choose_by
from shapegym.shaping.blend import blend
from shapegym.shaping.compose import Constant, TaskReward, when
from shapegym.shaping.gate import gate
from shapegym.shaping.groups import group_relative
from shapegym.shaping.multipliers import constrained
from shapegym.shaping.normalize import normalize
from shapegym.shaping.potential import Potential
from shapegym.shaping.renorm import renorm
from shapegym.shaping.schedules import Linear, anneal
from shapegym.shaping.tree import times_task_is_paid
from shapegym.shaping.trust import trusted

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
        (2, TASK + anneal(TASK, Linear())),
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
