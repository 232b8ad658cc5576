"""Any checked program as genes: conditions become choices, local names their values, so that each part stands by itself.

What a language model writes has branches, early returns and names that several parts share; the grammar changes programs part by
part (`shapegym.shaping.programs.grammar.breeding`), so these are spelled out first. The kernel's straight-line code
(`shapegym.shaping.programs.evaluations.lowering`) is of single numbers; here vectors stay whole, so that features can be exchanged.
"""

from __future__ import annotations

import ast
import keyword
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce

from shapegym.shaping.errors import ExpressionError
from shapegym.shaping.programs.grammar.genes import Gene, Genome
from shapegym.shaping.programs.language.functions import FUNCTIONS
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

LONGEST = 1_500
"""Letters of a part whose names are spelled out; programs with longer ones stay as they are."""
_MOST_PATHS = 64
_SIDES = ("before", "after", "action", "state", "memory", "math", "np", "numpy")


@dataclass(frozen=True)
class _Path:
    """What names and memory slots hold on a path through a program, as source."""

    names: dict[str, str]
    slots: dict[str, str]


@dataclass(frozen=True)
class _End:
    """What a path returns, as parts whose sum it is, and remembers."""

    parts: dict[str, str]
    slots: dict[str, str]


def separated(program: CheckedProgram) -> Genome:
    """Return a program as genes, one for each part; where its total is not the sum of these, one for each addend.

    It pays the same, up to the order of sums. Of a slot that several parts share each gets one of its own.

    Raises:
        ExpressionError: if a part becomes too long.
    """
    end = _Separating(program).end
    slots = {name: f"was_{name}" for name, _ in program.slots}
    genes = []
    for name, value in end.parts.items():
        remembered = _needed(value, end.slots, slots)
        lines = [f"{slots[slot]} = memory.{slot}" for slot in remembered]
        lines += [f"memory.{slot} = {end.slots[slot]}" for slot in remembered]
        lines.append(f"{_part(name)} = {value}")
        kept = tuple((slot, begin) for slot, begin in program.slots if slot in remembered)
        genes.append(Gene(_part(name), tuple(ast.unparse(ast.parse(line)) for line in lines), kept))
    return Genome(program.form, ()).with_genes(genes)


def _needed(value: str, updates: dict[str, str], reads: dict[str, str]) -> list[str]:
    """The slots that a part reads, those that these are made of among them."""
    found: list[str] = []
    texts = [value]
    while texts:
        names = {node.id for node in ast.walk(ast.parse(texts.pop())) if isinstance(node, ast.Name)}
        fresh = [slot for slot in updates if reads[slot] in names and slot not in found]
        found += fresh
        texts += [updates[slot] for slot in fresh]
    return found


def _part(name: str) -> str:
    """A part's name as a local one."""
    taken = keyword.iskeyword(name) or name in FUNCTIONS or name in _SIDES
    return f"{name}_part" if taken else name


