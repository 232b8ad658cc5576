"""Bugs that are put into programs, in classes: what people and models get wrong in rewards."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from shapegym.shaping.programs.abstraction import Abstraction, Feature


@dataclass(frozen=True)
class Mutant:
    """A program with one bug."""

    kind: str
    what: str
    source: str


Edit = Callable[[ast.AST], ast.AST | None]
"""Returns what stands in the place of a node (it may change it), or None to leave it."""

_OPPOSITE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE,
    ast.LtE: ast.Gt,
    ast.Gt: ast.LtE,
    ast.GtE: ast.Lt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
}


def mutants(source: str, abstraction: Abstraction) -> Iterator[Mutant]:
    """Yield programs that differ from ``source`` by one bug."""
    tree = ast.parse(source)
    for kind, edits in _edits(tree, abstraction):
        for index, (what, edit) in enumerate(edits):
            changed = copy.deepcopy(tree)
            if edit(changed):
                text = ast.unparse(ast.fix_missing_locations(changed))
                if text != ast.unparse(tree):
                    yield Mutant(kind, f"{index}: {what}", text)


def _function(tree: ast.AST) -> ast.FunctionDef:
    return next(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def _nodes(tree: ast.AST, kind: type) -> list[ast.AST]:
    """Nodes of the function's body, in the order of the text."""
    body = _function(tree).body
    return [node for statement in body for node in ast.walk(statement) if isinstance(node, kind)]


def _parts(tree: ast.AST) -> list[str]:
    """Names of locals that become parts."""
    end = next(node for node in reversed(_function(tree).body) if isinstance(node, ast.Return))
    assert isinstance(end.value, ast.Tuple)
    parts = end.value.elts[1]
    assert isinstance(parts, ast.Dict)
    return [value.id for value in parts.values if isinstance(value, ast.Name)]


