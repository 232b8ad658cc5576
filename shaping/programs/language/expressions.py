"""Reading expressions: Python's syntax tree to typed nodes, by an allow-list. What is not here does not exist."""

from __future__ import annotations

import ast
import math
from typing import Any, get_args

from shapegym.shaping.errors import suggest
from shapegym.shaping.programs.language.calls import call
from shapegym.shaping.programs.language.functions import CONSTANTS, SPELLINGS
from shapegym.shaping.programs.language.scope import Scope, entry, listed, place
from shapegym.shaping.programs.language.tree import (
    ANY,
    NUMBER,
    TRUTH,
    Both,
    Compare,
    Comparison,
    Constant,
    Either,
    Expr,
    Item,
    Local,
    Negative,
    Not,
    Operator,
    Read,
    Slot,
    vector,
)
from shapegym.shaping.programs.language.values import (
    arithmetic,
    as_number,
    as_truth,
    as_values,
    build,
    choice,
    entry_of,
    folded,
    spread,
    written,
)

_OPERATORS: dict[type[ast.operator], Operator] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
}
_COMPARISONS: dict[type[ast.cmpop], Comparison] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
_HINTS: dict[type[ast.expr], str] = {
    ast.Lambda: "Functions cannot be defined inside of a program. Write the formula where it is used.",
    ast.ListComp: "Write the entries out, or a for loop over range(...).",
    ast.SetComp: "Write the entries out, or a for loop over range(...).",
    ast.DictComp: "Write the entries out.",
    ast.GeneratorExp: "Write a for loop over range(...), or use sum, min, max of a vector.",
    ast.NamedExpr: "Give the name its value in a line of its own.",
    ast.JoinedStr: "There are no texts.",
    ast.Starred: "Write the arguments out.",
    ast.Dict: "A dictionary of parts gets a name of its own, parts = {...}, or is returned.",
    ast.Set: "There are no sets.",
    ast.Await: "Nothing can be waited for.",
    ast.Yield: "A program returns once.",
    ast.YieldFrom: "A program returns once.",
}
_SHORT = [name for name in SPELLINGS if "." not in name]


def expression(at: ast.expr, scope: Scope) -> Expr:
    """Return the typed node of an expression, complaining of what is wrong in it."""
    with scope.inside(at):
        return _expression(at, scope)


def _expression(at: ast.expr, scope: Scope) -> Expr:
    match at:
        case ast.Constant(value=value):
            return _constant(at, value, scope)
        case ast.Name(id=name):
            return _name(at, name, scope)
        case ast.Attribute():
            return _attribute(at, scope)
        case ast.Subscript():
            return _subscript(at, scope)
        case ast.Tuple(elts=items) | ast.List(elts=items):
            return build(at, [number(item, scope) for item in items], scope)
        case ast.UnaryOp(op=op, operand=operand):
            return _unary(at, op, operand, scope)
        case ast.BinOp(left=left, op=op, right=right):
            return _binary(at, left, op, right, scope)
        case ast.BoolOp(op=op, values=values):
            return _junction(at, op, values, scope)
        case ast.Compare():
            return _compare(at, scope)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return choice(at, truth(test, scope), expression(body, scope), expression(orelse, scope), scope)
        case ast.Call():
            return _call(at, scope)
    name = type(at).__name__
    return scope.complain(
        at, "syntax", f"{name} is not part of the language. {_HINTS.get(type(at), '')}".strip()
    )


# ------------------------------------------------------------------ of a wanted type


def number(at: ast.expr, scope: Scope) -> Expr:
    """Return an expression as a number."""
    return as_number(at, expression(at, scope), scope)


def truth(at: ast.expr, scope: Scope) -> Expr:
    """Return an expression as a truth value: numbers are true unless they are 0."""
    return as_truth(at, expression(at, scope), scope)


# ------------------------------------------------------------------ leaves


def _constant(at: ast.Constant, value: Any, scope: Scope) -> Expr:
    if isinstance(value, bool):
        return Constant(*place(at), TRUTH, value)
    if isinstance(value, (int, float)):
        held = float(value) if abs(value) <= 1e308 else math.inf
        if not math.isfinite(held):
            return scope.complain(at, "number", "This number is too large.")
        return Constant(*place(at), NUMBER, held)
    kind = {str: "a text", bytes: "a text", type(None): "None", complex: "a complex number"}.get(
        type(value), "Ellipsis"
    )
    return scope.complain(at, "type", f"There are numbers, true and false; here is {kind}.")


