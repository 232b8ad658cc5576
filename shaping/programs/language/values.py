"""Typed nodes made of typed nodes: conversions, vectors, choices, arithmetic; constants are folded on the way."""

from __future__ import annotations

import ast
import math

from shapegym.shaping.programs.language.meaning import Frame, evaluator
from shapegym.shaping.programs.language.scope import Scope, place
from shapegym.shaping.programs.language.tree import (
    ANY,
    NUMBER,
    TRUTH,
    Binary,
    Build,
    Choice,
    Constant,
    Convert,
    Expr,
    Item,
    Operator,
    Type,
    vector,
)


def as_number(at: ast.expr, of: Expr, scope: Scope) -> Expr:
    """Return a value as a number; true is 1."""
    if of.type.kind == "truth":
        return folded(Convert(*place(at), NUMBER, of))
    if of.type.kind == "vector":
        return scope.complain(
            at, "type", f"Here belongs a number, and {written(at)} is {of.type}. Pick one: {written(at)}[0]."
        )
    return of


def as_truth(at: ast.expr, of: Expr, scope: Scope) -> Expr:
    """Return a value as a truth."""
    if of.type.kind == "number":
        return folded(Convert(*place(at), TRUTH, of))
    if of.type.kind == "vector":
        return scope.complain(
            at, "type", f"Here belongs a condition, and {written(at)} is {of.type}. Compare one number of it."
        )
    return of


def as_values(at: ast.expr, of: Expr) -> Expr:
    """Return what arithmetic works on: a number or a vector."""
    return folded(Convert(*place(at), NUMBER, of)) if of.type.kind == "truth" else of


def written(at: ast.expr) -> str:
    """Return a piece of source, in short."""
    text = ast.unparse(at)
    return text if len(text) <= 40 else f"{text[:36]} ..."


def build(at: ast.expr, items: list[Expr], scope: Scope) -> Expr:
    """Return a vector of numbers."""
    if not items:
        return scope.complain(at, "type", "An empty vector has no use here.")
    scope.count(at, 0)
    return Build(*place(at), vector(len(items)), tuple(items))


def choice(at: ast.expr, condition: Expr, then: Expr, otherwise: Expr, scope: Scope) -> Expr:
    """Return a conditional expression, both sides made one type."""
    if {then.type.kind, otherwise.type.kind} == {"number", "truth"}:
        then, otherwise = as_values(at, then), as_values(at, otherwise)
    kind = met(then.type, otherwise.type)
    if kind is None:
        return scope.complain(
            at, "type", f"One side of the condition is {then.type}, the other {otherwise.type}."
        )
    scope.count(at, kind.size, branches=1)
    return folded(Choice(*place(at), kind, condition, then, otherwise))


def met(one: Type, two: Type) -> Type | None:
    """Return the type of what is of either type; None if there is none."""
    if ANY in (one, two):
        return ANY
    return one if one == two else None


def spread(at: ast.expr, operands: list[Expr], scope: Scope) -> Type:
    """Return the type of what is computed entry by entry from numbers and vectors, whose lengths agree."""
    kinds = [operand.type for operand in operands]
    if ANY in kinds:
        return ANY
    vectors = list(dict.fromkeys(kind for kind in kinds if kind.kind == "vector"))
    if len(vectors) > 1:
        return scope.complain(
            at, "type", f"{vectors[0]} and {vectors[1]} do not go together in {written(at)}."
        ).type
    return vectors[0] if vectors else NUMBER


def folded(node: Expr) -> Expr:
    """Return the constant that a node of constants is, or the node."""
    children = [child for child in node.children if isinstance(child, Expr)]
    if node.type.kind in ("any", "vector") or not children or not all(map(_is_constant, children)):
        return node
    return Constant(node.line, node.column, node.type, evaluator(node)(Frame()))


def _is_constant(node: Expr) -> bool:
    return node.type != ANY and (
        isinstance(node, Constant) or (isinstance(node, Build) and all(map(_is_constant, node.items)))
    )


def finite(at: ast.expr, node: Expr, scope: Scope) -> Expr:
    """Complain if constants came to something that is not finite."""
    if isinstance(node, Constant) and not math.isfinite(node.value):
        return scope.complain(
            at, "number", f"{written(at)} comes to {node.value}, which is no number to compute with."
        )
    return node


def entry_of(at: ast.expr, of: Expr, index: int) -> Expr:
    """Return an entry of a vector."""
    return of.items[index] if isinstance(of, Build) else Item(*place(at), NUMBER, of, index)


def arithmetic(at: ast.expr, operator: Operator, one: Expr, two: Expr, scope: Scope) -> Expr:
    """Return ``one operator two``."""
    kind = spread(at, [one, two], scope)
    scope.count(at, kind.size)
    return finite(at, folded(Binary(*place(at), kind, operator, one, two)), scope)
