"""The third evaluation: pydantic-monty, a Python interpreter of its own in a process of its own, with limits (the extra ``monty``).

The typed tree is written as Python, with the meanings of numbers in the text of `shapegym.shaping.programs.language.ieee`, and run
there. So an error of this interpreter or of Numba is no longer shared by all who could notice it.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from shapegym.shaping.errors import ShapingError
from shapegym.shaping.programs.evaluations.columns import Columns
from shapegym.shaping.programs.evaluations.interpreter import Interpreter
from shapegym.shaping.programs.language import ieee
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

SECONDS = 10.0
MEMORY = 2**28

_HELPERS = """
inf, nan = math.inf, math.nan

def each(function, *operands):
    return tuple([function(*entries) for entries in zip(*operands)])

def add(x, y):
    return x + y

def subtract(x, y):
    return x - y

def multiply(x, y):
    return x * y

def negative(x):
    return -x

def same(one, two):
    return all([x == y for x, y in zip(one, two)])

def total(values):
    result = values[0]
    for value in values[1:]:
        result = result + value
    return result

def mean(values):
    return total(values) / len(values)

def least_of(values):
    result = values[0]
    for value in values[1:]:
        result = least(result, value)
    return result

def largest_of(values):
    result = values[0]
    for value in values[1:]:
        result = largest(result, value)
    return result

def norm(values):
    return math.sqrt(total([x * x for x in values]))

def distance(one, two):
    return math.sqrt(total([(x - y) * (x - y) for x, y in zip(one, two)]))

def manhattan(one, two):
    return total([math.fabs(x - y) for x, y in zip(one, two)])

def dot(one, two):
    return total([x * y for x, y in zip(one, two)])
"""
_OPERATORS = {
    "+": "add",
    "-": "subtract",
    "*": "multiply",
    "/": "divide",
    "//": "floor_divide",
    "%": "remainder",
    "**": "power",
}
_ALSO_CALLED = {
    "abs": "math.fabs",
    "tanh": "math.tanh",
    "atan2": "math.atan2",
    "min": "least",
    "max": "largest",
}
_WHOLE = {"sum": "total", "min": "least_of", "max": "largest_of"}


def why_not() -> str:
    """Return why programs cannot be evaluated by monty here, or nothing."""
    try:
        import_module("pydantic_monty")
    except ImportError:
        return "pydantic-monty is not installed: pip install 'shapegym[monty]'."
    return ""


class MontyEvaluation:
    """A program that monty evaluates, lane by lane.

    Raises:
        ShapingError: if pydantic-monty is not installed, when it is called.
    """

    def __init__(self, program: CheckedProgram) -> None:
        self.program = program
        self.source = "\n".join(["import math", _meanings(), _HELPERS, *_written(program)])

    def __call__(
        self,
        columns: Columns,
        num_lanes: int,
        memory: np.ndarray | None = None,
        first: np.ndarray | None = None,
        active: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return totals and parts, (1 + k, B); see `shapegym.shaping.programs.evaluations.columns`."""
        program = self.program
        memory = program.fresh_memory(num_lanes) if memory is None else memory
        if first is not None:
            begins = first if active is None else first & active
            memory[:, begins] = program.fresh_memory(int(begins.sum()))
        rows = [
            [[frame.sides[side][name] for side, name in program.reads], memory[:, lane].tolist()]
            for lane, frame in enumerate(Interpreter(program).frames(columns, num_lanes))
        ]
        found = np.array(self._run(rows)).reshape(num_lanes, -1).T
        shown = np.ones(num_lanes, dtype=np.bool_) if active is None or not program.slots else active
        out = np.zeros((1 + len(program.parts), num_lanes))
        out[:, shown] = found[: len(out), shown]
        memory[:, shown] = found[len(out) :, shown]
        return out

    def _run(self, rows: Sequence[Any]) -> Any:
        if reason := why_not():
            raise ShapingError(reason)
        monty = import_module("pydantic_monty")
        limits = {"max_feed_duration_secs": SECONDS, "max_memory": MEMORY, "max_recursion_depth": 200}
        with monty.Monty() as pool, pool.checkout(limits=limits) as session:
            session.feed_run(self.source)
            return session.feed_run("[program(reads, slots) for reads, slots in rows]", inputs={"rows": rows})


def _meanings() -> str:
    """The functions of `ieee`, as text."""
    functions = [
        one for one in vars(ieee).values() if inspect.isfunction(one) and one.__module__ == ieee.__name__
    ]
    return "\n\n".join(inspect.getsource(one) for one in functions if one.__name__ != "<lambda>")


