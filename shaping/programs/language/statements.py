"""Reading statements: assignments, conditions, loops that are spelled out, and what is returned."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace

from shapegym.shaping.programs.language import sizes
from shapegym.shaping.programs.language.expressions import expression, number, truth, whole
from shapegym.shaping.programs.language.scope import Known, Names, Scope, TooMuch, entry, joined, place
from shapegym.shaping.programs.language.tree import (
    ANY,
    NUMBER,
    Assign,
    Branch,
    Build,
    Constant,
    Expr,
    Local,
    Remember,
    Return,
    Statement,
)
from shapegym.shaping.programs.language.values import as_number, entry_of

_HINTS: dict[type[ast.stmt], str] = {
    ast.While: "A while loop may not end: write for i in range(NUMBER).",
    ast.Import: "Nothing can be imported; sqrt, exp, norm and the like are there already.",
    ast.ImportFrom: "Nothing can be imported; sqrt, exp, norm and the like are there already.",
    ast.FunctionDef: "A program is one function: write the other's lines where they are used.",
    ast.AsyncFunctionDef: "A program is one function.",
    ast.ClassDef: "There are no classes.",
    ast.Try: "Nothing raises: 1 / 0 is inf, and the engine says where.",
    ast.With: "Nothing can be opened.",
    ast.Raise: "Nothing can be raised.",
    ast.Assert: "Nothing can be raised.",
    ast.Delete: "Nothing can be deleted.",
    ast.Global: "What lasts from step to step is a slot of memory.",
    ast.Nonlocal: "What lasts from step to step is a slot of memory.",
    ast.Break: "A loop runs to its end: use a condition in it.",
    ast.Continue: "A loop runs to its end: use a condition in it.",
    ast.Match: "Use if and elif.",
}


def block(body: Sequence[ast.stmt], scope: Scope) -> tuple[list[Statement], bool]:
    """Return the statements of a block, and whether every path through it returns."""
    statements: list[Statement] = []
    ends = False
    for at in body:
        with scope.inside(at):
            made, returns = _statement(at, scope)
        statements += made
        ends = ends or returns
    return statements, ends


def _statement(at: ast.stmt, scope: Scope) -> tuple[list[Statement], bool]:
    match at:
        case ast.Assign(targets=[target], value=value):
            return _assign(at, target, value, scope), False
        case ast.Assign():
            scope.complain(at, "syntax", "One name gets a value at a time.")
            return [], False
        case ast.AnnAssign(target=target, value=value) if value is not None:
            return _assign(at, target, value, scope), False
        case ast.AugAssign(target=target, op=op, value=value):
            return _assign(at, target, _sum_of(target, op, value), scope), False
        case ast.If():
            return _branch(at, scope)
        case ast.For():
            return _loop(at, scope)
        case ast.Return():
            return _return(at, scope)
        case ast.Pass() | ast.AnnAssign() | ast.Expr(value=ast.Constant(value=str())):
            return [], False
        case ast.Expr():
            scope.complain(
                at, "syntax", "This line has no effect: give its value to a name, or leave it out."
            )
            return [], False
    hint = _HINTS.get(type(at), "")
    scope.complain(
        at,
        "import" if isinstance(at, (ast.Import, ast.ImportFrom)) else "syntax",
        f"{type(at).__name__} is not part of the language. {hint}".strip(),
    )
    return [], False


def _sum_of(target: ast.expr, op: ast.operator, value: ast.expr) -> ast.expr:
    """``x + value`` for ``x += value``."""
    read = type(target)(**{**dict(ast.iter_fields(target)), "ctx": ast.Load()})
    return ast.copy_location(ast.BinOp(ast.copy_location(read, target), op, value), target)


# ------------------------------------------------------------------ assignments


def _assign(at: ast.stmt, target: ast.expr, value: ast.expr, scope: Scope) -> list[Statement]:
    match target:
        case ast.Name(id=name):
            if _is_dictionary(value, scope):
                return _dictionary(at, name, value, scope)
            return _set(at, target, name, expression(value, scope), scope)
        case ast.Tuple(elts=names) | ast.List(elts=names):
            return _unpack(at, names, value, scope)
        case ast.Attribute(value=ast.Name(id="memory"), attr=slot) if "memory" in scope.parameters:
            new = number(value, scope)
            if slot not in scope.slots:
                scope.complain(
                    target,
                    "memory",
                    f"There is no memory slot {slot!r}. Declare it at the top: MEMORY = {{{slot!r}: 0.0}}.",
                )
            return [Remember(*place(at), slot, new)]
        case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str(key))):
            return _set_entry(at, target, name, key, value, scope)
        case ast.Attribute():
            scope.complain(
                target, "attribute", "States cannot be changed; only memory.NAME and local names get values."
            )
        case _:
            scope.complain(
                target, "syntax", "Only names, memory slots and entries of a dictionary of parts get values."
            )
    return []


def _set(at: ast.stmt, target: ast.expr, name: str, value: Expr, scope: Scope) -> list[Statement]:
    if what := scope.taken(name):
        scope.complain(target, "name", f"{name!r} is {what} already: call this otherwise.")
        return []
    if not _plain(name):
        scope.complain(
            target,
            "name",
            f"A name has letters a to z, digits and _, at most {sizes.NAME_LENGTH}, and no __.",
        )
        return []
    _forget(name, scope.names)
    scope.names[name] = Known(value.type, value if _is_known(value) else None)
    return [Assign(*place(at), name, value)]


def _plain(name: str) -> bool:
    return name.isascii() and "__" not in name and len(name) <= sizes.NAME_LENGTH


def _is_known(value: Expr) -> bool:
    if isinstance(value, Build):
        return all(map(_is_known, value.items))
    return isinstance(value, Constant) and value.type != ANY


def _forget(name: str, names: Names) -> None:
    """Take a name's old value away, with the entries of a dictionary."""
    for key in (names.pop(name, None) or Known(ANY)).entries or ():
        names.pop(entry(name, key), None)