def _replace(tree: ast.AST, old: ast.AST, new: ast.AST) -> bool:
    class Swap(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> ast.AST:
            return new if node is old else self.generic_visit(node)

    Swap().visit(tree)
    return True


def _at(kind: type, index: int, change: Callable[[ast.AST], ast.AST | None]) -> Callable[[ast.AST], bool]:
    """Change the index-th node of a kind."""

    def edit(tree: ast.AST) -> bool:
        node = _nodes(tree, kind)[index]
        new = change(node)
        return new is not None and _replace(tree, node, new)

    return edit


def _before_return(tree: ast.AST, text: str) -> bool:
    """Put statements before the last return."""
    body = _function(tree).body
    at = max(index for index, node in enumerate(body) if isinstance(node, ast.Return))
    body[at:at] = ast.parse(text).body
    return True


def _edits(
    tree: ast.AST, abstraction: Abstraction
) -> Iterator[tuple[str, list[tuple[str, Callable[[ast.AST], bool]]]]]:
    parts = _parts(tree)
    reads = [node for node in _nodes(tree, ast.Attribute) if isinstance(node, ast.Attribute)]
    sided = [
        index
        for index, node in enumerate(reads)
        if isinstance(node.value, ast.Name) and node.value.id in ("before", "after")
    ]
    plain = [
        index
        for index, node in enumerate(reads)
        if isinstance(node.value, ast.Name) and node.value.id in ("before", "after", "state")
    ]
    compares = range(len(_nodes(tree, ast.Compare)))
    yield (
        "reversed condition",
        [
            *((f"comparison {i}", _at(ast.Compare, i, _opposite)) for i in compares),
            *((f"if {i}", _at(ast.If, i, _inverted)) for i in range(len(_nodes(tree, ast.If)))),
            *((f"choice {i}", _at(ast.IfExp, i, _inverted)) for i in range(len(_nodes(tree, ast.IfExp)))),
            *((f"not {i}", _at(ast.UnaryOp, i, _without_not)) for i in range(len(_nodes(tree, ast.UnaryOp)))),
        ],
    )
    yield (
        "flipped sign",
        [(part, lambda t, p=part: _before_return(t, f"{p} = -{p}") and _total(t, parts)) for part in parts],
    )
    yield (
        "wrong operand order",
        [
            (f"difference {i}", _at(ast.BinOp, i, _swapped_difference))
            for i in range(len(_nodes(tree, ast.BinOp)))
        ],
    )
    yield (
        "wrong feature",
        [
            (
                f"{reads[i].attr} -> {other.name}",
                _at(ast.Attribute, i, lambda node, o=other: _renamed(node, o.name)),
            )
            for i in plain
            for other in _alike(abstraction, reads[i].attr)[:4]
        ],
    )
    yield (
        "unit mix-up",
        [
            (
                f"{reads[i].attr} -> {other.name}",
                _at(ast.Attribute, i, lambda node, o=other: _renamed(node, o.name)),
            )
            for i in plain
            for other in _unlike(abstraction, reads[i].attr)[:2]
        ],
    )
    yield (
        "swapped before and after",
        [
            *((f"read {i}", _at(ast.Attribute, i, _other_side)) for i in sided),
            *([("everywhere", _all_sides)] if sided else []),
        ],
    )
    yield (
        "dead part",
        [
            (part, lambda t, p=part: _before_return(t, f"{p} = 0.0 * {p}") and _total(t, parts))
            for part in parts
        ],
    )
    yield (
        "constant part",
        [
            (
                f"{part} = {value}",
                lambda t, p=part, v=value: _before_return(t, f"{p} = {v}") and _total(t, parts),
            )
            for part in parts
            for value in (0.25, -0.4)
        ],
    )
    yield (
        "scale x1000",
        [
            (
                f"{part} * {factor:g}",
                lambda t, p=part, f=factor: _before_return(t, f"{p} = {p} * {f}") and _total(t, parts),
            )
            for part in parts
            for factor in (1e3, 1e-5)
        ],
    )
    yield (
        "farmable loop",
        [
            *(
                (f"{i} alone of and {a}", _at(ast.BoolOp, a, lambda node, i=i: _operand(node, i)))
                for a in range(len(_nodes(tree, ast.BoolOp)))
                for i in range(2)
            ),
            *(
                (
                    f"{part} keeps what it gains",
                    lambda t, p=part: _before_return(t, f"{p} = abs({p})") and _total(t, parts),
                )
                for part in parts
                if _function(tree).name == "compute_reward"
            ),
        ],
    )
    yield (
        "and for or",
        [(f"{i}", _at(ast.BoolOp, i, _other_bool)) for i in range(len(_nodes(tree, ast.BoolOp)))],
    )
    yield (
        "lingering",
        [
            (f"{part} + 0.1", lambda t, p=part: _before_return(t, f"{p} = {p} + 0.1") and _total(t, parts))
            for part in parts
            if _function(tree).name == "compute_reward"
        ],
    )
    yield (
        "off-by-one index",
        [(f"index {i}", _at(ast.Subscript, i, _other_index)) for i in range(len(_nodes(tree, ast.Subscript)))]
        + [(f"range {i}", _at(ast.Call, i, _shorter_range)) for i in range(len(_nodes(tree, ast.Call)))],
    )
    yield (
        "division by zero",
        [
            (
                f"{part} / {by}",
                lambda t, p=part, b=by: _before_return(t, f"{p} = {p} / {b}") and _total(t, parts),
            )
            for part in parts
            for by in _zeros(tree, abstraction)
        ],
    )
    memory = [i for i, node in enumerate(_nodes(tree, ast.Assign)) if _is_slot(node)]
    yield (
        "missing once-only guard",
        [
            *((f"memory is not written {i}", _at(ast.Assign, i, lambda node: ast.Pass())) for i in memory),
            *(
                (f"guard {i} left out", _at(ast.BoolOp, i, _without_memory))
                for i in range(len(_nodes(tree, ast.BoolOp)))
            ),
        ],
    )
    yield (
        "max for min",
        [(f"{i}", _at(ast.Call, i, _other_extreme)) for i in range(len(_nodes(tree, ast.Call)))],
    )
    yield (
        "left out of the total",
        [(part, lambda t, p=part: _without(t, p)) for part in parts if len(parts) > 1],
    )


def _total(tree: ast.AST, parts: list[str]) -> bool:
    """Let the total be the sum of the parts as they are now."""
    end = next(node for node in reversed(_function(tree).body) if isinstance(node, ast.Return))
    assert isinstance(end.value, ast.Tuple)
    end.value.elts[0] = ast.parse(" + ".join(parts), mode="eval").body
    return True


def _without(tree: ast.AST, part: str) -> bool:
    return _total(tree, [name for name in _parts(tree) if name != part])


def _opposite(node: ast.AST) -> ast.AST | None:
    assert isinstance(node, ast.Compare)
    node.ops = [_OPPOSITE[type(node.ops[0])]()]
    return node


def _inverted(node: ast.AST) -> ast.AST | None:
    assert isinstance(node, (ast.If, ast.IfExp))
    node.test = ast.UnaryOp(ast.Not(), node.test)
    return node


def _without_not(node: ast.AST) -> ast.AST | None:
    assert isinstance(node, ast.UnaryOp)
    return node.operand if isinstance(node.op, ast.Not) else None


def _swapped_difference(node: ast.AST) -> ast.AST | None:
    assert isinstance(node, ast.BinOp)
    if not isinstance(node.op, ast.Sub):
        return None
    node.left, node.right = node.right, node.left
    return node


def _renamed(node: ast.AST, name: str) -> ast.AST:
    assert isinstance(node, ast.Attribute)
    node.attr = name
    return node


def _other_side(node: ast.AST) -> ast.AST | None:
    assert isinstance(node, ast.Attribute)
    assert isinstance(node.value, ast.Name)
    node.value = ast.Name({"before": "after", "after": "before"}[node.value.id], ast.Load())
    return node


def _all_sides(tree: ast.AST) -> bool:
    for node in _nodes(tree, ast.Attribute):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id in ("before", "after")
        ):
            _other_side(node)
    return True


