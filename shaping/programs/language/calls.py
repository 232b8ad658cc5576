"""Calls of the language's functions: are there as many arguments as it takes, of the right kinds, and what comes out."""

from __future__ import annotations

import ast

from shapegym.shaping.programs.language.functions import Function
from shapegym.shaping.programs.language.scope import Scope, place
from shapegym.shaping.programs.language.tree import ANY, NUMBER, Call, Constant, Expr
from shapegym.shaping.programs.language.values import (
    arithmetic,
    as_number,
    as_truth,
    as_values,
    build,
    choice,
    finite,
    folded,
    spread,
    written,
)


def call(at: ast.Call, name: str, function: Function, arguments: list[Expr], scope: Scope) -> Expr:
    """Return the node of a call of ``function``, spelled ``name``, with arguments that were read."""
    least, most = function.least, function.most
    if not least <= len(arguments) <= most:
        wanted = str(least) if least == most else f"{least} to {most}"
        return scope.complain(at, "call", f"{name} takes {wanted} argument(s), here are {len(arguments)}.")
    values = [as_values(argument, node) for argument, node in zip(at.args, arguments, strict=True)]
    match function.shape:
        case "each" | "pair" | "clip":
            return _spread(at, function.name, values, scope)
        case "extreme":
            return _extreme(at, function.name, values, scope)
        case "whole" | "vectors":
            return _whole(at, function.name, values, scope)
        case "length":
            return _length(at, values[0], scope)
        case "vector":
            return (
                arguments[0]
                if arguments[0].type.kind in ("vector", "any")
                else build(at, arguments[:1], scope)
            )
        case "number":
            return as_number(at.args[0], arguments[0], scope)
        case "truth":
            return as_truth(at.args[0], arguments[0], scope)
        case "where":
            return choice(at, as_truth(at.args[0], arguments[0], scope), arguments[1], arguments[2], scope)


def _spread(at: ast.Call, name: str, values: list[Expr], scope: Scope) -> Expr:
    if name == "pow":
        return arithmetic(at, "**", values[0], values[1], scope)
    kind = spread(at, values, scope)
    scope.count(at, kind.size)
    return finite(at, folded(Call(*place(at), kind, name, tuple(values))), scope)


def _extreme(at: ast.Call, name: str, values: list[Expr], scope: Scope) -> Expr:
    """``min`` and ``max``: of the entries of one vector, or of several values from left to right."""
    if len(values) == 1:
        if values[0].type.kind == "number":
            return scope.complain(
                at, "call", f"{name} of one number is that number: give it several, or a vector."
            )
        return _whole(at, name, values, scope)
    result = values[0]
    for value in values[1:]:
        kind = spread(at, [result, value], scope)
        scope.count(at, kind.size)
        result = folded(Call(*place(at), kind, name, (result, value)))
    return result


def _whole(at: ast.Call, name: str, values: list[Expr], scope: Scope) -> Expr:
    kinds = [value.type for value in values]
    if name in ("distance", "manhattan") and all(kind == NUMBER for kind in kinds):
        return _spread(at, "abs", [arithmetic(at, "-", values[0], values[1], scope)], scope)  # on a line
    for argument, kind in zip(at.args, kinds, strict=True):
        if kind != ANY and kind.kind != "vector":
            return scope.complain(at, "type", f"{name} takes vectors, and {written(argument)} is {kind}.")
    known = list(dict.fromkeys(kind for kind in kinds if kind != ANY))
    if len(known) > 1:
        return scope.complain(at, "type", f"{name} of {known[0]} and {known[1]}: they must be as long.")
    scope.count(at, 2 * max((kind.length for kind in kinds), default=1))
    return finite(at, folded(Call(*place(at), NUMBER, name, tuple(values))), scope)


def _length(at: ast.Call, value: Expr, scope: Scope) -> Expr:
    if value.type == ANY:
        return Constant(*place(at), ANY, 0.0)
    if value.type.kind != "vector":
        return scope.complain(at, "type", f"len takes a vector, and {written(at.args[0])} is {value.type}.")
    return Constant(*place(at), NUMBER, float(value.type.length))
