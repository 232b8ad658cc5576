"""A program on many transitions at once, with NumPy, and which of its conditions ever held.

Critics look at a program once and at thousands of transitions, for which compiling a kernel would take longer than all of the
looking.
Values are those of the kernel to rounding (NumPy has exponentials and sines of its own).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shapegym.shaping.programs.language.meaning import is_whole_power
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
from shapegym.shaping.programs.program import CheckedProgram

Array: TypeAlias = NDArray[Any]
Mask: TypeAlias = NDArray[np.bool_]
Sides: TypeAlias = Mapping[str, Mapping[str, Array]]
"""Side ("before", "after", "state", "action") -> name -> (N,) or (N, n)."""

Place: TypeAlias = tuple[int, int]
"""Line and column, from 1."""


@dataclass
class Batch:
    """What a program makes of N transitions.

    Attributes:
        total: (N,).
        parts: (K, N), in the order of `CheckedProgram.parts`.
        memory: slot -> (N,), after the step.
        held: place of a condition -> (how often it was asked, how often it held).
        apart: place of a distance between two features -> their names, and where it was computed, (N,).
    """

    total: Array
    parts: Array
    memory: dict[str, Array]
    held: dict[Place, tuple[int, int]] = field(default_factory=dict)
    apart: dict[Place, tuple[tuple[str, str], Mask]] = field(default_factory=dict)


def run(program: CheckedProgram, sides: Sides, memory: Mapping[str, Array] | None = None) -> Batch:
    """Evaluate a program on N transitions that have nothing to do with each other.

    Args:
        program: typed.
        sides: what it reads.
        memory: slot -> (N,), before the step; None: as an episode begins.
    """
    count = len(next(iter(next(iter(sides.values())).values())))
    slots = {name: np.full(count, value) for name, value in program.slots}
    slots.update({} if memory is None else {name: values.copy() for name, values in memory.items()})
    machine = _Machine(
        sides, Batch(np.zeros(count), np.zeros((len(program.parts), count)), slots), program.parts
    )
    with np.errstate(all="ignore"):
        machine.execute(program.tree, np.ones(count, np.bool_))
    return machine.out


class _Machine:
    """Runs statements; lanes that took the other branch, or have returned, are masked."""

    def __init__(self, sides: Sides, out: Batch, parts: Sequence[str]) -> None:
        self.sides, self.out, self.parts = sides, out, parts
        self.names: dict[str, Array] = {}

    def execute(self, statements: Sequence[Statement], mask: Mask) -> Mask:
        """Run statements in the lanes of a mask; return those that go on behind them."""
        for statement in statements:
            if not mask.any():
                break
            match statement:
                case Assign(name=name, value=value):
                    self.names[name] = _merged(self.names.get(name), self.value(value, mask), mask)
                case Remember(name=name, value=value):
                    slot = self.out.memory[name]
                    self.out.memory[name] = np.where(mask, self.value(value, mask), slot)
                case Branch(condition=condition, then=then, otherwise=otherwise):
                    holds = self.holds(condition, mask)
                    mask = self.execute(then, mask & holds) | self.execute(otherwise, mask & ~holds)
                case Return(total=total, parts=parts):
                    self.out.total[mask] = self.value(total, mask)[mask]
                    for name, part in parts:
                        self.out.parts[self.parts.index(name), mask] = self.value(part, mask)[mask]
                    return np.zeros_like(mask)
        return mask

    def holds(self, expr: Expr, mask: Mask) -> Mask:
        """A condition, (N,), whose outcomes are counted."""
        values = np.asarray(self.value(expr, mask), np.bool_)
        asked, held = self.out.held.get(place := (expr.line, expr.column), (0, 0))
        self.out.held[place] = (asked + int(mask.sum()), held + int((values & mask).sum()))
        return values

    def _note_distance(self, expr: Call, arguments: tuple[Expr, ...], mask: Mask) -> None:
        states = (
            argument for argument in arguments if isinstance(argument, Read) and argument.side != "action"
        )
        names = tuple(argument.name for argument in states)
        if len(names) == 2 and names[0] != names[1]:
            place = expr.line, expr.column
            before = self.out.apart.get(place)
            self.out.apart[place] = (names[0], names[1]), mask if before is None else mask | before[1]

    def value(self, expr: Expr, mask: Mask) -> Array:
        """An expression, (N,) or (N, n); what it is outside of the mask means nothing."""
        match expr:
            case Constant(value=value):
                return np.full(len(mask), value)
            case Read(side=side, name=name):
                return self.sides[side][name]
            case Local(name=name):
                return self.names[name]
            case Slot(name=name):
                return self.out.memory[name]
            case Item(of=of, index=index):
                return np.asarray(self.value(of, mask)[:, index])
            case Build(items=items):
                return np.stack([self.value(item, mask) for item in items], axis=1)
            case Convert(of=of, type=kind):
                inner = self.value(of, mask)
                return inner != 0.0 if kind.kind == "truth" else inner.astype(np.float64)
            case Negative(of=of):
                return -self.value(of, mask)
            case Not(of=of):
                return ~np.asarray(self.value(of, mask), np.bool_)
            case Both(left=left, right=right):
                one = self.holds(left, mask)
                return one & self.holds(right, mask & one)
            case Either(left=left, right=right):
                one = self.holds(left, mask)
                return one | self.holds(right, mask & ~one)
            case Choice(condition=condition, then=then, otherwise=otherwise):
                holds = self.holds(condition, mask)
                return _merged(self.value(otherwise, mask & ~holds), self.value(then, mask & holds), holds)
            case Binary(operator="**", left=left, right=Constant(value=exponent)) if is_whole_power(exponent):
                return _whole_power(self.value(left, mask), int(exponent))
            case Binary(operator=operator, left=left, right=right):
                return _OPERATORS[operator](*_aligned(self.value(left, mask), self.value(right, mask)))
            case Compare(operator=operator, left=left, right=right):
                held: Array = _COMPARISONS[operator](self.value(left, mask), self.value(right, mask))
                if held.ndim > 1:  # two vectors are equal if all of their entries are
                    held = np.asarray(held.all(axis=1) if operator == "==" else held.any(axis=1))
                return held
            case Call(function=function, arguments=arguments):
                if function in ("distance", "manhattan"):
                    self._note_distance(expr, arguments, mask)
                return _call(function, [self.value(argument, mask) for argument in arguments], expr)
        raise TypeError(f"{expr} is no expression of a program.")


def _merged(old: Array | None, new: Array, mask: Mask) -> Array:
    if old is None:
        return new
    return np.where(mask if new.ndim == 1 else mask[:, None], new, old)


def _aligned(*values: Array) -> list[Array]:
    """Numbers beside vectors get an axis."""
    rank = max(value.ndim for value in values)
    return [value if value.ndim == rank else value[:, None] for value in values]


def _whole_power(values: Array, exponent: int) -> Array:
    product = values if exponent else np.ones_like(values)
    for _ in range(abs(exponent) - 1):
        product = product * values
    return product if exponent >= 0 else 1.0 / product


def _least(x: Array, y: Array) -> Array:
    return np.where(y < x, y, x)


def _largest(x: Array, y: Array) -> Array:
    return np.where(y > x, y, x)


_OPERATORS: dict[str, Callable[[Array, Array], Array]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "//": lambda x, y: np.floor(x / y),
    "%": lambda x, y: x - y * np.floor(x / y),
    "**": np.power,
}
_COMPARISONS: dict[str, Callable[[Array, Array], Array]] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
}
_EACH: dict[str, Callable[[Array], Array]] = {
    name: getattr(np, name)
    for name in [
        "abs",
        "sqrt",
        "exp",
        "log",
        "log1p",
        "tanh",
        "sin",
        "cos",
        "floor",
        "ceil",
        "trunc",
        "sign",
        "square",
    ]
}
_PAIRS: dict[str, Callable[[Array, Array], Array]] = {
    "atan2": np.arctan2,
    "hypot": lambda x, y: np.sqrt(x * x + y * y),
    "min": _least,
    "max": _largest,
}
_WHOLE: dict[str, Callable[..., Array]] = {
    "sum": lambda x: x.sum(axis=1),
    "mean": lambda x: x.mean(axis=1),
    "min": lambda x: x.min(axis=1),
    "max": lambda x: x.max(axis=1),
    "norm": lambda x: np.sqrt((x * x).sum(axis=1)),
    "distance": lambda x, y: np.sqrt(((x - y) * (x - y)).sum(axis=1)),
    "manhattan": lambda x, y: np.abs(x - y).sum(axis=1),
    "dot": lambda x, y: (x * y).sum(axis=1),
}


def _call(function: str, arguments: Sequence[Array], expr: Expr) -> Array:
    if function in _EACH:
        return _EACH[function](arguments[0])
    if function == "clip":
        value, low, high = _aligned(*arguments)
        return _least(_largest(value, low), high)
    if function in _PAIRS and (len(arguments) > 1 or expr.type.kind == "vector"):
        return _PAIRS[function](*_aligned(*arguments))
    return _WHOLE[function](*arguments)
