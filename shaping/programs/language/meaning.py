"""What a typed tree means, in plain Python: nested closures.

Slow, and simple enough to be believed: branches are Python's, vectors are tuples, and numbers are computed by
`shapegym.shaping.programs.language.ieee`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from shapegym.shaping.programs.language import ieee
from shapegym.shaping.programs.language.tree import (
    Assign,
    Binary,
    Both,
    Branch,
    Build,
    Call,
    Choice,
    Compare,
    Constant,
    Convert,
    Either,
    Expr,
    Item,
    Local,
    Negative,
    Not,
    Read,
    Remember,
    Return,
    Slot,
    Statement,
)

Value: TypeAlias = Any
"""A float, a bool, or a tuple of floats."""


@dataclass
class Frame:
    """What a program sees while it runs: features by side and name, locals, memory, and what it has returned."""

    sides: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)
    names: dict[str, Value] = field(default_factory=dict)
    total: float = 0.0
    parts: dict[str, float] = field(default_factory=dict)


Evaluate: TypeAlias = Callable[[Frame], Value]
Execute: TypeAlias = Callable[[Frame], bool]
"""Does something, and says whether the program has returned."""


def evaluator(expr: Expr) -> Evaluate:
    """Return what evaluates an expression."""
    match expr:
        case Constant(value=value):
            return lambda frame: value
        case Read(side=side, name=name):
            return lambda frame: frame.sides[side][name]
        case Local(name=name):
            return lambda frame: frame.names[name]
        case Slot(name=name):
            return lambda frame: frame.memory[name]
        case Item(of=of, index=index):
            vector = evaluator(of)
            return lambda frame: vector(frame)[index]
        case Build(items=items):
            entries = [evaluator(item) for item in items]
            return lambda frame: tuple([entry(frame) for entry in entries])
        case Convert(of=of, type=kind):
            inner = evaluator(of)
            return (
                (lambda frame: inner(frame) != 0.0)
                if kind.kind == "truth"
                else (lambda frame: float(inner(frame)))
            )
        case Negative(of=of):
            return _spread(lambda x: -x, [of])
        case Not(of=of):
            inner = evaluator(of)
            return lambda frame: not inner(frame)
        case Binary(operator="**", left=left, right=Constant(value=exponent)) if is_whole_power(exponent):
            return _spread(lambda x: ieee.whole_power(x, int(exponent)), [left])
        case Binary(operator=operator, left=left, right=right):
            return _spread(ieee.OPERATORS[operator], [left, right])
        case Compare():
            return _comparison(expr)
        case Both(left=left, right=right):
            one, two = evaluator(left), evaluator(right)
            return lambda frame: one(frame) and two(frame)
        case Either(left=left, right=right):
            one, two = evaluator(left), evaluator(right)
            return lambda frame: one(frame) or two(frame)
        case Choice(condition=condition, then=then, otherwise=otherwise):
            holds, one, two = map(evaluator, (condition, then, otherwise))
            return lambda frame: one(frame) if holds(frame) else two(frame)
        case Call():
            return _call(expr)
    raise TypeError(f"{expr} is no expression of a program.")


def is_whole_power(exponent: float) -> bool:
    """Whether a constant exponent means repeated multiplication."""
    return abs(exponent) <= ieee.MOST_FACTORS and float(exponent).is_integer()


def _spread(function: Callable[..., float], operands: Sequence[Expr]) -> Evaluate:
    """A function of numbers, entry by entry where an operand is a vector."""
    evaluators = [evaluator(operand) for operand in operands]
    length = max((operand.type.length for operand in operands), default=0)
    if not length:
        if len(evaluators) == 1:
            (only,) = evaluators
            return lambda frame: function(only(frame))
        if len(evaluators) == 2:
            one, two = evaluators
            return lambda frame: function(one(frame), two(frame))
        return lambda frame: function(*[each(frame) for each in evaluators])
    vectors = [operand.type.kind == "vector" for operand in operands]

    def spread(frame: Frame) -> Value:
        values = [each(frame) for each in evaluators]
        rows = [value if many else (value,) * length for value, many in zip(values, vectors, strict=True)]
        return tuple([function(*entries) for entries in zip(*rows, strict=True)])

    return spread


COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda x, y: x < y,
    "<=": lambda x, y: x <= y,
    ">": lambda x, y: x > y,
    ">=": lambda x, y: x >= y,
    "==": lambda x, y: x == y,
    "!=": lambda x, y: x != y,
}


def _comparison(expr: Compare) -> Evaluate:
    one, two, holds = evaluator(expr.left), evaluator(expr.right), COMPARISONS[expr.operator]
    if expr.left.type.kind != "vector":
        return lambda frame: holds(one(frame), two(frame))
    equal = expr.operator == "=="  # by value: Python's tuples would let one nan equal itself

    def compare(frame: Frame) -> bool:
        same = all(x == y for x, y in zip(one(frame), two(frame), strict=True))
        return same if equal else not same

    return compare


def _call(expr: Call) -> Evaluate:
    name, arguments = expr.function, expr.arguments
    if name in ieee.UNARY:
        return _spread(ieee.UNARY[name], arguments)
    if name in ieee.BINARY and (len(arguments) > 1 or expr.type.kind == "vector"):
        return _spread(ieee.BINARY[name], arguments)
    if name == "clip":
        return _spread(ieee.clip, arguments)
    one, *others = map(evaluator, arguments)
    whole = _WHOLE[name]
    return lambda frame: whole(one(frame), *[other(frame) for other in others])


def _sum(values: Sequence[float]) -> float:
    total = values[0]
    for value in values[1:]:
        total += value
    return total


def _fold(function: Callable[[float, float], float], values: Sequence[float]) -> float:
    folded = values[0]
    for value in values[1:]:
        folded = function(folded, value)
    return folded


_WHOLE: dict[str, Callable[..., float]] = {
    "sum": _sum,
    "mean": lambda values: _sum(values) / len(values),
    "min": lambda values: _fold(ieee.least, values),
    "max": lambda values: _fold(ieee.largest, values),
    "norm": lambda values: math.sqrt(_sum([x * x for x in values])),
    "distance": lambda one, two: math.sqrt(_sum([(x - y) * (x - y) for x, y in zip(one, two, strict=True)])),
    "manhattan": lambda one, two: _sum([math.fabs(x - y) for x, y in zip(one, two, strict=True)]),
    "dot": lambda one, two: _sum([x * y for x, y in zip(one, two, strict=True)]),
}
"""Functions of whole vectors: one number."""


def executor(statements: Sequence[Statement]) -> Execute:
    """Return what executes statements in order."""
    steps = [_step(statement) for statement in statements]

    def execute(frame: Frame) -> bool:
        return any(step(frame) for step in steps)  # stops at the first that returns

    return execute


def _step(statement: Statement) -> Execute:
    match statement:
        case Assign(name=name, value=value):
            return _put(lambda frame: frame.names, name, evaluator(value))
        case Remember(name=name, value=value):
            return _put(lambda frame: frame.memory, name, evaluator(value))
        case Branch(condition=condition, then=then, otherwise=otherwise):
            holds, one, two = evaluator(condition), executor(then), executor(otherwise)
            return lambda frame: one(frame) if holds(frame) else two(frame)
        case Return(total=total, parts=parts):
            return _finish(evaluator(total), {name: evaluator(part) for name, part in parts})
    raise TypeError(f"{statement} is no statement of a program.")


def _put(place: Callable[[Frame], dict[str, Value]], name: str, value: Evaluate) -> Execute:
    def put(frame: Frame) -> bool:
        place(frame)[name] = value(frame)
        return False

    return put


def _finish(total: Evaluate, parts: Mapping[str, Evaluate]) -> Execute:
    def finish(frame: Frame) -> bool:
        frame.total = total(frame)
        frame.parts = {name: part(frame) for name, part in parts.items()}
        return True

    return finish