def _name(at: ast.Name, name: str, scope: Scope) -> Expr:
    if known := scope.names.get(name):
        if known.doubt:
            return scope.complain(
                at, "name", f"{name!r} {known.doubt}. Give it a value before the condition."
            )
        if known.entries is not None:
            return scope.complain(
                at,
                "type",
                f"{name!r} is a dictionary of parts: read one, {name}['...'], or sum({name}.values()).",
            )
        return known.constant or Local(*place(at), known.type, name)
    if name in scope.constants:
        return scope.constants[name]
    if name in scope.parameters:
        if name == "action":
            return _read(at, "action", "action", scope)
        return scope.complain(
            at, "type", f"{name!r} is no value: read something of it, such as {name}.{_any_feature(scope)}."
        )
    if name in SPELLINGS or name in ("np", "numpy", "math"):
        return scope.complain(at, "type", f"{name!r} is no value: call a function.")
    return scope.unknown(at, name)


def dotted(at: ast.expr) -> str:
    """Return ``a.b.c`` where a piece of source is written so, or nothing."""
    if isinstance(at, ast.Name):
        return at.id
    inner = dotted(at.value) if isinstance(at, ast.Attribute) else ""
    return f"{inner}.{at.attr}" if inner and isinstance(at, ast.Attribute) else ""


def spelled(name: str) -> str:
    """Return a dotted name with ``np`` for ``numpy``."""
    return f"np{name[5:]}" if name.startswith("numpy.") else name


def _attribute(at: ast.Attribute, scope: Scope) -> Expr:
    name = dotted(at)
    root, _, path = name.partition(".")
    if not name or "__" in name:
        return scope.complain(
            at,
            "attribute",
            "Attributes are read of the states (and of memory) alone, by the names of features.",
        )
    if root == "memory":
        if path not in scope.slots:
            return scope.complain(
                at,
                "memory",
                f"There is no memory slot {path!r}. Declare it at the top: MEMORY = {{{path!r}: 0.0}}.",
            )
        return Slot(*place(at), NUMBER, path)
    if root in ("before", "after", "state") and root in scope.parameters:
        return _read(at, root, path, scope)
    if root == "action" and root in scope.parameters:
        return _read(at, "action", name, scope)
    if spelled(name) in CONSTANTS:
        return Constant(*place(at), NUMBER, CONSTANTS[spelled(name)])
    if root in ("np", "numpy", "math"):
        return scope.complain(at, "name", f"{name} is not known.{suggest(name, _SHORT)}")
    if root in ("before", "after", "state"):
        return scope.complain(
            at,
            "name",
            f"This program has the arguments {listed(scope.parameters)}; {root!r} is none of them.",
        )
    if root in scope.names or root in scope.constants:
        return scope.complain(
            at, "attribute", f"{root!r} has no attributes. Numbers of a vector are {root}[0], {root}[1]."
        )
    return scope.unknown(at, root)


def _read(at: ast.expr, side: Any, name: str, scope: Scope) -> Expr:
    scope.reads[side, name] = None
    if scope.abstraction is None:
        return Read(*place(at), ANY, side, name)
    known = scope.abstraction.action if name == "action" else scope.abstraction.feature(name)
    if known is None:
        names = [feature.name for feature in scope.abstraction.features]
        return scope.complain(at, "feature", f"There is no feature {name!r}.{suggest(name, names)}")
    kind = vector(known.length) if known.length else TRUTH if known.kind == "truth" else NUMBER
    return Read(*place(at), kind, side, name)


def _any_feature(scope: Scope) -> str:
    features = scope.abstraction.features if scope.abstraction else ()
    return features[0].name if features else "agent_pos"


# ------------------------------------------------------------------ compounds


def _subscript(at: ast.Subscript, scope: Scope) -> Expr:
    if (
        isinstance(at.value, ast.Name)
        and (known := scope.names.get(at.value.id))
        and known.entries is not None
    ):
        return _entry(at, at.value.id, scope)
    of = expression(at.value, scope)
    if of.type.kind in ("number", "truth"):
        return scope.complain(at, "type", f"{written(at.value)} is one number, so it has no entries.")
    length = of.type.length if of.type != ANY else None
    if isinstance(at.slice, ast.Slice):
        return _slice(at, at.slice, of, scope)
    index = whole(at.slice, scope)
    if index is None:
        return Constant(*place(at), ANY, 0.0)
    if length is None:
        return Item(*place(at), ANY, of, index)
    if not -length <= index < length:
        return scope.complain(
            at, "index", f"{written(at.value)} has {length} entries, 0 to {length - 1}; here is {index}."
        )
    return entry_of(at, of, index % length)


