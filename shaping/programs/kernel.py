"""The second evaluation: a Numba kernel over all lanes, compiled once for each program and kept on disk.

It is made of the checked tree (`shapegym.shaping.programs.lowering`), never of the program's text: a loop over lanes around one
operation after the other, written for LLVM, because Numba would take longer to find out the types that are known here.
Transcendental functions are the C library's, called by names that the compiler does not know: it would compute some at compile
time and others several at a time, to other last bits.
"""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from types import FunctionType
from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.extending import intrinsic

from shapegym.kernel_cache import compiled, discard_old
from shapegym.shaping.programs import ieee
from shapegym.shaping.programs.abstraction import Abstraction
from shapegym.shaping.programs.columns import Columns, packed
from shapegym.shaping.programs.lowering import Code, Row, Scalar, lowered
from shapegym.shaping.programs.meaning import COMPARISONS
from shapegym.shaping.programs.program import CheckedProgram, read_program

MOST_KEPT = 500
"""Programs whose machine code stays on disk."""


class ProgramKernel:
    """A program compiled for any number of lanes.

    Args:
        program: with known types.
        kept: whether its machine code stays on disk, for the next process.

    Attributes:
        program: what was compiled.
        rows: side, name and entry of each row of the input.
    """

    def __init__(self, program: CheckedProgram, *, kept: bool = True) -> None:
        code = lowered(program)
        self.program = program
        self.rows: tuple[Row, ...] = tuple(code.rows)
        self._run = _compile(code, program, kept)
        self.run(np.zeros((len(self.rows), 0)), None)  # compiles

    def __call__(
        self,
        columns: Columns,
        num_lanes: int,
        memory: np.ndarray | None = None,
        first: np.ndarray | None = None,
        active: np.ndarray | None = None,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return totals and parts, (1 + k, B), in ``out`` if it is given; see `shapegym.shaping.programs.columns`."""
        return self.run(packed(self.rows, columns, num_lanes), memory, first, active, out)

    def run(
        self,
        inputs: np.ndarray,
        memory: np.ndarray | None,
        first: np.ndarray | None = None,
        active: np.ndarray | None = None,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """The same of packed inputs, (rows, B) float64; ``out`` is written to where it is given. All are C-contiguous."""
        num_lanes = inputs.shape[1]
        if out is None:
            out = np.zeros((1 + len(self.program.parts), num_lanes))
        if not self.program.slots:
            self._run(inputs, out)
            return out
        memory = self.program.fresh_memory(num_lanes) if memory is None else memory
        first = np.zeros(num_lanes, dtype=np.bool_) if first is None else first
        active = np.ones(num_lanes, dtype=np.bool_) if active is None else active
        self._run(inputs, first, active, memory, out)
        return out


@lru_cache(maxsize=64)
def kernel_of(source: str, abstraction: Abstraction) -> ProgramKernel:
    """Return the kernel of a program's text; raises `ProgramError` if it is refused."""
    return ProgramKernel(read_program(source, abstraction))


# ------------------------------------------------------------------ compiled


def _compile(code: Code, program: CheckedProgram, kept: bool) -> Callable[..., Any]:
    """Return ``kernel(inputs, out)``, or ``kernel(inputs, first, active, memory, out)`` of a program with memory."""
    if config.DISABLE_JIT:  # type: ignore[attr-defined]
        return partial(run_plainly, code, program)
    loop = _with_memory if program.slots else _without_memory
    named = {"__name__": __name__, "lane_of": _body(code, program)}
    kernel = FunctionType(loop.__code__, named)
    digest = hashlib.sha256(repr((code, program.slots)).encode()).hexdigest()
    kernel.__qualname__ = f"program_{digest[:32]}"  # Numba keeps it beside this file's kernels, by this name
    dispatcher = compiled(kernel, kept=kept, error_model="numpy")
    discard_old(dispatcher, "kernel.program_", MOST_KEPT)
    return dispatcher


def _without_memory(inputs, out):  # type: ignore[no-untyped-def]
    for lane in range(out.shape[1]):
        lane_of(inputs, out, lane, out, False)  # type: ignore[name-defined]  # noqa: F821


def _with_memory(inputs, first, active, memory, out):  # type: ignore[no-untyped-def]
    for lane in range(out.shape[1]):
        if active[lane]:
            lane_of(inputs, out, lane, memory, first[lane])  # type: ignore[name-defined]  # noqa: F821


def _body(code: Code, program: CheckedProgram) -> Any:
    """What the loop does for one lane: the code, written for LLVM operation by operation."""

    def lane_of(typing_context, inputs, out, lane, memory, begins):  # type: ignore[no-untyped-def]  # noqa: ARG001
        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            at = partial(_place, context, builder, signature, arguments, arguments[2])
            names = {name: builder.load(at(0, row)) for row, name in enumerate(code.rows.values())}
            first = builder.trunc(arguments[4], _BIT) if arguments[4].type.width > 1 else arguments[4]
            for slot, (_, value) in enumerate(program.slots):
                names[f"m{slot}"] = builder.select(
                    first, ir.Constant(_NUMBER, value), builder.load(at(3, slot))
                )
            for operation, name in code.results.items():
                names[name] = _operation(
                    builder, operation[0], [_value(names, word) for word in operation[1:]]
                )
            for slot, word in enumerate(code.slots.values()):
                builder.store(_value(names, word), at(3, slot))
            for row, word in enumerate((code.total, *code.parts.values())):
                builder.store(_value(names, word), at(1, row))
            return context.get_dummy_value()

        return types.void(inputs, out, lane, memory, begins), generate

    return intrinsic(lane_of)


def _place(context, builder, signature, arguments, lane, argument, row):  # type: ignore[no-untyped-def]
    """The address of ``array[row, lane]``; the array is C-contiguous."""
    array = context.make_array(signature.args[argument])(context, builder, arguments[argument])
    lanes = builder.extract_value(array.shape, 1)
    return builder.gep(array.data, [builder.add(builder.mul(ir.Constant(lanes.type, row), lanes), lane)])


_NUMBER, _BIT = ir.DoubleType(), ir.IntType(1)
_ARITHMETIC = {
    "+": "fadd",
    "-": "fsub",
    "*": "fmul",
    "/": "fdiv",
    "negative": "fneg",
    "not": "not_",
    "select": "select",
}
_EXACT = {"abs": "fabs", "sqrt": "sqrt", "floor": "floor", "ceil": "ceil", "trunc": "trunc"}
_LIBRARY = ("exp", "log", "log1p", "tanh", "sin", "cos", "atan2", "pow")


def _value(names: Mapping[str, Any], word: Scalar) -> Any:
    """A name's value, or a literal's."""
    if word in ("True", "False"):
        return ir.Constant(_BIT, word == "True")
    return names[word] if word in names else ir.Constant(_NUMBER, float(word))


def _operation(builder: Any, name: str, operands: list[Any]) -> Any:
    if name in _ARITHMETIC:
        return getattr(builder, _ARITHMETIC[name])(*operands)
    if name in _EXACT:
        return builder.call(builder.module.declare_intrinsic(f"llvm.{_EXACT[name]}", [_NUMBER]), operands)
    if name in _LIBRARY:
        kind = ir.FunctionType(_NUMBER, [_NUMBER] * len(operands))
        insert: Any = cgutils.get_or_insert_function
        return builder.call(insert(builder.module, kind, f"shapegym_{name}"), operands)
    return (builder.fcmp_unordered if name == "!=" else builder.fcmp_ordered)(name, *operands)


for _name in _LIBRARY:
    llvmlite.binding.add_symbol(f"shapegym_{_name}", llvmlite.binding.address_of_symbol(_name))


# ------------------------------------------------------------------ not compiled


def run_plainly(code: Code, program: CheckedProgram, inputs: np.ndarray, *others: np.ndarray) -> None:
    """Do what the kernel does where compiling is turned off."""
    *marks, out = others
    for lane in range(out.shape[1]):
        names: dict[str, Any] = {"True": True, "False": False}
        names |= {name: float(inputs[row, lane]) for row, name in enumerate(code.rows.values())}
        if marks:
            first, active, memory = marks
            if not active[lane]:
                continue
            for slot, (_, value) in enumerate(program.slots):
                names[f"m{slot}"] = value if first[lane] else float(memory[slot, lane])

        def held(word: Scalar, names: Mapping[str, Any] = names) -> Any:
            return names[word] if word in names else float(word)

        for operation, name in code.results.items():
            names[name] = _PLAIN[operation[0]](*map(held, operation[1:]))
        for slot, word in enumerate(code.slots.values()):
            marks[2][slot, lane] = held(word)
        for row, word in enumerate((code.total, *code.parts.values())):
            out[row, lane] = held(word)


_PLAIN: dict[str, Callable[..., Any]] = {
    **ieee.UNARY,
    **ieee.BINARY,
    **ieee.OPERATORS,
    **COMPARISONS,
    "pow": ieee.power,
    "negative": operator.neg,
    "not": operator.not_,
    "select": lambda condition, then, otherwise: then if condition else otherwise,
}
