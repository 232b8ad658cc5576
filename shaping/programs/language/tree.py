"""The typed tree of a program: what is left of it once it was checked.

Loops are spelled out, constants folded, names known. Every value is a number (float64), true or false, or a vector of so many
numbers. Reading, computing and choosing have no effect, so only `Remember` (a memory slot) and the order of assignments matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias


@dataclass(frozen=True)
class Type:
    """Number, truth, a vector of ``length`` numbers, or "any" where no abstraction said which."""

    kind: Literal["number", "truth", "vector", "any"]
    length: int = 0

    @property
    def size(self) -> int:
        """How many numbers a value is."""
        return self.length if self.kind == "vector" else 1

    def __str__(self) -> str:
        words = {"number": "a number", "truth": "true or false", "any": "something"}
        return words.get(self.kind, f"a vector of {self.length} numbers")


NUMBER, TRUTH, ANY = Type("number"), Type("truth"), Type("any")


def vector(length: int) -> Type:
    """Return the type of vectors of so many numbers."""
    return Type("vector", length)


Side: TypeAlias = Literal["before", "after", "state", "action"]


@dataclass(frozen=True)
class Node:
    """What trees are made of; ``line`` and ``column`` (from 1) are where it stands in the source."""

    line: int
    column: int

    @property
    def children(self) -> tuple[Node, ...]:
        """The nodes among the fields, in order."""
        values = (getattr(self, item.name) for item in fields(self))
        entries = (value if isinstance(value, tuple) else (value,) for value in values)
        return tuple(child for several in entries for child in _flat(several) if isinstance(child, Node))


def _flat(values: tuple[Any, ...]) -> Iterator[Any]:
    for value in values:
        yield from _flat(value) if isinstance(value, tuple) else (value,)


@dataclass(frozen=True)
class Expr(Node):
    """Has a value, of a `Type`."""

    type: Type


@dataclass(frozen=True)
class Constant(Expr):
    """A number, or True or False."""

    value: float | bool


@dataclass(frozen=True)
class Read(Expr):
    """A feature of a state ("state" in a potential), or the action, whose name is "action" or begins so."""

    side: Side
    name: str


@dataclass(frozen=True)
class Local(Expr):
    """The value of a local name."""

    name: str


@dataclass(frozen=True)
class Slot(Expr):
    """What a memory slot holds now."""

    name: str


@dataclass(frozen=True)
class Item(Expr):
    """One number of a vector, ``index`` in range."""

    of: Expr
    index: int


@dataclass(frozen=True)
class Build(Expr):
    """A vector of numbers."""

    items: tuple[Expr, ...]


@dataclass(frozen=True)
class Convert(Expr):
    """True as 1 and false as 0, where the type is a number; where it is a truth: whether a number is not 0."""

    of: Expr


@dataclass(frozen=True)
class Negative(Expr):
    """``-x``, of a number or each of a vector."""

    of: Expr


@dataclass(frozen=True)
class Not(Expr):
    """``not x``, of a truth."""

    of: Expr


Operator: TypeAlias = Literal["+", "-", "*", "/", "//", "%", "**"]


@dataclass(frozen=True)
class Binary(Expr):
    """Arithmetic on numbers; entry by entry where a side is a vector."""

    operator: Operator
    left: Expr
    right: Expr


Comparison: TypeAlias = Literal["<", "<=", ">", ">=", "==", "!="]


@dataclass(frozen=True)
class Compare(Expr):
    """A comparison of two numbers. Two vectors are equal if all of their entries are."""

    operator: Comparison
    left: Expr
    right: Expr


@dataclass(frozen=True)
class Both(Expr):
    """``left and right``, of truths."""

    left: Expr
    right: Expr


@dataclass(frozen=True)
class Either(Expr):
    """``left or right``, of truths."""

    left: Expr
    right: Expr


@dataclass(frozen=True)
class Choice(Expr):
    """``then if condition else otherwise``; both of the type of the whole."""

    condition: Expr
    then: Expr
    otherwise: Expr


@dataclass(frozen=True)
class Call(Expr):
    """A function by the name that `shapegym.shaping.programs.language.functions` gives it."""

    function: str
    arguments: tuple[Expr, ...]


@dataclass(frozen=True)
class Statement(Node):
    """Does something."""


@dataclass(frozen=True)
class Assign(Statement):
    """Gives a local name a value; entries of a dictionary of parts are names such as ``parts['near']``."""

    name: str
    value: Expr


@dataclass(frozen=True)
class Remember(Statement):
    """Puts a number into a memory slot."""

    name: str
    value: Expr


@dataclass(frozen=True)
class Branch(Statement):
    """``if condition: then else: otherwise``."""

    condition: Expr
    then: tuple[Statement, ...]
    otherwise: tuple[Statement, ...]


@dataclass(frozen=True)
class Return(Statement):
    """Ends the program: with the total, and its parts in the order of `CheckedProgram.parts` (0 where a path has none)."""

    total: Expr
    parts: tuple[tuple[str, Expr], ...]


def walk(node: Node) -> Iterator[Node]:
    """Yield every node of a tree, parents before their children."""
    yield node
    for child in node.children:
        yield from walk(child)