def _operand(node: ast.AST, index: int) -> ast.AST | None:
    assert isinstance(node, ast.BoolOp)
    return node.values[index] if isinstance(node.op, ast.And) else None


def _other_bool(node: ast.AST) -> ast.AST:
    assert isinstance(node, ast.BoolOp)
    node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    return node


def _other_index(node: ast.AST) -> ast.AST | None:
    assert isinstance(node, ast.Subscript)
    if not (isinstance(node.slice, ast.Constant) and node.slice.value in (0, 1)):
        return None
    node.slice = ast.Constant(1 - node.slice.value)
    return node


def _shorter_range(node: ast.AST) -> ast.AST | None:
    assert isinstance(node, ast.Call)
    if not (isinstance(node.func, ast.Name) and node.func.id == "range"):
        return None
    node.args = [ast.Constant(1)]
    return node


def _other_extreme(node: ast.AST) -> ast.AST | None:
    assert isinstance(node, ast.Call)
    if not (isinstance(node.func, ast.Name) and node.func.id in ("min", "max")):
        return None
    node.func = ast.Name({"min": "max", "max": "min"}[node.func.id], ast.Load())
    return node


def _is_slot(node: ast.AST) -> bool:
    target = node.targets[0] if isinstance(node, ast.Assign) else None
    return (
        isinstance(target, ast.Attribute)
        and isinstance(target.value, ast.Name)
        and target.value.id == "memory"
    )


def _without_memory(node: ast.AST) -> ast.AST | None:
    assert isinstance(node, ast.BoolOp)
    kept = [value for value in node.values if "memory" not in ast.unparse(value)]
    return kept[0] if len(kept) == 1 < len(node.values) else None


def _kind(feature: Feature) -> tuple[int, bool]:
    return feature.length, feature.kind == "truth"


def _alike(abstraction: Abstraction, name: str) -> list[Feature]:
    """Other features of the same shape and unit."""
    feature = abstraction.feature(name)
    if feature is None:
        return []
    return [
        other
        for other in abstraction.features
        if other.name != name
        and _kind(other) == _kind(feature)
        and (other.unit, bool(other.codes)) == (feature.unit, bool(feature.codes))
    ]


def _unlike(abstraction: Abstraction, name: str) -> list[Feature]:
    """Others that are as long, and mean something else."""
    feature = abstraction.feature(name)
    if feature is None:
        return []
    alike = _alike(abstraction, name)
    return [
        other
        for other in abstraction.features
        if other.name != name and other not in alike and _kind(other) == _kind(feature)
    ]


def _zeros(tree: ast.AST, abstraction: Abstraction) -> list[str]:
    """What can be 0 and tempts one to divide by it."""
    side = "state" if _function(tree).name == "potential" else "after"
    names = {feature.name for feature in abstraction.features}
    tempting = {
        "velocity": f"(0.07 - abs({side}.velocity))",
        "goal_pos": f"distance({side}.agent_pos, {side}.goal_pos)",
        "doors_open": f"{side}.doors_open",
        "agent_dir": f"{side}.agent_dir",
    }
    return [text for name, text in tempting.items() if name in names]
