"""The second evaluation: a Numba kernel over all lanes, compiled once for each program and kept on disk.

It is made of the checked tree, never of the program's text: see `lowering`, and then `machine`.
"""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from types import FunctionType
from typing import Any

import numpy as np
from numba.core import config

from shapegym.kernel_cache import compiled, discard_old
from shapegym.shaping.programs.abstraction import Abstraction
from shapegym.shaping.programs.evaluations.columns import Columns, packed
from shapegym.shaping.programs.evaluations.lowering import Code, Row, Scalar, lowered
from shapegym.shaping.programs.evaluations.machine import written
from shapegym.shaping.programs.language import ieee
from shapegym.shaping.programs.language.meaning import COMPARISONS
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
        """Return totals and parts, (1 + k, B), in ``out`` if it is given; see `shapegym.shaping.programs.evaluations.columns`."""
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
        shape = (1 + len(self.program.parts), num_lanes)
        if not self.program.slots:
            out = np.empty(shape) if out is None else out
            self._run(inputs, out)
            return out
        out = np.zeros(shape) if out is None else out  # rows that are not active are not written
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
    run = written(code, [value for _, value in program.slots])
    kernel = FunctionType(loop.__code__, {"__name__": __name__, "run": run})
    digest = hashlib.sha256(repr((code, program.slots)).encode()).hexdigest()
    kernel.__qualname__ = f"program_{digest[:32]}"  # Numba keeps it beside this file's kernels, by this name
    dispatcher = compiled(kernel, kept=kept, error_model="numpy")
    discard_old(dispatcher, "kernel.program_", MOST_KEPT)
    return dispatcher


def _without_memory(inputs, out):  # type: ignore[no-untyped-def]
    run(inputs, out, out, out, out)  # type: ignore[name-defined]  # noqa: F821


def _with_memory(inputs, first, active, memory, out):  # type: ignore[no-untyped-def]
    run(inputs, first, active, memory, out)  # type: ignore[name-defined]  # noqa: F821


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