def _unpack(at: ast.stmt, targets: list[ast.expr], value: ast.expr, scope: Scope) -> list[Statement]:
    if isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(targets):
        values = [expression(item, scope) for item in value.elts]
    else:
        of = expression(value, scope)
        if of.type == ANY:
            values = [Constant(*place(at), ANY, 0.0)] * len(targets)
        elif of.type.length != len(targets):
            scope.complain(at, "type", f"Here are {len(targets)} names for {of.type}.")
            return []
        else:
            values = [entry_of(value, of, index) for index in range(len(targets))]
    if not all(isinstance(target, ast.Name) for target in targets):
        scope.complain(at, "syntax", "Several values go to several names.")
        return []
    names = [target.id for target in targets if isinstance(target, ast.Name)]
    # All values are there before the first name changes: a, b = b, a.
    aside = [f"{name} <- {place(at)}" for name in names]
    first = [Assign(*place(at), held, value) for held, value in zip(aside, values, strict=True)]
    then = [
        made
        for target, name, held, value in zip(targets, names, aside, values, strict=True)
        for made in _set(
            at, target, name, value if _is_known(value) else Local(*place(at), value.type, held), scope
        )
    ]
    return [*first, *then]


# ------------------------------------------------------------------ dictionaries of parts


def _is_dictionary(value: ast.expr, scope: Scope) -> bool:
    if isinstance(value, ast.Name):
        known = scope.names.get(value.id)
        return known is not None and known.entries is not None
    return isinstance(value, ast.Dict) or (
        isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "dict"
    )


def _items(at: ast.expr, scope: Scope) -> list[tuple[ast.expr, str, ast.expr | Known]]:
    """Place, key and value of each entry; of a dictionary that has a name, what is known of its value."""
    match at:
        case ast.Dict(keys=keys, values=values):
            pairs = list(zip(keys, values, strict=True))
        case ast.Call(args=[], keywords=keywords) if all(word.arg for word in keywords):
            pairs = [(ast.copy_location(ast.Constant(word.arg), word.value), word.value) for word in keywords]
        case ast.Name(id=name):
            return [(at, key, scope.names[entry(name, key)]) for key in scope.names[name].entries or ()]
        case _:
            pairs = [(None, at)]
    found: list[tuple[ast.expr, str, ast.expr | Known]] = []
    for key, value in pairs:
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            found.append((key, key.value, value))
        else:
            scope.complain(key or at, "parts", "Parts are written {'near': value, ...}, with texts as keys.")
    if len({key for _, key, _ in found}) < len(found):
        scope.complain(at, "parts", "Two parts have one name.")
    return found


def _check_part(at: ast.expr, key: str, scope: Scope) -> None:
    if not (key.isidentifier() and _plain(key)):
        scope.complain(
            at,
            "parts",
            f"A part's name is a word of letters, digits and _, such as 'near'; got {key[:60]!r}.",
        )


def _dictionary(at: ast.stmt, name: str, value: ast.expr, scope: Scope) -> list[Statement]:
    if isinstance(value, ast.Name):
        scope.complain(value, "parts", f"{value.id!r} is a dictionary of parts; it keeps its one name.")
        return []
    entries = [
        (key, place_of, number(given, scope))
        for place_of, key, given in _items(value, scope)
        if isinstance(given, ast.expr)
    ]
    if not _set(at, value, name, Constant(*place(at), ANY, 0.0), scope):
        return []
    scope.names[name] = Known(ANY, entries=())
    return [
        made for key, place_of, given in entries for made in _enter(at, place_of, name, key, given, scope)
    ]


