"""Reading a program out of what a proposer wrote: prose, several blocks, other names, a last line that was cut off.

What can be mended without guessing is mended, and said in a note; the rest is a complaint for whoever wrote it. Nothing is run.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from shapegym.shaping.programs.abstraction import Abstraction
from shapegym.shaping.programs.language.complaint import Complaint, ProgramError
from shapegym.shaping.programs.language.functions import FUNCTIONS
from shapegym.shaping.programs.program import CheckedProgram, read_program

MOST_TEXT = 200_000
"""Characters of an answer that are looked at."""
MOST_BLOCKS = 20
"""Pieces of code that are tried."""

_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[ \t]*([\w+.#-]*)[^\n]*$", re.MULTILINE)
_START = re.compile(
    r"^(?:>>> ?)?(?:@|async def |class |def |import |from |[A-Za-z_]\w*\s*(?::\s*\w+\s*)?=[^=])", re.MULTILINE
)
_ARGUMENTS = {1: "potential", 3: "compute_reward", 4: "compute_reward"}
_NAMES = {"potential": ("state",), "compute_reward": ("before", "after", "action", "memory")}


@dataclass(frozen=True)
class Writing:
    """A program that was found in an answer.

    Attributes:
        source: its text as it is kept.
        program: as it was read.
        notes: what was mended, in sentences.
    """

    source: str
    program: CheckedProgram
    notes: tuple[str, ...] = ()


def read_reply(text: str, abstraction: Abstraction) -> Writing:
    """Return the first program of an answer that can be read, blocks that look like one before others.

    Raises:
        ProgramError: if there is none: the complaints about the piece of code that came nearest.
    """
    nearest: ProgramError | None = None
    for source, notes in _candidates(text[:MOST_TEXT]):
        try:
            return Writing(source, read_program(source, abstraction), notes)
        except ProgramError as error:
            if nearest is None or _distance(error) < _distance(nearest):
                nearest = error
    raise nearest or ProgramError(
        [Complaint(0, 0, "code", "There is no Python code in the answer. Write one code block.")]
    )


def _distance(error: ProgramError) -> tuple[bool, int]:
    """How far from a program something is: what is no Python at all is farther than any number of complaints."""
    return any(each.rule == "syntax" for each in error.complaints), len(error.complaints)


def _candidates(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    blocks = list(dict.fromkeys(block for block in _blocks(text) if block.strip()))[:MOST_BLOCKS]
    with_function = [block for block in blocks if re.search(r"^\s*def \w+", block, re.MULTILINE)]
    joined = ["\n\n".join(blocks)] if len(blocks) > 1 else []
    for block in dict.fromkeys((*with_function, *joined, *blocks)):
        source = _dedented(block).strip() + "\n"
        yield source, ()
        yield _mended(source)


def _blocks(text: str) -> Iterator[str]:
    """Pieces that may be code, the likeliest first."""
    yield from _in_json(text)
    text = re.sub(
        r"(?<=[^\s`])(```)[ \t]*$", r"\n\1", text, flags=re.MULTILINE
    )  # the fence behind the last line of code
    fences = list(_FENCE.finditer(text))
    if not fences:
        if start := _START.search(text):
            yield text[start.start() :]
        return
    position = 0
    while position < len(fences):
        opening = fences[position]
        closing = next(
            (
                each
                for each in fences[position + 1 :]
                if each[1][0] == opening[1][0] and len(each[1]) >= len(opening[1]) and not each[2]
            ),
            None,
        )
        content = text[opening.end() + 1 : closing.start() if closing else len(text)]
        yield from _in_json(content)
        yield from _blocks(content) if _FENCE.search(content) and closing else [content]
        if closing is None:
            return
        position = fences.index(closing) + 1


def _in_json(text: str) -> Iterator[str]:
    """Texts of a JSON object that look like code, also where the object is cut off."""
    if not re.match(r"\s*[{\[]", text) or '"' not in text:
        return
    for match in re.finditer(r'"((?:[^"\\]|\\.)*)"?', text, re.DOTALL):
        if "def " not in match[1]:
            continue
        content = match[1].rstrip("\\") if not match[0].endswith('"') else match[1]
        try:
            found = json.loads(f'"{content}"', strict=False)
        except ValueError:
            continue
        yield from _blocks(found) if "```" in found else [found]


def _mended(source: str) -> tuple[str, tuple[str, ...]]:
    """The code as a program has it, and what was changed."""
    notes: list[str] = []
    module = _parsed(source)
    if module is None:
        source, module = _shortened(source)
        if module is None:
            return source, ()
        notes.append("The end, which is no Python, was left out.")
    tree = _only_program(module, notes)
    return ast.unparse(ast.fix_missing_locations(tree)) + "\n", tuple(notes)


def _dedented(block: str) -> str:
    """Without the indentation that all lines share, prompts of a session, and the tabs of another editor."""
    lines = [
        re.sub(r"^(>>>|\.\.\.) ?", "", line) for line in block.expandtabs(4).replace("\r\n", "\n").split("\n")
    ]
    used = [line for line in lines if line.strip()]
    shared = min((len(line) - len(line.lstrip()) for line in used), default=0)
    return "\n".join(line[shared:] for line in lines)


def _parsed(source: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _shortened(source: str) -> tuple[str, ast.Module | None]:
    """The source without as many of its last lines as it takes to be Python with a function that returns something."""
    lines = source.split("\n")
    for end in range(len(lines) - 1, max(0, len(lines) - _MOST_LINES), -1):
        shorter = "\n".join(lines[:end])
        if "return" not in shorter:
            break
        if (module := _parsed(shorter)) is not None and any(map(_returns, module.body)):
            return shorter, module
    return source, None


_MOST_LINES = 200
"""That are left out at most."""


def _returns(node: ast.stmt) -> bool:
    return isinstance(node, (ast.FunctionDef, ast.ClassDef)) and any(
        isinstance(each, ast.Return) for each in ast.walk(node)
    )


def _only_program(module: ast.Module, notes: list[str]) -> ast.Module:
    """The function that is meant, by the names that programs have, and the numbers beside it."""
    function = _meant(module)
    if function is None:
        return module
    kept: list[ast.stmt] = [node for node in module.body if isinstance(node, (ast.Assign, ast.AnnAssign))]
    if len(kept) + 1 < len(module.body) or function not in module.body:
        notes.append("What stands beside the function was left out.")
    arguments = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
    if arguments[:1] == ["self"]:
        arguments = arguments[1:]
    name = function.name if function.name in _NAMES else _ARGUMENTS.get(len(arguments), "compute_reward")
    if name != function.name:
        notes.append(f"The function {function.name} is called {name} now.")
        function.name = name
    expected = _NAMES[name]
    if (
        len(arguments) <= len(expected)
        and tuple(arguments) != expected[: len(arguments)]
        and len(arguments) in _ARGUMENTS
    ):
        names = dict(zip(arguments, expected, strict=False))
        if not {node.id for node in ast.walk(function) if isinstance(node, ast.Name)} & (
            set(expected) - set(arguments)
        ):
            notes.append(f"Its arguments are called {', '.join(names.values())} now.")
            for node in ast.walk(function):
                if isinstance(node, ast.Name):
                    node.id = names.get(node.id, node.id)
            arguments = list(names.values())
    function.args = ast.arguments([], [ast.arg(each) for each in arguments], None, [], [], None, [])
    function.decorator_list, function.returns = [], None
    if shadowing := sorted(_assigned(function) & FUNCTIONS.keys()):
        notes.append(
            f"Values that were called as functions are ({', '.join(shadowing)}) have an underscore now."
        )
    _AsMeant(set(shadowing)).visit(function)
    if name == "compute_reward" and len(arguments) == 3 and _remembers(function):
        notes.append("It remembers, so memory is its last argument.")
        function.args.args.append(ast.arg("memory"))
    if _returns(function) and not _ends(function.body):
        notes.append("Where it ended without a return, it pays nothing.")
        function.body.append(ast.parse("return 0.0").body[0])
    return ast.Module([*kept, function], [])


def _ends(body: list[ast.stmt]) -> bool:
    """Whether every way through a block returns."""
    last = body[-1] if body else None
    return isinstance(last, ast.Return) or (
        isinstance(last, ast.If) and _ends(last.body) and _ends(last.orelse)
    )


def _assigned(function: ast.FunctionDef) -> set[str]:
    nodes = ast.walk(function)
    return {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


class _AsMeant(ast.NodeTransformer):
    """Some names get an underscore where they are not called; a stub's Vector is an array; ``MEMORY["x"]`` is ``memory.x``."""

    def __init__(self, names: set[str]) -> None:
        self._names = names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(f"{node.id}_" if node.id in self._names else node.id, node.ctx)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.value, ast.Name) and node.value.id == "MEMORY":
            node.value.id = "memory"
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        match node:
            case ast.Subscript(ast.Name("MEMORY" | "memory"), ast.Constant(str(slot))):
                return ast.Attribute(ast.Name("memory", ast.Load()), slot, node.ctx)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        called = node.func
        if isinstance(called, ast.Name) and called.id == "Vector" and node.args:  # as the stub calls the type
            items = node.args[0].elts if isinstance(node.args[0], (ast.List, ast.Tuple)) else node.args
            node = ast.Call(ast.parse("np.array", mode="eval").body, [ast.List(items, ast.Load())], [])
            called = node.func
        self.generic_visit(node)
        if isinstance(called, ast.Name):
            node.func = called
        return node


def _remembers(function: ast.FunctionDef) -> bool:
    return any(isinstance(node, ast.Name) and node.id == "memory" for node in ast.walk(function))


def _meant(module: ast.Module) -> ast.FunctionDef | None:
    """The function of a module that is a program: by its name, or the last with as many arguments as one has."""
    functions = [node for node in ast.walk(module) if isinstance(node, ast.FunctionDef)]
    named = [node for node in functions if node.name in _NAMES]
    fitting = [
        node
        for node in functions
        if len([each for each in node.args.args if each.arg != "self"]) in _ARGUMENTS
    ]
    return (named or fitting or functions or [None])[-1]  # type: ignore[list-item]
