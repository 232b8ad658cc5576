"""A program as straight-line code on single numbers: what the kernel is made of.

Both sides of every condition are computed and one is selected, which nothing in the language can tell from choosing first; so a
program has no branches, compile time grows with its length alone, and several lanes run at a time. Equal operations are one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import TypeAlias

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

Scalar: TypeAlias = str
"""A number or truth: the name of a row (x0), of a slot (m0) or of a result (t0), or a literal as Python writes it."""

Operation: TypeAlias = tuple[str, ...]
"""What is done, and to what: ("+", "x0", "t3"), ("select", condition, then, otherwise), ("exp", "t1")."""

Row: TypeAlias = tuple[str, str, int]
"""Side, name and entry of a number that is read."""


@dataclass
class Code:
    """Straight-line code.

    Attributes:
        rows: the numbers that it reads, in the order of the kernel's input.
        results: the name of each operation's result, in order; operations use names before them.
        total: what the program returns.
        parts: by name.
        slots: what memory holds afterwards, by name.
    """

    rows: dict[Row, Scalar] = field(default_factory=dict)
    results: dict[Operation, Scalar] = field(default_factory=dict)
    total: Scalar = "0.0"
    parts: dict[str, Scalar] = field(default_factory=dict)
    slots: dict[str, Scalar] = field(default_factory=dict)

    def read(self, row: Row) -> Scalar:
        """Return a number that is read."""
        return self.rows.setdefault(row, f"x{len(self.rows)}")

    def let(self, *operation: str) -> Scalar:
        """Return the name of an operation's result."""
        return self.results.setdefault(operation, f"t{len(self.results)}")

    def select(self, condition: Scalar, then: Scalar, otherwise: Scalar) -> Scalar:
        """Return ``then`` where a truth holds, else ``otherwise``."""
        if then == otherwise or condition in ("True", "False"):
            return otherwise if condition == "False" else then
        if (then, otherwise) == ("True", "False"):
            return condition
        return self.let("select", condition, then, otherwise)


@dataclass
class _Path:
    """What names hold on a path through a program, and whether it has returned: a truth."""

    names: dict[str, tuple[Scalar, ...]]
    done: Scalar = "False"

    def copy(self) -> _Path:
        return _Path(dict(self.names), self.done)


def lowered(program: CheckedProgram) -> Code:
    """Return the straight-line code of a program whose types are known."""
    code = Code()
    code.slots = {name: f"m{place}" for place, (name, _) in enumerate(program.slots)}
    path = _Path({f"memory.{name}": (held,) for name, held in code.slots.items()})
    for name in ("<total>", *(f"<part {name}>" for name in program.parts)):
        path.names[name] = ("0.0",)
    path = _Lowering(code, program.parts, tuple(path.names)).run(program.tree, path)
    code.total = path.names["<total>"][0]
    code.parts = {name: path.names[f"<part {name}>"][0] for name in program.parts}
    code.slots = {name: path.names[f"memory.{name}"][0] for name in code.slots}
    return code