def _set_entry(
    at: ast.stmt, target: ast.expr, name: str, key: str, value: ast.expr, scope: Scope
) -> list[Statement]:
    known = scope.names.get(name)
    if known is None or known.entries is None:
        scope.complain(
            target,
            "parts",
            f"{name!r} is no dictionary of parts: begin with {name} = {{}}. Vectors cannot be changed.",
        )
        return []
    return _enter(at, target, name, key, number(value, scope), scope)


def _enter(
    at: ast.stmt, place_of: ast.expr, name: str, key: str, value: Expr, scope: Scope
) -> list[Statement]:
    _check_part(place_of, key, scope)
    known = scope.names[name]
    scope.names[name] = replace(known, entries=tuple(dict.fromkeys((*(known.entries or ()), key))))
    scope.names[entry(name, key)] = Known(NUMBER, value if _is_known(value) else None)
    return [Assign(*place(at), entry(name, key), value)]


# ------------------------------------------------------------------ control


def _branch(at: ast.If, scope: Scope) -> tuple[list[Statement], bool]:
    condition = truth(at.test, scope)
    scope.count(at, 1, branches=1)
    before = scope.names
    paths = []
    for body in (at.body, at.orelse):
        scope.names = dict(before)
        paths.append((*block(body, scope), scope.names))
    (then, then_ends, one), (otherwise, otherwise_ends, two) = paths
    if then_ends or otherwise_ends:  # what comes behind is on the other path alone
        scope.names = two if then_ends else one
    else:
        scope.names, last, last_otherwise = joined(at, one, two)
        then, otherwise = then + last, otherwise + last_otherwise
    return [Branch(*place(at), condition, tuple(then), tuple(otherwise))], then_ends and otherwise_ends


def _loop(at: ast.For, scope: Scope) -> tuple[list[Statement], bool]:
    """A loop over ``range(...)`` or the entries of a vector, one copy of its body for each."""
    if at.orelse or not isinstance(at.target, ast.Name):
        scope.complain(at, "syntax", "A loop is written for i in range(NUMBER), without else.")
        return [], False
    statements: list[Statement] = []
    for value in _values(at, scope):
        scope.count(at)
        statements += _set(at, at.target, at.target.id, value, scope)
        body, ends = block(at.body, scope)
        statements += body
        if ends:
            return statements, True
    return statements, False


def _values(at: ast.For, scope: Scope) -> list[Expr]:
    if isinstance(at.iter, ast.Call) and isinstance(at.iter.func, ast.Name) and at.iter.func.id == "range":
        ends = [whole(argument, scope) for argument in at.iter.args]
        if at.iter.keywords or not 1 <= len(ends) <= 3:
            scope.complain(at.iter, "syntax", "range takes one to three numbers.")
            return []
        if None in ends or ends[2:] == [0]:
            return []
        numbers = range(*[end for end in ends if end is not None])
        if len(numbers[: sizes.WORK + 1]) > sizes.WORK:
            scope.complain(
                at, "size", f"This loop runs longer than {sizes.WORK} times, the most that a program may do."
            )
            raise TooMuch
        return [Constant(*place(at), NUMBER, float(value)) for value in numbers]
    of = expression(at.iter, scope)
    if of.type.kind == "vector":
        return [entry_of(at.iter, of, index) for index in range(of.type.length)]
    if of.type != ANY:
        scope.complain(
            at.iter, "type", f"A loop goes over range(NUMBER) or the entries of a vector; this is {of.type}."
        )
    return [Constant(*place(at), ANY, 0.0)]


def _return(at: ast.Return, scope: Scope) -> tuple[list[Statement], bool]:
    value = at.value
    if value is None:
        scope.complain(
            at, "return", "A program returns its total and its parts: return total, {'near': near}."
        )
        return [], True
    pair = isinstance(value, ast.Tuple) and len(value.elts) == 2 and _is_dictionary(value.elts[1], scope)
    if isinstance(value, ast.Tuple) and not pair:
        scope.complain(
            at, "return", "A program returns its total and its parts: return total, {'near': near}."
        )
        return [], True
    total_at, parts_at = value.elts if isinstance(value, ast.Tuple) else (value, None)
    total = number(total_at, scope)
    parts: list[tuple[str, Expr]] = []
    for place_of, key, given in _items(parts_at, scope) if parts_at is not None else ():
        _check_part(place_of, key, scope)
        if isinstance(given, ast.expr):
            parts.append((key, number(given, scope)))
        else:
            held = given.constant or Local(*place(place_of), given.type, entry(parts_at.id, key))  # type: ignore[union-attr]
            parts.append((key, as_number(place_of, held, scope)))
    return [Return(*place(at), total, tuple(parts))], True
