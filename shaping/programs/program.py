"""Reading a program: text in, a typed tree or complaints out. Nothing of it is run, and nothing but the tree is kept of it."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from shapegym.shaping.programs.abstraction import Abstraction
from shapegym.shaping.programs.language import sizes
from shapegym.shaping.programs.language.complaint import Complaint, ProgramError
from shapegym.shaping.programs.language.expressions import expression
from shapegym.shaping.programs.language.scope import Form, Scope, TooMuch, listed
from shapegym.shaping.programs.language.statements import block
from shapegym.shaping.programs.language.tree import ANY, Build, Constant, Expr, Node, Return, Statement, walk

SIGNATURES: dict[str, tuple[Form, tuple[str, ...]]] = {
    "compute_reward": ("reward", ("before", "after", "action")),
    "potential": ("potential", ("state",)),
}
"""Of the function that a program is: its form and its arguments; a reward may have ``memory`` behind them."""

_ANNOTATIONS = (
    ast.Name,
    ast.Attribute,
    ast.Subscript,
    ast.Tuple,
    ast.List,
    ast.Constant,
    ast.BinOp,
    ast.BitOr,
    ast.Load,
)


@dataclass(frozen=True)
class CheckedProgram:
    """A program that was read.

    Attributes:
        source: its text.
        form: "reward" (of a step) or "potential" (of a state).
        parts: names of its parts, in order.
        reads: what it reads, in order: (side, name); the side is "before", "after", "state" or "action".
        slots: names of its memory slots, with the values that they have when an episode begins.
        tree: its statements.
        typed: whether every type is known, so that it can be evaluated: not without an abstraction.
    """

    source: str
    form: Form
    parts: tuple[str, ...]
    reads: tuple[tuple[str, str], ...]
    slots: tuple[tuple[str, float], ...]
    tree: tuple[Statement, ...]
    typed: bool

    def fresh_memory(self, num_lanes: int) -> np.ndarray:
        """Return what is remembered when an episode begins, a row a slot, (S, B)."""
        values = np.array([value for _, value in self.slots], dtype=np.float64)
        return np.repeat(values[:, None], num_lanes, axis=1)

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features that it reads on any side."""
        return tuple(dict.fromkeys(name for side, name in self.reads if side != "action"))


@lru_cache(maxsize=256)
def read_program(source: str, abstraction: Abstraction | None = None) -> CheckedProgram:
    """Read a program.

    Args:
        source: its text; see docs/programs.md for the language.
        abstraction: what it may see. Without one any feature may be read, and lengths and kinds are not checked.

    Raises:
        ProgramError: if it is refused; `ProgramError.complaints` says all that was found.
    """
    module = _parse(source)
    function = _function(module)
    form, arguments = SIGNATURES[function.name]
    scope = Scope(form, abstraction, (*arguments, *_memory_of(function)), {}, {})
    body: list[Statement] = []
    with suppress(TooMuch):
        _check_arguments(function, arguments, scope)
        for statement in module.body:
            if statement is not function:
                _declare(statement, scope)
        body, ends = block(function.body, scope)
        if not ends:
            scope.complain(function, "return", "Some way through the program ends without a return.")
        if len(parts := _parts(body)) > sizes.PARTS:
            scope.complain(
                function, "size", f"There are {len(parts)} parts, at most {sizes.PARTS} are kept. Join some."
            )
    if scope.complaints:
        raise ProgramError(sorted(scope.complaints, key=lambda complaint: (complaint.line, complaint.column)))
    typed = not any(isinstance(node, Expr) and node.type == ANY for node in _nodes(body))
    return CheckedProgram(
        source, form, _parts(body), tuple(scope.reads), tuple(scope.slots.items()), tuple(body), typed
    )


def _parts(body: Sequence[Statement]) -> tuple[str, ...]:
    returns = (node for node in _nodes(body) if isinstance(node, Return))
    return tuple(dict.fromkeys(name for end in returns for name, _ in end.parts))


def _nodes(body: Sequence[Statement]) -> Iterator[Node]:
    for statement in body:
        yield from walk(statement)


def _refuse(line: int, column: int, rule: str, message: str) -> ProgramError:
    return ProgramError([Complaint(line, column, rule, message)])


