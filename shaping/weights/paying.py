"""Which of the two is paid, the task or the bonus: everything of an expression beside the task reward. And until when.

| pay | what is left of ``TaskReward() + bonus`` |
|---|---|
| "both" | ``TaskReward() + bonus`` |
| "task" | ``TaskReward()`` |
| "bonus" | ``bonus`` |
| "anneal:N" | ``TaskReward() + bonus * Linear(1, 0, N)``: the bonus fades in a line, to nothing from global step N on |
| "until:N" | ``TaskReward() + bonus * Piecewise(((0, 1), (N, 0)))``: the bonus stops at global step N |

The result is an expression like any other. Where the two are not the addends of a sum, nodes say what theirs are
(`Expression.map_addends`): multiples, products with weights, what is redistributed, the levels of a gate. A potential fades
inside `DynamicPotential`, which keeps its promise.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeAlias

from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.errors import ExpressionError
from shapegym.shaping.terms.potential import Potential
from shapegym.shaping.types import Combinator, Expression, times_task_is_paid
from shapegym.shaping.weights.dynamic_potential import DynamicPotential
from shapegym.shaping.weights.schedules import Linear, Piecewise, Schedule, anneal

Rewrite: TypeAlias = Callable[[Expression], Expression | None]
"""What is made of a part of an expression; None leaves it out."""

_TIMED = re.compile(r"(anneal|until):0*([1-9][0-9]{0,15})")


def paying(expression: Expression, pay: str) -> Expression:
    """Return what ``expression`` becomes where only the task is paid, only the bonus, or the bonus only for a time.

        paying(TaskReward() + CountBonus("obs"), "anneal:100000")

    Args:
        expression: any reward. In one that does not pay the task all is bonus, and "task" makes `TaskReward` of it.
        pay: see the module's table.

    Raises:
        ExpressionError: if ``pay`` is none of these, there is no bonus, or task and bonus cannot be told apart.
    """
    weigh = _of_the_bonus(pay)
    if pay == "both":
        return expression
    if pay != "task" and not has_bonus(expression):
        raise ExpressionError(
            f"pay: {pay!r} needs a bonus, and {expression} pays nothing beside the task reward. Add one: TaskReward() + bonus."
        )
    left = rewrite(expression, _nothing if pay == "bonus" else _itself, weigh)
    lacks_task = left is None or (pay == "task" and times_task_is_paid(left) == 0)
    return TaskReward() if lacks_task else left  # type: ignore[return-value]


def require_pay(pay: Any) -> None:
    """Raise `ExpressionError` if ``pay`` is nothing that `paying` takes; lists what is."""
    _of_the_bonus(pay)


def has_bonus(expression: Expression) -> bool:
    """Whether anything beside the task reward is paid.

    Raises:
        ExpressionError: if the two cannot be told apart.
    """
    found = []

    def note(bonus: Expression) -> Expression:
        found.append(bonus)
        return bonus

    rewrite(expression, _itself, note)
    return bool(found)


def rewrite(expression: Expression, task: Rewrite, bonus: Rewrite) -> Expression | None:
    """Return the expression with ``task`` applied to what pays the task and ``bonus`` to the rest, or None where nothing is left.

    Raises:
        ExpressionError: if the two cannot be told apart.
    """
    if not expression.paid:
        return expression
    if _is_of_the_task(expression):
        return task(expression)
    if times_task_is_paid(expression) == 0:
        return bonus(expression)
    return expression.map_addends(lambda addend: rewrite(addend, task, bonus))


def _is_of_the_task(expression: Expression) -> bool:
    """Whether nothing but the task reward enters the value, with statistics of it."""
    if isinstance(expression, Combinator):
        return all(map(_is_of_the_task, expression.children))
    read = expression.children if expression.weighs else ()
    return expression.pays_task(()) > 0 or (bool(read) and all(map(_is_of_the_task, read)))


def _of_the_bonus(pay: Any) -> Rewrite:
    """What becomes of the bonus."""
    timed = _TIMED.fullmatch(pay) if isinstance(pay, str) else None
    if timed:
        step = int(timed[2])
        schedule = Linear(1.0, 0.0, step) if timed[1] == "anneal" else Piecewise(((0, 1.0), (step, 0.0)))
        return lambda bonus: _weighed(bonus, schedule)
    if pay not in ("both", "task", "bonus"):
        raise ExpressionError(
            f"pay must be both, task, bonus, anneal:STEPS or until:STEPS, such as anneal:100000 (STEPS from 1 on), got {pay!r}."
        )
    return _nothing if pay == "task" else _itself


def _weighed(bonus: Expression, schedule: Schedule) -> Expression:
    """The bonus times the schedule, inside of potentials and of what only adds up or waits for episodes to end."""
    if isinstance(bonus, Potential):
        return DynamicPotential(bonus.phi, schedule, bonus.gamma, name=bonus.name)
    if not bonus.paid:
        return bonus
    if isinstance(bonus, Combinator) and (bonus.linear or bonus.episodic):
        with suppress(ExpressionError):
            weighed = bonus.map_addends(lambda addend: _weighed(addend, schedule))
            return bonus if weighed is None else weighed
    return anneal(bonus, schedule)


def _itself(expression: Expression) -> Expression:
    return expression


def _nothing(expression: Expression) -> None:
    del expression
