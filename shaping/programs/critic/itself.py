"""Computations that say nothing: a thing compared with itself, and the distance between two things that no action moves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from shapegym.shaping.programs.critic.finding import Finding
from shapegym.shaping.programs.critic.paid import Measured
from shapegym.shaping.programs.language.tree import Binary, Call, Compare, Constant, Expr, Node, walk
from shapegym.shaping.programs.program import CheckedProgram

_MOVES, _ENOUGH = 0.25, 10
"""In which share of the steps that move anything a distance changes at least that an agent steers; and of how many steps."""


def itself_findings(program: CheckedProgram) -> Iterator[Finding]:
    """Yield differences, distances and comparisons of a thing with itself."""
    said = set()
    for statement in program.tree:
        for node in walk(statement):
            match node:
                case Binary(operator="-" | "/", left=one, right=two) | Compare(left=one, right=two):
                    pass
                case Call(function="distance" | "manhattan" | "min" | "max", arguments=(one, two)):
                    pass
                case _:
                    continue
            if same(one, two) and not isinstance(one, Constant) and node.line not in said:
                said.add(node.line)
                yield Finding(
                    "itself",
                    "warning",
                    "a thing is compared with itself, or taken from itself, which always gives the same. Is a side, a feature or "
                    "an index the wrong one?",
                    node.line,
                )


def still_findings(measured: Measured) -> Iterator[Finding]:
    """Yield distances between two features that hardly any step changes."""
    if not any(paid.known.solvable for paid in measured.paid):
        return
    for (line, _), moved in sorted(measured.moved.items()):
        if moved.steps >= _ENOUGH and moved.changed < _MOVES * moved.steps:
            one, two = moved.features
            yield Finding(
                "still",
                "warning",
                f"the distance between {one} and {two} changed in {moved.changed:,} of the {moved.steps:,} steps in which things "
                "moved and it was computed: the agent hardly moves either. Is it the place of the agent that should be in it?",
                line,
            )


def same(one: Expr, two: Expr) -> bool:
    """Whether two expressions are written alike, wherever they stand."""
    if type(one) is not type(two):
        return False
    names = [item.name for item in fields(one) if item.name not in ("line", "column")]
    return all(_alike(getattr(one, name), getattr(two, name)) for name in names)


def _alike(one: object, two: object) -> bool:
    if isinstance(one, Node) and isinstance(two, Expr):
        return isinstance(one, Expr) and same(one, two)
    if isinstance(one, tuple) and isinstance(two, tuple):
        return len(one) == len(two) and all(map(_alike, one, two))
    return bool(one == two)