def _slice(at: ast.Subscript, cut: ast.Slice, of: Expr, scope: Scope) -> Expr:
    ends = [None if end is None else whole(end, scope) for end in (cut.lower, cut.upper, cut.step)]
    if of.type == ANY:
        return Constant(*place(at), ANY, 0.0)
    if ends[2] == 0:
        return scope.complain(at, "index", "A slice cannot have the step 0.")
    return build(at, [entry_of(at, of, index) for index in range(of.type.length)[slice(*ends)]], scope)


def whole(at: ast.expr, scope: Scope) -> int | None:
    """Return a whole number that is known while the program is read; None after a complaint."""
    node = number(at, scope)
    if (
        isinstance(node, Constant)
        and node.type != ANY
        and math.isfinite(node.value)
        and float(node.value).is_integer()
    ):
        return int(node.value)
    if node.type != ANY or not isinstance(node, Constant):  # otherwise the complaint is made already
        scope.complain(
            at,
            "index",
            "Here belongs a whole number that is known beforehand: a constant or a loop variable.",
        )
    return None


def _entry(at: ast.Subscript, name: str, scope: Scope) -> Expr:
    if not (isinstance(at.slice, ast.Constant) and isinstance(at.slice.value, str)):
        return scope.complain(at, "type", f"Parts are read by their names: {name}['near'].")
    known = scope.names.get(entry(name, at.slice.value))
    if known is None or known.doubt:
        why = known.doubt if known else "has no value here"
        return scope.complain(at, "name", f"{name}[{at.slice.value!r}] {why}.")
    return known.constant or Local(*place(at), known.type, entry(name, at.slice.value))


def _unary(at: ast.expr, op: ast.unaryop, operand: ast.expr, scope: Scope) -> Expr:
    if isinstance(op, ast.Not):
        return folded(Not(*place(at), TRUTH, truth(operand, scope)))
    of = as_values(operand, expression(operand, scope))
    if isinstance(op, ast.Invert):
        return scope.complain(at, "syntax", "There is no ~; write not.")
    if isinstance(op, ast.UAdd):
        return of
    scope.count(at, of.type.size)
    return folded(Negative(*place(at), of.type, of))


def _binary(at: ast.expr, left: ast.expr, op: ast.operator, right: ast.expr, scope: Scope) -> Expr:
    one, two = expression(left, scope), expression(right, scope)
    if isinstance(op, (ast.BitAnd, ast.BitOr)) and one.type == two.type == TRUTH:
        return (Both if isinstance(op, ast.BitAnd) else Either)(*place(at), TRUTH, one, two)
    operator = _OPERATORS.get(type(op))
    if operator is None:
        return scope.complain(
            at,
            "syntax",
            f"There is no operator {type(op).__name__}; there are {' '.join(get_args(Operator))}, and or not.",
        )
    literal = [isinstance(side, (ast.Tuple, ast.List)) for side in (left, right)]
    if any(literal) and all(
        is_one or kind.kind != "vector" for is_one, kind in zip(literal, (one.type, two.type), strict=True)
    ):
        return scope.complain(
            at, "type", "Python repeats and joins lists; for arithmetic entry by entry write np.array([...])."
        )
    return arithmetic(at, operator, as_values(left, one), as_values(right, two), scope)


def _junction(at: ast.expr, op: ast.boolop, values: list[ast.expr], scope: Scope) -> Expr:
    scope.few(at, len(values))
    result = expression(values[0], scope)
    for value in values[1:]:
        other = expression(value, scope)
        if result.type == other.type == TRUTH:
            scope.count(at)
            result = folded((Both if isinstance(op, ast.And) else Either)(*place(at), TRUTH, result, other))
        else:  # as Python has it: one of the two
            holds = as_truth(value, result, scope)
            then, otherwise = (other, result) if isinstance(op, ast.And) else (result, other)
            result = choice(at, holds, then, otherwise, scope)
    return result


