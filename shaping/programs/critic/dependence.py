"""What each part of a program depends on: features of which side, by what it computes and by what decides that it is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from shapegym.shaping.programs.language.tree import (
    Assign,
    Branch,
    Expr,
    Local,
    Read,
    Remember,
    Return,
    Slot,
    Statement,
    walk,
)
from shapegym.shaping.programs.program import CheckedProgram

Source: TypeAlias = tuple[str, str]
"""Side and name of what is read; ("memory", slot) of a slot."""


@dataclass
class Dependence:
    """What a program's results depend on.

    Attributes:
        parts: part -> what it depends on.
        total: the same of the total.
        lines: part -> where it is given its value last.
    """

    parts: dict[str, frozenset[Source]] = field(default_factory=dict)
    total: frozenset[Source] = frozenset()
    lines: dict[str, int] = field(default_factory=dict)


def dependence_of(program: CheckedProgram) -> Dependence:
    """Return what the parts and the total of a program depend on; a slot brings with it what is ever put into it."""
    slots: dict[str, frozenset[Source]] = {name: frozenset() for name, _ in program.slots}
    while True:  # what is put into a slot may depend on slots
        trace = _Trace(dict(slots))
        trace.follow(program.tree, frozenset())
        if trace.slots == slots:
            return trace.found
        slots = trace.slots


class _Trace:
    def __init__(self, slots: dict[str, frozenset[Source]]) -> None:
        self.slots, self.found = slots, Dependence()
        self.names: dict[str, frozenset[Source]] = {}
        self.assigned: dict[str, int] = {}

    def follow(self, statements: Sequence[Statement], decided: frozenset[Source]) -> frozenset[Source]:
        """Go through statements that are executed depending on ``decided``; return what those behind them depend on."""
        for statement in statements:
            match statement:
                case Assign(name=name, value=value):
                    before = self.names.get(name, frozenset()) if decided else frozenset()
                    self.names[name] = before | self.of(value) | decided
                    self.assigned[name] = statement.line
                case Remember(name=name, value=value):
                    self.slots[name] |= self.of(value) | decided
                case Branch(condition=condition, then=then, otherwise=otherwise):
                    inner = decided | self.of(condition)
                    ends = self.follow(then, inner) | self.follow(otherwise, inner)
                    if _returns(then) or _returns(otherwise):
                        decided = decided | ends
                case Return(total=total, parts=parts):
                    self.found.total |= self.of(total) | decided
                    for name, part in parts:
                        known = self.found.parts.get(name, frozenset())
                        self.found.parts[name] = known | self.of(part) | decided
                        line = (
                            self.assigned.get(part.name, part.line) if isinstance(part, Local) else part.line
                        )
                        self.found.lines[name] = line
        return decided

    def of(self, expr: Expr) -> frozenset[Source]:
        """What an expression depends on."""
        found: set[Source] = set()
        for node in walk(expr):
            match node:
                case Read(side=side, name=name):
                    found.add((side, name))
                case Local(name=name):
                    found |= self.names.get(name, frozenset())
                case Slot(name=name):
                    found |= {("memory", name)} | self.slots[name]
        return frozenset(found)


def _returns(statements: Sequence[Statement]) -> bool:
    return any(isinstance(node, Return) for statement in statements for node in walk(statement))
