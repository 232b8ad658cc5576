"""Questions about a whole expression: its terms and models, the names of its parts, its addends, what it keeps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

from shapegym.shaping.errors import ExpressionError
from shapegym.shaping.promises import Guarantee, Keeps, Replay
from shapegym.shaping.types import (
    Combinator,
    EpisodicCombinator,
    Expression,
    Model,
    Node,
    Term,
    require_name,
    snake_case,
    times_task_is_paid,
    walk,
)


def readers_of(expression: Expression) -> tuple[Term | Model, ...]:
    """Return the distinct terms and models, each after those that it reads."""
    return tuple(dict.fromkeys(_readers(expression)))


def terms_of(expression: Expression) -> tuple[Term, ...]:
    """Return the distinct terms; a term that reads other expressions comes after theirs."""
    return tuple(node for node in readers_of(expression) if isinstance(node, Term))


def models_of(expression: Expression) -> tuple[Model, ...]:
    """Return the distinct models, each after those that it reads."""
    return tuple(node for node in readers_of(expression) if isinstance(node, Model))


def named_readers(expression: Expression) -> dict[Term | Model, str]:
    """Return what each term and model is called, in logs and saved states: the terms first, both in order of evaluation."""
    readers = sorted(readers_of(expression), key=lambda reader: isinstance(reader, Model))
    return dict(zip(readers, part_names(readers), strict=True))


def _readers(node: Node) -> Iterator[Term | Model]:
    if isinstance(node, (Term, Model)):
        for read in node.inputs:
            yield from _readers(read)
        yield node
    else:
        for child in node.children:
            yield from _readers(child)


def reads_learned(node: Node) -> bool:
    """Whether the value of ``node`` changes when something is fitted."""
    if isinstance(node, (Term, Model)):
        return node.learned or any(map(reads_learned, node.inputs))
    return any(map(reads_learned, node.children))


def reads_recurrent(node: Node) -> bool:
    """Whether the value of ``node`` depends on a recurrent model by more than parts that are stored."""
    if isinstance(node, Model):
        return node.recurrent or any(map(reads_recurrent, node.inputs))
    return not isinstance(node, Term) and any(map(reads_recurrent, node.children))


def replay_of(term: Term) -> Replay:
    """Return how the term's part is obtained when a stored transition is used again: what it reads may move too."""
    if any(map(reads_recurrent, term.inputs)):
        return Replay.STAMP
    moves = term.replay is Replay.RECOMPUTE and any(map(_moves, term.inputs))
    return Replay.FROZEN if moves else Replay(term.replay)


def read_again(expression: Node) -> Iterator[Term]:
    """Yield the terms that the reward of a stored transition is made of: what only a stamped term reads is kept in its part."""
    if isinstance(expression, Term):
        yield expression
        if replay_of(expression) is Replay.STAMP:
            return
    for node in expression.inputs if isinstance(expression, (Term, Model)) else expression.children:
        yield from read_again(node)


def _moves(node: Node) -> bool:
    if isinstance(node, Term):
        return replay_of(node) is Replay.FROZEN
    return isinstance(node, Model) or any(map(_moves, node.children))


def compares_episodes(expression: Expression) -> EpisodicCombinator | None:
    """Return a node that pays an episode by what others earned, if there is one."""
    nodes = (node for node in walk(expression) if isinstance(node, EpisodicCombinator))
    return next((node for node in nodes if not node.alone), None)


def has_task_reward(expression: Node) -> bool:
    """Whether the task's own reward is part of the expression: paid, or read by a term; not if it is only logged."""
    if not isinstance(expression, Expression):
        return any(map(has_task_reward, expression.children))
    return expression.paid and (
        times_task_is_paid(expression) > 0 or any(map(has_task_reward, expression.children))
    )


def paid_addends(expression: Expression) -> tuple[Expression, ...]:
    """Return the contributions that add up to the value."""
    return tuple(addend for addend in expression.addends if addend.paid)


def logged_parts(expression: Expression) -> tuple[Expression, ...]:
    """Return the nodes, anywhere in it, that are logged and not paid."""
    nodes = (node for node in walk(expression) if isinstance(node, Expression) and not node.paid)
    return tuple(dict.fromkeys(node for node in nodes if all(child.paid for child in node.children)))


