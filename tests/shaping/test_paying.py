"""Task only, bonus only, both, for a time: what an expression becomes, and what cannot be taken apart."""

from __future__ import annotations

import numpy as np
import pytest

from shapegym.shaping.algebra import Constant, TaskReward, clip
from shapegym.shaping.combinators.elementwise import when
from shapegym.shaping.combinators.gate import Gate, gate
from shapegym.shaping.combinators.logged import Logged
from shapegym.shaping.combinators.redistribute import redistribute
from shapegym.shaping.combinators.renorm import renorm
from shapegym.shaping.errors import ExpressionError
from shapegym.shaping.files.reward_files import from_data, to_data
from shapegym.shaping.promises import Keeps
from shapegym.shaping.terms.counts import CountBonus
from shapegym.shaping.terms.potential import Potential
from shapegym.shaping.testing import check_expression
from shapegym.shaping.tree import keeps_of, part_names
from shapegym.shaping.types import NODES, Expression, times_task_is_paid
from shapegym.shaping.weights.bandit import UCB1, choose_by
from shapegym.shaping.weights.blend import blend
from shapegym.shaping.weights.dynamic_potential import DynamicPotential
from shapegym.shaping.weights.multipliers import Multiplier, constrained
from shapegym.shaping.weights.normalize import normalize
from shapegym.shaping.weights.paying import has_bonus, paying, require_pay
from shapegym.shaping.weights.schedules import Linear, Piecewise, anneal

TASK, BONUS = TaskReward(), CountBonus("obs")
PHI = Potential("features.progress", gamma=0.9)
FADES, STOPS = Linear(1.0, 0.0, 10), Piecewise(((0, 1.0), (10, 0.0)))
WEIGHT = Multiplier(BONUS, 1.0)


@pytest.mark.parametrize(
    ("expression", "task", "bonus", "faded"),
    [
        (TASK + BONUS, TASK, BONUS, TASK + BONUS * FADES),
        (BONUS, TASK, BONUS, BONUS * FADES),
        (TASK + 0.2 * PHI, TASK, 0.2 * PHI, TASK + 0.2 * DynamicPotential(PHI.phi, FADES, 0.9)),
        (
            0.5 * (TASK + BONUS) + Constant(-0.1),
            0.5 * TASK,
            0.5 * BONUS + Constant(-0.1),
            0.5 * (TASK + BONUS * FADES) + Constant(-0.1) * FADES,
        ),
        (
            normalize(TASK, center=True) + normalize(BONUS),
            normalize(TASK, center=True),
            normalize(BONUS),
            normalize(TASK, center=True) + anneal(normalize(BONUS), FADES),
        ),
        (
            anneal(TASK, STOPS) + BONUS * BONUS,
            anneal(TASK, STOPS),
            BONUS * BONUS,
            anneal(TASK, STOPS) + anneal(BONUS * BONUS, FADES),
        ),
        (
            clip(TASK) + Logged(BONUS) + BONUS,
            clip(TASK) + Logged(BONUS),
            Logged(BONUS) + BONUS,
            clip(TASK) + Logged(BONUS) + BONUS * FADES,
        ),
        (Logged(TASK) + BONUS, TASK, Logged(TASK) + BONUS, Logged(TASK) + BONUS * FADES),
        (
            gate(BONUS, threshold=0.5),
            TASK,
            gate(BONUS, threshold=0.5) - TASK,
            gate(BONUS * FADES, threshold=0.5),
        ),
        (
            redistribute(TASK + BONUS, proxy=PHI),
            redistribute(TASK, proxy=PHI),
            redistribute(BONUS, proxy=PHI),
            redistribute(TASK + BONUS * FADES, proxy=PHI),
        ),
        (
            (TASK + BONUS) * WEIGHT,
            TASK * WEIGHT,
            BONUS * WEIGHT,
            (TASK + BONUS * FADES) * WEIGHT,
        ),
        (renorm(BONUS, BONUS), TASK, renorm(BONUS, BONUS), renorm(BONUS, BONUS) * FADES),
    ],
)
def test_what_is_left(expression, task, bonus, faded):
    assert paying(expression, "both") is expression
    assert paying(expression, "task") == task
    assert paying(expression, "bonus") == bonus
    assert paying(expression, "anneal:10") == faded
    assert str(paying(expression, "until:10")) == str(faded).replace(str(FADES), str(STOPS))
    for pay in ("task", "bonus"):
        once = paying(expression, pay)
        assert paying(once, pay) == once
        assert from_data(to_data(once)) == once
    assert times_task_is_paid(paying(expression, "bonus")) == 0
    assert has_bonus(expression)