def _compare(at: ast.Compare, scope: Scope) -> Expr:
    scope.few(at, len(at.ops))
    result: Expr | None = None
    left, one = at.left, expression(at.left, scope)
    for op, right in zip(at.ops, at.comparators, strict=True):
        two = expression(right, scope)
        link = _link(at, op, left, one, right, two, scope)
        result = link if result is None else folded(Both(*place(at), TRUTH, result, link))
        left, one = right, two
    assert result is not None  # noqa: S101  # Python's grammar has at least one
    return result


def _link(
    at: ast.expr, op: ast.cmpop, left: ast.expr, one: Expr, right: ast.expr, two: Expr, scope: Scope
) -> Expr:
    if isinstance(op, (ast.In, ast.NotIn)):
        return _among(at, isinstance(op, ast.NotIn), as_number(left, one, scope), two, scope)
    operator = _COMPARISONS.get(type(op))
    if operator is None:
        return scope.complain(at, "syntax", "There is no 'is'; compare with == or !=.")
    one, two = as_values(left, one), as_values(right, two)
    kind = spread(at, [one, two], scope)
    scope.count(at, kind.size)
    if kind.kind == "vector":
        if operator not in ("==", "!="):
            return scope.complain(
                at, "type", f"Vectors have no order: compare one number, {written(left)}[0] {operator} ..."
            )
        if one.type != two.type:
            return scope.complain(
                at,
                "type",
                f"{written(left)} is {one.type}, {written(right)} is {two.type}: they are never equal.",
            )
    return folded(Compare(*place(at), TRUTH, operator, one, two))


def _among(at: ast.expr, negated: bool, one: Expr, values: Expr, scope: Scope) -> Expr:
    if ANY in {values.type, one.type}:
        return Constant(*place(at), ANY, 0.0)
    if values.type.kind != "vector":
        return scope.complain(at, "type", "Behind 'in' belong several numbers: x in (1, 2).")
    scope.few(at, values.type.length)
    result: Expr | None = None
    for index in range(values.type.length):
        scope.count(at)
        equal = folded(Compare(*place(at), TRUTH, "==", one, entry_of(at, values, index)))
        result = equal if result is None else folded(Either(*place(at), TRUTH, result, equal))
    assert result is not None  # noqa: S101  # vectors have entries
    return folded(Not(*place(at), TRUTH, result)) if negated else result


# ------------------------------------------------------------------ calls


def _call(at: ast.Call, scope: Scope) -> Expr:
    name = spelled(dotted(at.func))
    if name == "range":
        return scope.complain(at, "syntax", "range(...) belongs into a for loop.")
    function = SPELLINGS.get(name)
    if function is None:
        shown = name or written(at.func)
        return scope.complain(at, "call", f"There is no function {shown!r}.{suggest(shown, _SHORT)}")
    if at.keywords:
        return scope.complain(at, "call", f"{name} takes its arguments by position, without names.")
    if name == "sum" and len(at.args) == 1 and (entries := _values_of(at.args[0], scope)) is not None:
        return entries
    if name == "float" and len(at.args) == 1 and (infinite := _infinite(at.args[0])) is not None:
        return infinite
    return call(at, name, function, [expression(argument, scope) for argument in at.args], scope)


def _values_of(at: ast.expr, scope: Scope) -> Expr | None:
    """The sum of ``parts.values()``; None if it is something else."""
    name = dotted(at.func) if isinstance(at, ast.Call) and not at.args and not at.keywords else ""
    dictionary, _, method = name.rpartition(".")
    known = scope.names.get(dictionary)
    if method != "values" or known is None or known.entries is None:
        return None
    scope.few(at, len(known.entries))
    total: Expr = Constant(*place(at), NUMBER, 0.0)
    for place_of, key in enumerate(known.entries):
        value = scope.names[entry(dictionary, key)]
        read = value.constant or Local(*place(at), value.type, entry(dictionary, key))
        total = (
            as_values(at, read) if not place_of else arithmetic(at, "+", total, as_values(at, read), scope)
        )
    return total


def _infinite(at: ast.expr) -> Expr | None:
    """``float("inf")``, with which people begin a search for the least."""
    value = at.value if isinstance(at, ast.Constant) else None
    if isinstance(value, str) and value.lower().lstrip("+-") in ("inf", "infinity"):
        return Constant(*place(at), NUMBER, -math.inf if value.startswith("-") else math.inf)
    return None