def addends_of(expression: Expression) -> tuple[Expression, ...]:
    """Return what stands in the books: the contributions that add up to the value, and behind them what is only logged."""
    return (*paid_addends(expression), *logged_parts(expression))


def learns_weights(expression: Expression) -> bool:
    """Whether there are weights for an algorithm to learn."""
    return any(term.learnable for term in terms_of(expression))


def part_names(nodes: Sequence[Node]) -> tuple[str, ...]:
    """Return a distinct name for each node: its own, or that of the node it is named after, or its class, numbered if repeated.

    Raises:
        ExpressionError: if two carry the same explicit name, or one is no identifier.
    """
    explicit = [require_name(node.name) for node in nodes if node.name is not None]
    if repeated := sorted({name for name in explicit if explicit.count(name) > 1}):
        raise ExpressionError(
            f"Two parts are called {repeated[0]!r}: every part needs its own name (use .named(...))."
        )
    taken, names = set(explicit), []
    for node in nodes:
        name = node.name
        if name is None:
            base = name = _default_name(node)
            number = 2
            while name in taken:
                name = f"{base}_{number}"
                number += 1
            taken.add(name)
        names.append(name)
    return tuple(names)


def _default_name(node: Node) -> str:
    while node.name is None and isinstance(node, Expression) and node.named_after is not None:
        node = node.named_after
    return node.name or snake_case(type(node).__name__)


def keeps_of(expression: Expression) -> Keeps:
    """Return what the whole expression leaves unchanged."""
    if isinstance(expression, Combinator):
        return expression.compose_keeps([keeps_of(child) for child in expression.children])
    return expression.keeps if isinstance(expression, Term) else Keeps.NOTHING


def largest(expression: Expression) -> float | None:
    """Return the largest absolute value that the expression can have, or None if there is no limit."""
    if isinstance(expression, Combinator):
        return expression.compose_bound([largest(child) for child in expression.children])
    return expression.bound if isinstance(expression, Term) else None


def guarantee_of(expression: Expression) -> Guarantee:
    """Return what the whole expression promises: what it keeps, and how much a step adds at most beside what keeps policies."""
    return Guarantee(keeps_of(expression), _added(expression))


def _added(expression: Expression) -> float | None:
    if Keeps.POLICIES in keeps_of(expression):
        return 0.0
    if isinstance(expression, Combinator) and expression.linear:
        if all(Keeps.POLICIES in keeps_of(child) for child in expression.children):
            return None  # the task itself, scaled by zero or less
        return expression.compose_bound([_added(child) for child in expression.children])
    return largest(expression)


@dataclass(frozen=True, slots=True)
class Loss:
    """A node that promises less than each of its operands, or a term that does not keep optimal policies."""

    node: Expression
    before: Guarantee
    after: Guarantee

    @property
    def lost(self) -> Keeps:
        """What it does not keep although its operands do."""
        return self.before.keeps & ~self.after.keeps

    def __str__(self) -> str:
        what = self.node.name or type(self.node).__name__
        if not self.lost:
            return f"{what} has no bound, though its operands have"
        return f"{what} does not keep {self.lost}" + (
            "" if self.after.bound is None else f", a step adds at most {self.after.bound:g}"
        )


def _valued(expression: Expression) -> Iterator[Expression]:
    """The nodes whose values make that of the expression, children first; not what a term only reads."""
    for child in expression.children if isinstance(expression, Combinator) else ():
        yield from _valued(child)
    yield expression


def guarantee_losses(expression: Expression) -> tuple[Loss, ...]:
    """Return every place where a promise is lost, innermost first: why an expression does not keep optimal policies."""
    losses = []
    for node in dict.fromkeys(_valued(expression)):
        after = guarantee_of(node)
        if isinstance(node, Combinator):
            operands = [guarantee_of(child) for child in node.children]
            kept = reduce(lambda left, right: left & right, (operand.keeps for operand in operands))
            bounds = [largest(child) for child in node.children]
            before = Guarantee(kept, None if None in bounds else max(bounds))  # type: ignore[type-var]
        else:
            before = Guarantee(Keeps.POLICIES, after.bound)
        if before.keeps & ~after.keeps or (before.bound is not None and after.bound is None):
            losses.append(Loss(node, before, after))
    return tuple(losses)