def test_names_stay():
    fading = paying(TASK.named("goal") + BONUS.named("novelty") + 0.1 * PHI.named("near"), "anneal:10")
    assert part_names(fading.addends) == ("goal", "novelty", "near")


def test_a_potential_that_fades_keeps_its_promise():
    assert Keeps.POLICIES in keeps_of(paying(TASK + 0.2 * PHI, "until:100"))


@pytest.mark.parametrize("pay", ["bonus", "anneal:10", "until:10"])
@pytest.mark.parametrize(
    "expression", [TASK, 2.0 * TASK, normalize(TASK), TASK + Logged(BONUS) + Logged(PHI)]
)
def test_without_a_bonus_there_is_nothing_to_switch(expression, pay):
    assert paying(expression, "task") == expression
    assert not has_bonus(expression)
    with pytest.raises(ExpressionError, match="needs a bonus"):
        paying(expression, pay)


@pytest.mark.parametrize("pay", ["task", "bonus", "anneal:10", "until:10"])
@pytest.mark.parametrize(
    "expression",
    [
        TASK * BONUS,
        TASK + TASK * BONUS,
        clip(TASK + BONUS),
        when(BONUS, TASK, BONUS),
        renorm(BONUS),
        choose_by(UCB1(2), TASK, TASK + BONUS),
        TASK + 0.5 * clip(TASK + BONUS),
    ],
)
def test_what_cannot_be_taken_apart_is_named(expression, pay):
    with pytest.raises(
        ExpressionError, match=r"(Product|Clip|When|Renorm|Choose) is no sum of what its operands pay"
    ):
        paying(expression, pay)


def test_levels_of_a_gate_that_open_others_stay_as_they_are():
    levels = Gate((TASK, BONUS, PHI), (0.0, 1.0))
    assert paying(levels, "task") == TASK
    assert paying(levels, "bonus") == levels - TASK
    with pytest.raises(ExpressionError, match="Gate is no sum"):
        paying(levels, "anneal:10")


def test_blends_and_constraints_are_sums():
    blended = blend(TASK, BONUS)
    assert times_task_is_paid(paying(blended, "task")) == 1
    assert times_task_is_paid(paying(blended, "bonus")) == 0
    held = constrained(TASK, {BONUS: 1.0})
    assert paying(held, "task") + paying(held, "bonus") == held


@pytest.mark.parametrize(
    "pay",
    [
        "nonsense",
        "",
        "Bonus",
        "bonus ",
        "anneal",
        "anneal:",
        "anneal:0",
        "anneal:-5",
        "until:1e5",
        "until:1.5",
        "until:nan",
        "anneal:1_000",
        "until:" + "9" * 5000,
        "anneal:٣",
        None,
        True,
        100_000,
        ["bonus"],
        {"anneal": 10},
        np.nan,
    ],
)
def test_nonsense_is_refused_with_what_there_is(pay):
    with pytest.raises(ExpressionError, match="both, task, bonus, anneal:STEPS or until:STEPS"):
        paying(TASK + BONUS, pay)
    with pytest.raises(ExpressionError, match="pay must be"):
        require_pay(pay)


def test_what_is_left_means_the_same_on_every_surface():
    for pay in ("bonus", "anneal:30", "until:30"):
        check_expression(paying(gate(CountBonus("features.progress"), threshold=0.5), pay))
    check_expression(paying(TASK + 0.5 * PHI, "until:30"))


def test_every_example_of_every_node_is_taken_apart_or_refused_by_name():
    refused, taken = [], 0
    for node in NODES.values():
        for example in (each.node for each in node.examples() if isinstance(each.node, Expression)):
            try:
                task, bonus = paying(example, "task"), paying(example, "bonus")
            except ExpressionError as error:
                refused.append(str(error))
                continue
            taken += 1
            assert times_task_is_paid(task) == 1
            assert times_task_is_paid(bonus) == 0
    assert all("is no sum" in message or "needs a bonus" in message for message in refused)
    assert taken > 30