def _parse(source: str) -> ast.Module:
    """Python's own tree of a source that is not too large, nor too deep for Python."""
    if not isinstance(source, str):
        raise _refuse(0, 0, "syntax", f"A program is a text, got {type(source).__name__}.")
    if (size := len(source.encode(errors="replace"))) > sizes.SOURCE_BYTES:
        raise _refuse(
            0, 0, "size", f"The program has {size:,} bytes, at most {sizes.SOURCE_BYTES:,} are read."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = ast.parse(source)
    except SyntaxError as error:
        reason = error.msg if isinstance(error.msg, str) else "it cannot be read"
        raise _refuse(
            error.lineno or 0, error.offset or 0, "syntax", f"This is no Python: {reason}."
        ) from None
    except (ValueError, RecursionError, MemoryError) as error:
        reason = "it is nested too deeply" if isinstance(error, (RecursionError, MemoryError)) else str(error)
        raise _refuse(0, 0, "syntax", f"This is no Python: {reason}.") from None
    if sum(1 for _ in ast.walk(module)) > sizes.NODES:
        raise _refuse(
            0, 0, "size", f"The program has more than {sizes.NODES:,} pieces of syntax. Leave something out."
        )
    return module


def _function(module: ast.Module) -> ast.FunctionDef:
    """The one function of a program that has a name it can have."""
    functions = [one for one in module.body if isinstance(one, ast.FunctionDef) and one.name in SIGNATURES]
    if len(functions) != 1:
        found = f"{len(functions)} of them" if functions else "none"
        raise _refuse(
            0,
            0,
            "form",
            "A program is one function, compute_reward(before, after, action) or potential(state); here is "
            + found
            + ".",
        )
    return functions[0]


def _memory_of(function: ast.FunctionDef) -> tuple[str, ...]:
    names = [argument.arg for argument in function.args.args]
    return ("memory",) if function.name == "compute_reward" and names[3:4] == ["memory"] else ()


def _check_arguments(function: ast.FunctionDef, wanted: tuple[str, ...], scope: Scope) -> None:
    given = function.args
    plain = not (given.posonlyargs or given.kwonlyargs or given.vararg or given.kwarg or given.defaults)
    names = tuple(argument.arg for argument in given.args)
    if not plain or names != scope.parameters:
        memory = " (and memory behind them)" if function.name == "compute_reward" else ""
        scope.complain(
            function,
            "form",
            f"{function.name} takes exactly the arguments {listed(wanted)}{memory}, without defaults and stars.",
        )
    if function.decorator_list:
        scope.complain(function.decorator_list[0], "form", "A program has no decorators.")
    for annotation in (function.returns, *(argument.annotation for argument in given.args)):
        if annotation is not None and not all(
            isinstance(node, _ANNOTATIONS) for node in ast.walk(annotation)
        ):
            scope.complain(annotation, "form", "An annotation names a type, and computes nothing.")


def _declare(at: ast.stmt, scope: Scope) -> None:
    """What stands beside the function: constants, the memory's slots, and imports of what is there anyway."""
    match at:
        case ast.Expr(value=ast.Constant(value=str())):
            return
        case ast.Import(names=names) if all(name.name in ("math", "numpy") for name in names):
            if all(name.asname in (None, *(["np"] if name.name == "numpy" else [])) for name in names):
                return
        case ast.ImportFrom(module="typing" | "__future__"):
            return
        case ast.Assign(targets=[ast.Name(id="MEMORY")], value=ast.Dict() as value):
            _declare_slots(value, scope)
            return
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            _declare_constant(at, name, value, scope)
            return
    if isinstance(at, (ast.Import, ast.ImportFrom)):
        scope.complain(
            at, "import", "Nothing can be imported; sqrt, exp, norm and the like are there already."
        )
    else:
        scope.complain(
            at,
            "form",
            "Beside its one function a program has constants (WEIGHT = 0.5) and MEMORY = {'slot': 0.0}, and nothing else.",
        )


def _declare_constant(at: ast.stmt, name: str, value: ast.expr, scope: Scope) -> None:
    node = expression(value, scope)
    if scope.taken(name) or "__" in name or not name.isascii():
        scope.complain(at, "name", f"{name!r} cannot be a constant's name: choose another.")
    elif isinstance(node, Constant) or (
        isinstance(node, Build) and all(isinstance(item, Constant) for item in node.items)
    ):
        scope.constants[name] = node
    else:
        scope.complain(at, "form", f"{name} must be known beforehand: a number, or several.")


def _declare_slots(at: ast.Dict, scope: Scope) -> None:
    if len(at.keys) > sizes.SLOTS:
        scope.complain(at, "size", f"A program has at most {sizes.SLOTS} memory slots.")
        return
    for key, value in zip(at.keys, at.values, strict=True):
        node = expression(value, scope)
        name = key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else ""
        if not name.isidentifier() or not name.isascii() or "__" in name or not isinstance(node, Constant):
            scope.complain(
                at, "memory", "Memory slots are declared by name and first value: MEMORY = {'best': 0.0}."
            )
        else:
            scope.slots[name] = float(node.value)