class _Separating:
    def __init__(self, program: CheckedProgram) -> None:
        self._paths = 0
        self.end = self._run(program.tree, _Path({}, {slot: f"was_{slot}" for slot, _ in program.slots}))

    def _run(self, statements: Sequence[Statement], path: _Path) -> _End:
        """What comes of the rest of a program."""
        self._paths += 1
        if self._paths > _MOST_PATHS:
            raise ExpressionError(f"This program has more than {_MOST_PATHS} paths.")
        for number, statement in enumerate(statements):
            match statement:
                case Return():
                    return self._returned(statement, path)
                case Branch() if _returns((statement,)):
                    rest = statements[number + 1 :]
                    test = self._text(statement.condition, path)
                    then, otherwise = (
                        self._run((*way, *rest), path) for way in (statement.then, statement.otherwise)
                    )
                    return _met(test, then, otherwise)
            path = self._step(statement, path)
        raise ExpressionError("A way through this program returns nothing.")

    def _step(self, statement: Statement, path: _Path) -> _Path:
        match statement:
            case Assign(name=name, value=value):
                return replace(path, names={**path.names, name: self._text(value, path)})
            case Remember(name=name, value=value):
                return replace(path, slots={**path.slots, name: self._text(value, path)})
            case Branch():
                test = self._text(statement.condition, path)
                then, otherwise = (
                    reduce(lambda so_far, each: self._step(each, so_far), way, path)
                    for way in (statement.then, statement.otherwise)
                )
                return _Path(
                    _chosen(test, then.names, otherwise.names), _chosen(test, then.slots, otherwise.slots)
                )
        raise AssertionError(statement)

    def _returned(self, end: Return, path: _Path) -> _End:
        summed = [(each, self._text(each, path)) for each in _addends(end.total)]
        given = [self._text(each, path) for _, value in end.parts for each in _addends(value)]
        if sorted(filter(_counts, given)) == sorted(text for _, text in summed if _counts(text)) and given:
            return _End({name: self._text(value, path) for name, value in end.parts}, path.slots)
        parts: dict[str, str] = {}
        for each, text in summed:
            name = each.name if isinstance(each, Local) and each.name.isidentifier() else "part"
            parts[name if name not in parts else f"{name}_{len(parts)}"] = text
        return _End(parts, path.slots)

    def _text(self, at: Expr, path: _Path) -> str:
        text = self._written(at, path)
        if len(text) > LONGEST:
            raise ExpressionError(f"A part of this program has more than {LONGEST:,} letters, spelled out.")
        return text

    def _written(self, at: Expr, path: _Path) -> str:
        match at:
            case Constant(value=value):
                if math.isnan(value):
                    raise ExpressionError("nan cannot be written as a number.")
                if math.isinf(value):
                    return "math.inf" if value > 0 else "(-math.inf)"
                text = repr(value if isinstance(value, bool) else float(value))
                return f"({text})" if text.startswith("-") else text
            case Read(side=side, name=name):
                return name if side == "action" else f"{side}.{name}"
            case Local(name=name):
                return path.names[name]
            case Slot(name=name):
                return path.slots[name]
            case Item(of=Build(items=items), index=index):
                return self._text(items[index], path)
            case Item(of=of, index=index):
                return f"{self._text(of, path)}[{index}]"
            case Build(items=items):
                return f"({', '.join(self._text(each, path) for each in items)},)"
            case Convert(of=of):
                return self._text(of, path)
            case Negative(of=of):
                return f"(-{self._text(of, path)})"
            case Not(of=of):
                return f"(not {self._text(of, path)})"
            case Compare(operator=operator, left=left, right=right):
                return f"({self._compared(left, path)} {operator} {self._compared(right, path)})"
            case Binary(operator=operator, left=left, right=right):
                return f"({self._text(left, path)} {operator} {self._text(right, path)})"
            case Both(left=left, right=right):
                return f"({self._text(left, path)} and {self._text(right, path)})"
            case Either(left=left, right=right):
                return f"({self._text(left, path)} or {self._text(right, path)})"
            case Choice(condition=condition, then=then, otherwise=otherwise):
                test = self._text(condition, path)
                return _choice(test, self._text(then, path), self._text(otherwise, path))
            case Call(function=function, arguments=arguments):
                return f"{function}({', '.join(self._text(each, path) for each in arguments)})"
        raise AssertionError(at)

    def _compared(self, at: Expr, path: _Path) -> str:
        """What is compared; whole numbers without a point are codes, which the grammar leaves alone."""
        if isinstance(at, Constant) and not isinstance(at.value, bool) and float(at.value).is_integer():
            return str(int(at.value))
        return self._text(at, path)


def _returns(statements: Sequence[Statement]) -> bool:
    return any(
        isinstance(each, Return)
        or (isinstance(each, Branch) and (_returns(each.then) or _returns(each.otherwise)))
        for each in statements
    )


def _addends(at: Expr) -> list[Expr]:
    if isinstance(at, Binary) and at.operator == "+":
        return _addends(at.left) + _addends(at.right)
    return [at]


def _counts(text: str) -> bool:
    """Whether an addend is more than 0."""
    return text not in ("0.0", "False")


def _choice(test: str, then: str, otherwise: str) -> str:
    return then if then == otherwise else f"({then} if {test} else {otherwise})"


def _chosen(test: str, then: dict[str, str], otherwise: dict[str, str]) -> dict[str, str]:
    """What names hold where two paths meet; a name of one path alone is read no more."""
    return {name: _choice(test, then[name], otherwise[name]) for name in then if name in otherwise}


def _met(test: str, then: _End, otherwise: _End) -> _End:
    """What two ways to the end return; 0 where one has no such part."""
    parts = {
        name: _choice(test, then.parts.get(name, "0.0"), otherwise.parts.get(name, "0.0"))
        for name in (*then.parts, *otherwise.parts)
    }
    return _End(parts, _chosen(test, then.slots, otherwise.slots))
