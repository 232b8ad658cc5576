"""What is known while a program is read: names and what they hold at this place, complaints so far, work so far."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from shapegym.shaping.errors import suggest
from shapegym.shaping.programs.abstraction import Abstraction
from shapegym.shaping.programs.language import sizes
from shapegym.shaping.programs.language.complaint import Complaint
from shapegym.shaping.programs.language.functions import SPELLINGS
from shapegym.shaping.programs.language.tree import (
    ANY,
    NUMBER,
    Assign,
    Constant,
    Convert,
    Expr,
    Local,
    Statement,
    Type,
)

Form: TypeAlias = Literal["reward", "potential"]


@dataclass(frozen=True)
class Known:
    """What a local name holds at one place of a program.

    Attributes:
        type: of its value.
        constant: its value where that is known already: a `Constant`, or a vector of them.
        doubt: why it must not be read here, or nothing.
        entries: keys of a dictionary of parts; None if it is no dictionary. The entries themselves are names of their own.
    """

    type: Type
    constant: Expr | None = None
    doubt: str = ""
    entries: tuple[str, ...] | None = None


Names: TypeAlias = dict[str, Known]


def entry(dictionary: str, key: str) -> str:
    """Return the name of an entry of a dictionary of parts; no name of a program is written so."""
    return f"{dictionary}[{key!r}]"


class TooMuch(Exception):
    """Ends the reading of a program that is too large, or has too many faults."""


@dataclass
class Scope:
    """The state of reading one program."""

    form: Form
    abstraction: Abstraction | None
    parameters: tuple[str, ...]
    constants: dict[str, Expr]
    slots: dict[str, float]
    names: Names = field(default_factory=dict)
    complaints: list[Complaint] = field(default_factory=list)
    reads: dict[tuple[str, str], None] = field(default_factory=dict)
    work: int = 0
    branches: int = 0
    depth: int = 0

    def complain(self, at: ast.AST, rule: str, message: str) -> Constant:
        """Note what is wrong; return something to go on with."""
        line, column = place(at)
        complaint = Complaint(line, column, rule, message)
        if complaint not in self.complaints:
            self.complaints.append(complaint)
        if len(self.complaints) >= sizes.COMPLAINTS:
            raise TooMuch
        return Constant(line, column, ANY, 0.0)

    def count(self, at: ast.AST, work: int = 1, branches: int = 0) -> None:
        """Take work and branches into account.

        Raises:
            TooMuch: if it is more than a program may do.
        """
        self.work += work
        self.branches += branches
        if self.work > sizes.WORK:
            self.complain(
                at,
                "size",
                f"With its loops spelled out the program has more than {sizes.WORK} operations. Leave something out.",
            )
            raise TooMuch
        if self.branches > sizes.BRANCHES:
            self.complain(
                at, "size", f"The program has more than {sizes.BRANCHES} conditions. Leave some out."
            )
            raise TooMuch

    @contextmanager
    def inside(self, at: ast.AST) -> Iterator[None]:
        """Go one level deeper."""
        self.depth += 1
        if self.depth > sizes.DEPTH:
            self.complain(
                at, "size", f"Nested more than {sizes.DEPTH} levels deep. Use local names for what is inside."
            )
            raise TooMuch
        try:
            yield
        finally:
            self.depth -= 1

    def few(self, at: ast.AST, operands: int) -> None:
        """Refuse a chain that is too long: it becomes as many levels.

        Raises:
            TooMuch: if it is.
        """
        if operands > sizes.DEPTH:
            self.complain(
                at, "size", f"Here are {operands} operands in a row, at most {sizes.DEPTH} are read."
            )
            raise TooMuch

    def taken(self, name: str) -> str:
        """Return what a name stands for that no local may have, or nothing."""
        if name in (*self.parameters, "before", "after", "action", "memory", "state"):
            return "an argument"
        if name in SPELLINGS or name in ("np", "numpy", "math", "range", "True", "False"):
            return "a function or module"
        return "a constant" if name in self.constants else ""

    def unknown(self, at: ast.AST, name: str) -> Constant:
        """Complain about a name that nobody has defined."""
        known = [*self.names, *self.constants, *self.parameters]
        return self.complain(at, "name", f"The name {name!r} is not defined here.{suggest(name, known)}")


def place(at: ast.AST) -> tuple[int, int]:
    """Return line and column of a piece of source, from 1."""
    return getattr(at, "lineno", 0), getattr(at, "col_offset", -1) + 1


def joined(at: ast.AST, one: Names, two: Names) -> tuple[Names, list[Statement], list[Statement]]:
    """Return what is known where two paths meet, and what each must do at its end so that it is so."""
    line, column = place(at)
    names: Names = {}
    ends: tuple[list[Statement], list[Statement]] = ([], [])
    for name in dict.fromkeys((*one, *two)):
        left, right = one.get(name), two.get(name)
        if left is None or right is None:
            known = left or right
            assert known is not None  # noqa: S101  # one of them has it
            if (
                name.endswith("]") and known.entries is None
            ):  # an entry that one path leaves out counts as 0 there
                ends[0 if left is None else 1].append(
                    Assign(line, column, name, Constant(line, column, NUMBER, 0.0))
                )
            names[name] = replace(known, constant=None, doubt=known.doubt or "has a value on one path only")
            continue
        known, converted = _met(left, right)
        names[name] = known
        for end, was, convert in zip(ends, (left, right), converted, strict=True):
            if convert:
                read = Local(line, column, was.type, name)
                end.append(Assign(line, column, name, Convert(line, column, NUMBER, read)))
    return names, *ends


def _met(left: Known, right: Known) -> tuple[Known, tuple[bool, bool]]:
    """What is known of a name that both paths have, and whether each must turn a truth into a number."""
    doubt = left.doubt or right.doubt
    constant = left.constant if left.constant == right.constant else None
    if left.entries is not None and right.entries is not None:
        return replace(left, doubt=doubt, entries=tuple(dict.fromkeys((*left.entries, *right.entries)))), (
            False,
            False,
        )
    if (left.entries is None) != (right.entries is None):
        return Known(ANY, doubt=doubt or "is a dictionary on one path and a number on another"), (
            False,
            False,
        )
    if left.type == right.type:
        return Known(left.type, constant, doubt), (False, False)
    kinds = {left.type.kind, right.type.kind}
    if "any" in kinds:
        return Known(ANY, doubt=doubt), (False, False)
    if kinds == {"number", "truth"}:
        return Known(NUMBER, doubt=doubt), (left.type.kind == "truth", right.type.kind == "truth")
    return Known(ANY, doubt=doubt or f"is {left.type} on one path and {right.type} on another"), (
        False,
        False,
    )


def listed(names: Iterable[Any]) -> str:
    """Return names as one writes them in a sentence."""
    return ", ".join(map(str, names)) or "none"
