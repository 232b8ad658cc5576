"""Units of what a program computes: lengths are not added to angles nor rows to columns, and codes are names, no numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from shapegym.shaping.programs.abstraction import Abstraction, Feature
from shapegym.shaping.programs.critic.finding import Finding
from shapegym.shaping.programs.language.tree import (
    Assign,
    Binary,
    Branch,
    Build,
    Call,
    Choice,
    Compare,
    Constant,
    Convert,
    Expr,
    Item,
    Local,
    Negative,
    Node,
    Read,
    Remember,
    Return,
    Statement,
    walk,
)
from shapegym.shaping.programs.program import CheckedProgram

_KEEP = {"abs", "floor", "ceil", "trunc", "norm", "sum", "mean"}
_JOIN = {"min", "max", "clip", "distance", "manhattan", "hypot"}


@dataclass(frozen=True)
class Unit:
    """What a value is measured in.

    Attributes:
        name: "cells"; empty where nothing is known, or a constant could be anything.
        code: the feature whose codes it holds; empty if it is a number.
        entry: which entry of a vector it is, -1 if it is none or several were joined.
        written: the feature that it was read from, for messages.
        side: the side on which it was read.
    """

    name: str = ""
    code: str = ""
    entry: int = -1
    written: str = ""
    side: str = ""


ANYTHING = Unit()


@dataclass
class _Units:
    features: dict[str, Feature]
    names: dict[str, Unit] = field(default_factory=dict)
    found: list[Finding] = field(default_factory=list)

    def follow(self, statements: Sequence[Statement]) -> None:
        for statement in statements:
            match statement:
                case Assign(name=name, value=value):
                    self.names[name] = self.of(value)
                case Remember(value=value):
                    self.of(value)
                case Branch(condition=condition, then=then, otherwise=otherwise):
                    self.of(condition)
                    self.follow(then)
                    self.follow(otherwise)
                case Return(total=total, parts=parts):
                    self.of(total)
                    for _, part in parts:
                        self.of(part)

    def of(self, expr: Expr) -> Unit:
        """The unit of an expression; what is wrong inside of it is noted."""
        match expr:
            case Read(side=side, name=name):
                feature = self.features.get(name)
                if feature is None:
                    return ANYTHING
                return Unit(
                    feature.unit, name if feature.codes and feature.kind != "truth" else "", -1, name, side
                )
            case Local(name=name):
                return self.names.get(name, ANYTHING)
            case Item(of=of, index=index):
                inner = self.of(of)
                return Unit(inner.name, inner.code, index if inner.written else -1, inner.written, inner.side)
            case Negative(of=of) | Convert(of=of):
                return self.of(of)
            case Build(items=items):
                for item in items:
                    self.of(item)
                return ANYTHING
            case Binary(operator=operator, left=left, right=right):
                one, two = self.of(left), self.of(right)
                self._no_codes(expr, one, two)
                if operator in ("+", "-", "%", "//"):
                    return self._joined(expr, one, two)
                return ANYTHING  # a factor turns one kind of quantity into another
            case Compare(left=left, right=right):
                self._compared(expr, self.of(left), self.of(right))
                return ANYTHING
            case Choice(condition=condition, then=then, otherwise=otherwise):
                self.of(condition)
                one, two = self.of(then), self.of(otherwise)
                return one if one == two else Unit(one.name) if one.name == two.name else ANYTHING
            case Call(function=function, arguments=arguments):
                units = [self.of(argument) for argument in arguments]
                self._no_codes(expr, *units)
                if function in _JOIN and len(units) > 1:
                    joined = units[0]
                    for unit in units[1:]:
                        joined = self._joined(expr, joined, unit)
                    return joined
                return Unit(units[0].name) if function in _KEEP | _JOIN else ANYTHING
        for child in expr.children:
            if isinstance(child, Expr):
                self.of(child)
        return ANYTHING

    def _joined(self, at: Expr, one: Unit, two: Unit) -> Unit:
        """Of a sum or a difference."""
        if one.name and two.name and one.name != two.name:
            self._blame(
                at,
                f"{_said(one)} and {_said(two)} are joined, as if they were the same kind of quantity. Compare like with like, or "
                "give each a weight of its own in a part of its own.",
            )
        elif 0 <= one.entry != two.entry >= 0 and (one.written, one.side) != (two.written, two.side):
            self._blame(
                at,
                f"Entry {one.entry} of {one.written} is joined with entry {two.entry} of {two.written}: these are other axes. "
                "Take the same entry of both.",
            )
        same = one if one.name == two.name else one if one.name else two
        return Unit(same.name, "", one.entry if one.entry == two.entry else -1, same.written, same.side)

    def _compared(self, at: Compare, one: Unit, two: Unit) -> None:
        for unit, other, constant in ((one, two, at.right), (two, one, at.left)):
            if not unit.code:
                continue
            codes = dict(self.features[unit.code].codes)
            if isinstance(constant, Constant) and not isinstance(constant.value, bool):
                if at.operator in ("==", "!=") and constant.value not in codes:
                    known = ", ".join(f"{code} ({words})" for code, words in codes.items())
                    self._blame(
                        at, f"{unit.code} is never {constant.value:g} in this task; there is {known}."
                    )
                elif at.operator not in ("==", "!="):
                    self._blame(
                        at, f"{unit.code} holds codes, which are names and not more or less. Compare with ==."
                    )
            elif other.code != unit.code and other.written:
                self._blame(
                    at,
                    f"{unit.code} holds codes and is compared with {other.written}, which means something else.",
                )
            return
        self._joined(at, one, two)

    def _no_codes(self, at: Expr, *units: Unit) -> None:
        for unit in units:
            if unit.code and unit.code != "action":
                self._blame(
                    at,
                    f"{unit.code} holds codes, which are names: nothing can be computed with them. Compare with ==.",
                )

    def _blame(self, at: Node, message: str) -> None:
        finding = Finding("units", "warning", message, at.line)
        if finding not in self.found:
            self.found.append(finding)


def unit_findings(program: CheckedProgram, abstraction: Abstraction) -> list[Finding]:
    """Return where a program joins or compares what cannot be joined or compared."""
    features = {feature.name: feature for feature in (*abstraction.features, abstraction.action)}
    units = _Units(features)
    units.follow(program.tree)
    return [*units.found, *_out_of_range(program, features)]


def _out_of_range(program: CheckedProgram, features: dict[str, Feature]) -> Iterator[Finding]:
    """Comparisons with numbers that a feature cannot pass."""
    seen = set()
    for statement in program.tree:
        for node in walk(statement):
            if not isinstance(node, Compare):
                continue
            for side, bound in ((node.left, node.right), (node.right, node.left)):
                feature = _feature(side, features)
                if feature is None or not isinstance(bound, Constant) or feature.codes:
                    continue
                if (
                    not feature.low <= float(bound.value) <= feature.high
                    and (node.line, feature.name) not in seen
                ):
                    seen.add((node.line, feature.name))
                    yield Finding(
                        "range",
                        "warning",
                        f"{feature.name} lies in [{feature.low:g}, {feature.high:g}], so comparing it with {float(bound.value):g} "
                        "decides nothing.",
                        node.line,
                    )


def _feature(expr: Expr, features: dict[str, Feature]) -> Feature | None:
    inner = expr.of if isinstance(expr, (Item, Convert)) else expr
    return features.get(inner.name) if isinstance(inner, Read) else None


def _said(unit: Unit) -> str:
    return f"{unit.written or 'a quantity'} ({unit.name})"
