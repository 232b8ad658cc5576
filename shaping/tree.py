"""Questions about a whole expression: its terms, the names of its parts, its addends, its guarantee."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from shapegym.shaping.algebra import Product, Sum, TaskReward
from shapegym.shaping.combinators.elementwise import When
from shapegym.shaping.combinators.gate import Gate
from shapegym.shaping.combinators.renorm import Renorm
from shapegym.shaping.errors import ExpressionError
from shapegym.shaping.types import (
    Combinator,
    EpisodicCombinator,
    Expression,
    Guarantee,
    Term,
    require_name,
    snake_case,
)


def walk(expression: Expression) -> Iterator[Expression]:
    """Yield every node, children before their parent (with repeats where a node occurs twice)."""
    for child in expression.children:
        yield from walk(child)
    yield expression


def terms_of(expression: Expression) -> tuple[Term, ...]:
    """Return the distinct terms; a term that reads other expressions comes after theirs."""
    return tuple(dict.fromkeys(node for node in walk(expression) if isinstance(node, Term)))


def is_episodic(expression: Expression) -> bool:
    """Whether some reward of the expression is known only after later steps."""
    return any(isinstance(node, Combinator) and node.episodic for node in walk(expression))


def compares_episodes(expression: Expression) -> EpisodicCombinator | None:
    """Return a node that pays an episode by what others earned, if there is one."""
    nodes = (node for node in walk(expression) if isinstance(node, EpisodicCombinator))
    return next((node for node in nodes if not node.alone), None)


def has_task_reward(expression: Expression) -> bool:
    """Whether the task's own reward is part of the expression."""
    return any(isinstance(node, TaskReward) for node in walk(expression))


def times_task_is_paid(expression: Expression) -> int:
    """Return how often the task reward enters the sum that is paid: ``TaskReward() + gate(bonus, ...)`` pays it twice.

    Of alternatives and of factors one counts: ``choose_by(bandit, TaskReward(), other)`` pays it once, and so does a weight that
    is learned from it. A condition is read and not paid.
    """
    if isinstance(expression, (Sum, Renorm)):
        return sum(map(times_task_is_paid, expression.children))
    if isinstance(expression, Gate):
        return sum(map(times_task_is_paid, expression.of))
    if isinstance(expression, When):
        return max(times_task_is_paid(expression.then), times_task_is_paid(expression.otherwise))
    if isinstance(expression, Combinator):
        return max(map(times_task_is_paid, expression.children))
    return int(isinstance(expression, TaskReward))


def addends_of(expression: Expression) -> tuple[Expression, ...]:
    """Return the operands of the top-level sum: the contributions that add up to the shaped reward."""
    return expression.of if isinstance(expression, Sum) else (expression,)


def part_names(expressions: tuple[Expression, ...]) -> tuple[str, ...]:
    """Return a distinct name for each expression: its own, or that of the node it scales, or its class, numbered if repeated.

    Raises:
        ExpressionError: if two carry the same explicit name, or one is no identifier.
    """
    explicit = [require_name(expression.name) for expression in expressions if expression.name is not None]
    repeated = {name for name in explicit if explicit.count(name) > 1}
    if repeated:
        raise ExpressionError(
            f"Two parts are called {sorted(repeated)[0]!r}: every part needs its own name (use .named(...))."
        )
    taken = set(explicit)
    names = []
    for expression in expressions:
        name = expression.name
        if name is None:
            base = name = _default_name(expression)
            number = 2
            while name in taken:
                name = f"{base}_{number}"
                number += 1
            taken.add(name)
        names.append(name)
    return tuple(names)


def _default_name(expression: Expression) -> str:
    """A scaled, clipped or weighted part is called after what it scales; in a product the weight comes second."""
    while expression.name is None and (isinstance(expression, Product) or _is_unary(expression)):
        expression = expression.children[0]
    return expression.name or snake_case(type(expression).__name__)


def _is_unary(expression: Expression) -> bool:
    return isinstance(expression, Combinator) and len(expression.children) == 1


def guarantee_of(expression: Expression) -> Guarantee:
    """Return what the whole expression promises about optimal policies."""
    if isinstance(expression, Combinator):
        return expression.compose_guarantee([guarantee_of(child) for child in expression.children])
    return Guarantee(expression.guarantee)


@dataclass(frozen=True, slots=True)
class Loss:
    """A node that promises less than each of its operands, or a term that promises less than invariance."""

    node: Expression
    before: Guarantee
    after: Guarantee

    def __str__(self) -> str:
        what = self.node.name or type(self.node).__name__
        return f"{what} weakens {self.before.name.lower()} to {self.after.name.lower()}"


def guarantee_losses(expression: Expression) -> tuple[Loss, ...]:
    """Return every place where composition loses a guarantee, innermost first: why an expression is not invariant."""
    losses = []
    for node in dict.fromkeys(walk(expression)):
        if isinstance(node, Combinator):
            before = min(guarantee_of(child) for child in node.children)
            after = guarantee_of(node)
            if after < before:
                losses.append(Loss(node, before, after))
        elif (own := Guarantee(node.guarantee)) < Guarantee.INVARIANT:
            losses.append(Loss(node, Guarantee.INVARIANT, own))
    return tuple(losses)