class _Lowering:
    def __init__(self, code: Code, parts: Sequence[str], lasting: Sequence[str]) -> None:
        self.code = code
        self.parts = parts
        self.lasting = lasting

    def run(self, statements: Sequence[Statement], path: _Path) -> _Path:
        for statement in statements:
            if path.done == "True":  # nothing behind it is reached
                return path
            path = self.step(statement, path)
        return path

    def step(self, statement: Statement, path: _Path) -> _Path:
        match statement:
            case Assign(name=name, value=value):
                path.names[name] = self.value(value, path)
            case Remember(name=name, value=value):
                self.put(path, f"memory.{name}", self.scalar(value, path))
            case Return(total=total, parts=parts):
                # Names first: what is returned is known before anything of it is put.
                values = {name: self.scalar(part, path) for name, part in parts}
                self.put(path, "<total>", self.scalar(total, path))
                for name in self.parts:
                    self.put(path, f"<part {name}>", values.get(name, "0.0"))
                path.done = "True"
            case Branch(condition=condition, then=then, otherwise=otherwise):
                holds = self.scalar(condition, path)
                return self.meet(holds, self.run(then, path.copy()), self.run(otherwise, path.copy()))
        return path

    def put(self, path: _Path, name: str, value: Scalar) -> None:
        """Change what lasts beyond a return, unless the program has returned already."""
        path.names[name] = (self.code.select(path.done, path.names[name][0], value),)

    def meet(self, holds: Scalar, one: _Path, two: _Path) -> _Path:
        """Where two paths come together. Of locals only those matter that a path has which goes on."""
        if "True" in (one.done, two.done):
            names = dict(two.names if one.done == "True" else one.names)
            both = self.lasting
        else:
            names = {**one.names, **two.names}
            both = [name for name in one.names if name in two.names]
        for name in both:
            left, right = one.names[name], two.names[name]
            if len(left) == len(right):  # else nobody reads it
                names[name] = tuple(self.code.select(holds, x, y) for x, y in zip(left, right, strict=True))
        return _Path(names, self.code.select(holds, one.done, two.done))

    def scalar(self, expr: Expr, path: _Path) -> Scalar:
        (value,) = self.value(expr, path)
        return value

    def value(self, expr: Expr, path: _Path) -> tuple[Scalar, ...]:
        """Return the numbers of an expression's value."""
        let = self.code.let
        match expr:
            case Constant(value=value):
                return (repr(value),)
            case Read(side=side, name=name, type=kind):
                rows = [self.code.read((side, name, index)) for index in range(kind.size)]
                return tuple(let("!=", row, "0.0") for row in rows) if kind.kind == "truth" else tuple(rows)
            case Local(name=name):
                return path.names[name]
            case Slot(name=name):
                return path.names[f"memory.{name}"]
            case Item(of=of, index=index):
                return (self.entry(of, index, path),)
            case Build(items=items):
                return tuple(self.scalar(item, path) for item in items)
            case Convert(of=of, type=kind):
                held = self.scalar(of, path)
                return (
                    let("!=", held, "0.0") if kind.kind == "truth" else self.code.select(held, "1.0", "0.0"),
                )
            case Negative(of=of):
                return tuple(let("negative", x) for x in self.value(of, path))
            case Not(of=of):
                return (let("not", self.scalar(of, path)),)
            case Binary():
                return self.binary(expr, path)
            case Compare():
                return (self.comparison(expr, path),)
            case Both(left=left, right=right):
                return (self.code.select(self.scalar(left, path), self.scalar(right, path), "False"),)
            case Either(left=left, right=right):
                return (self.code.select(self.scalar(left, path), "True", self.scalar(right, path)),)
            case Choice(condition=condition, then=then, otherwise=otherwise):
                holds, one, two = (
                    self.scalar(condition, path),
                    self.value(then, path),
                    self.value(otherwise, path),
                )
                return tuple(self.code.select(holds, x, y) for x, y in zip(one, two, strict=True))
            case Call():
                return self.call(expr, path)
        raise TypeError(f"{expr} is no expression of a program.")

    def entry(self, of: Expr, index: int, path: _Path) -> Scalar:
        """One number of a vector; of a feature the others need not be read."""
        if isinstance(of, Read):
            return self.code.read((of.side, of.name, index))
        return self.value(of, path)[index]

    def rows(self, expr: Expr, length: int, path: _Path) -> tuple[Scalar, ...]:
        """The numbers of a vector, or a number as often."""
        value = self.value(expr, path)
        return value if expr.type.kind == "vector" else value * length

    def binary(self, expr: Binary, path: _Path) -> tuple[Scalar, ...]:
        one, two = (self.rows(side, expr.type.size, path) for side in (expr.left, expr.right))
        if expr.operator == "**":
            if isinstance(expr.right, Constant) and is_whole_power(expr.right.value):
                return tuple(self.whole_power(x, int(expr.right.value)) for x in one)
            return tuple(self.code.let("pow", x, y) for x, y in zip(one, two, strict=True))
        return tuple(self.operation(expr.operator, x, y) for x, y in zip(one, two, strict=True))

    def operation(self, operator: str, x: Scalar, y: Scalar) -> Scalar:
        let = self.code.let
        if operator == "//":
            return let("floor", let("/", x, y))
        if operator == "%":
            return let("-", x, let("*", y, self.operation("//", x, y)))
        return let(operator, x, y)

    def whole_power(self, x: Scalar, exponent: int) -> Scalar:
        if exponent == 0:
            return "1.0"
        product = reduce(lambda held, _: self.code.let("*", held, x), range(abs(exponent) - 1), x)
        return product if exponent > 0 else self.code.let("/", "1.0", product)

    def comparison(self, expr: Compare, path: _Path) -> Scalar:
        one, two = self.value(expr.left, path), self.value(expr.right, path)
        if expr.left.type.kind != "vector":
            return self.code.let(expr.operator, one[0], two[0])
        equals = [self.code.let("==", x, y) for x, y in zip(one, two, strict=True)]
        same = reduce(lambda held, equal: self.code.select(held, equal, "False"), equals)
        return same if expr.operator == "==" else self.code.let("not", same)

    def call(self, expr: Call, path: _Path) -> tuple[Scalar, ...]:
        name, arguments = expr.function, expr.arguments
        if name in _REDUCED and (len(arguments) == 1 or name not in ("min", "max")):
            return (self.reduced(name, [self.value(argument, path) for argument in arguments]),)
        columns = [self.rows(argument, expr.type.size, path) for argument in arguments]
        return tuple(self.applied(name, *entries) for entries in zip(*columns, strict=True))

    def applied(self, name: str, *of: Scalar) -> Scalar:
        """A function of single numbers."""
        let, select, x = self.code.let, self.code.select, of[0]
        match name:
            case "square":
                return let("*", x, x)
            case "sign":
                return select(let(">", x, "0.0"), "1.0", select(let("<", x, "0.0"), "-1.0", x))
            case "min":
                return select(let("<", of[1], x), of[1], x)
            case "max":
                return select(let(">", of[1], x), of[1], x)
            case "clip":
                return self.applied("min", self.applied("max", x, of[1]), of[2])
            case "hypot":
                return self.reduced("norm", [of])
        return let(name, *of)

    def reduced(self, name: str, vectors: Sequence[tuple[Scalar, ...]]) -> Scalar:
        """A function of whole vectors, from the first entry to the last."""
        let = self.code.let
        entries = list(zip(*vectors, strict=True))
        if name in ("min", "max"):
            return reduce(lambda held, x: self.applied(name, held, x), vectors[0])
        match name:
            case "norm":
                terms = [let("*", x, x) for (x,) in entries]
            case "distance":
                gaps = [let("-", x, y) for x, y in entries]
                terms = [let("*", gap, gap) for gap in gaps]
            case "manhattan":
                gaps = [let("-", x, y) for x, y in entries]
                terms = [let("abs", gap) for gap in gaps]
            case "dot":
                terms = [let("*", x, y) for x, y in entries]
            case _:
                terms = list(vectors[0])
        total = reduce(lambda held, x: let("+", held, x), terms)
        if name in ("norm", "distance"):
            return let("sqrt", total)
        return let("/", total, f"{len(terms)}.0") if name == "mean" else total


_REDUCED = ("sum", "mean", "min", "max", "norm", "distance", "manhattan", "dot")