def _written(program: CheckedProgram) -> Iterator[str]:
    """The program as Python, line by line."""
    writer = _Writer(program)
    yield "def program(reads, slots):"
    for place in range(len(program.slots)):
        yield f"    m{place} = slots[{place}]"
    yield from (f"    {line}" for line in writer.block(program.tree))


class _Writer:
    def __init__(self, program: CheckedProgram) -> None:
        self.reads = {read: place for place, read in enumerate(program.reads)}
        self.slots = {name: f"m{place}" for place, (name, _) in enumerate(program.slots)}
        self.parts = program.parts
        self.names: dict[str, str] = {}

    def local(self, name: str) -> str:
        """What a local is called: names of dictionary entries are none of Python's."""
        return self.names.setdefault(name, f"n{len(self.names)}")

    def block(self, statements: Sequence[Statement]) -> list[str]:
        return [line for statement in statements for line in self.lines(statement)] or ["pass"]

    def lines(self, statement: Statement) -> list[str]:
        match statement:
            case Assign(name=name, value=value):
                return [f"{self.local(name)} = {self.text(value)}"]
            case Remember(name=name, value=value):
                return [f"{self.slots[name]} = {self.text(value)}"]
            case Branch(condition=condition, then=then, otherwise=otherwise):
                inside = [f"    {line}" for line in self.block(then)]
                return [
                    f"if {self.text(condition)}:",
                    *inside,
                    "else:",
                    *(f"    {line}" for line in self.block(otherwise)),
                ]
            case Return(total=total, parts=parts):
                values = {name: self.text(part) for name, part in parts}
                items = [
                    self.text(total),
                    *(values.get(name, "0.0") for name in self.parts),
                    *self.slots.values(),
                ]
                return [f"return [{', '.join(items)}]"]
        raise TypeError(f"{statement} is no statement of a program.")

    def text(self, expr: Expr) -> str:
        match expr:
            case Constant(value=value):
                return f"({value!r})"
            case Read(side=side, name=name):
                return f"reads[{self.reads[side, name]}]"
            case Local(name=name):
                return self.local(name)
            case Slot(name=name):
                return self.slots[name]
            case Item(of=of, index=index):
                return f"{self.text(of)}[{index}]"
            case Build(items=items):
                return f"({', '.join(map(self.text, items))},)"
            case Convert(of=of, type=kind):
                return (
                    f"({self.text(of)} != 0.0)"
                    if kind.kind == "truth"
                    else f"(1.0 if {self.text(of)} else 0.0)"
                )
            case Negative(of=of):
                return self.applied("negative", expr, [of])
            case Not(of=of):
                return f"(not {self.text(of)})"
            case Binary(operator="**", left=left, right=Constant(value=exponent)) if is_whole_power(exponent):
                powers = f"whole_power({{}}, {int(exponent)})"
                if expr.type.kind == "vector":
                    return f"tuple([{powers.format('x')} for x in {self.text(left)}])"
                return powers.format(self.text(left))
            case Binary(operator=operator, left=left, right=right):
                return self.applied(_OPERATORS[operator], expr, [left, right])
            case Compare(operator=operator, left=left, right=right):
                if left.type.kind == "vector":
                    equal = f"same({self.text(left)}, {self.text(right)})"
                    return equal if operator == "==" else f"(not {equal})"
                return f"({self.text(left)} {operator} {self.text(right)})"
            case Both(left=left, right=right):
                return f"({self.text(left)} and {self.text(right)})"
            case Either(left=left, right=right):
                return f"({self.text(left)} or {self.text(right)})"
            case Choice(condition=condition, then=then, otherwise=otherwise):
                return f"({self.text(then)} if {self.text(condition)} else {self.text(otherwise)})"
            case Call(function=name, arguments=arguments):
                entrywise = (
                    name in ieee.UNARY or name == "clip" or (name in ieee.BINARY and len(arguments) > 1)
                )
                if entrywise:
                    return self.applied(_ALSO_CALLED.get(name, name), expr, arguments)
                return f"{_WHOLE.get(name, name)}({', '.join(map(self.text, arguments))})"
        raise TypeError(f"{expr} is no expression of a program.")

    def applied(self, function: str, expr: Expr, operands: Sequence[Expr]) -> str:
        """A function of numbers, entry by entry where the value is a vector."""
        if expr.type.kind != "vector":
            return f"{function}({', '.join(map(self.text, operands))})"
        rows = (
            self.text(one) if one.type.kind == "vector" else f"(({self.text(one)},) * {expr.type.length})"
            for one in operands
        )
        return f"each({', '.join((function, *rows))})"
