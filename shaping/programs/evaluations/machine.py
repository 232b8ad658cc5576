"""A program's straight-line code as machine code: written for LLVM operation by operation, as one function that Numba compiles.

Lanes are dealt with a few dozen at a time, stage by stage: a stage of arithmetic, which runs on several lanes at once, then one of
calls of the C library, which do not, and so on; what a later stage needs waits in between. Transcendental functions are called by
names that the compiler does not know: it would compute some at compile time and others several at a time, to other last bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from shapegym.shaping.programs.evaluations.lowering import Code, Operation, Scalar

_NUMBER, _BIT, _BYTE = ir.DoubleType(), ir.IntType(1), ir.IntType(8)
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
_AT_ONCE = 64
"""Lanes; fewer where much has to wait, because it waits on the stack."""
_FEW, _MUCH = 16, 200

for _name in _LIBRARY:
    llvmlite.binding.add_symbol(f"shapegym_{_name}", llvmlite.binding.address_of_symbol(_name))

Value: TypeAlias = Any
"""Of LLVM's."""


def written(code: Code, first_values: Sequence[float]) -> Any:
    """Return ``run(inputs, first, active, memory, out)`` for use in a Numba function.

    Args:
        code: of the program.
        first_values: of its memory slots when an episode begins. Without any, only ``inputs`` and ``out`` are looked at.
    """

    def run(typing_context, inputs, first, active, memory, out):  # type: ignore[no-untyped-def]  # noqa: ARG001
        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            arrays = [
                context.make_array(kind)(context, builder, value)
                for kind, value in zip(signature.args, arguments, strict=True)
            ]
            _Loops(builder, code, tuple(first_values), *arrays).write()
            return context.get_dummy_value()

        return types.void(inputs, first, active, memory, out), generate

    return intrinsic(run)


def stages_of(code: Code) -> list[list[tuple[Operation, Scalar]]]:
    """Return the operations by stage: even stages compute, odd ones call."""
    stage: dict[Scalar, int] = {}
    found: list[list[tuple[Operation, Scalar]]] = [[]]
    for operation, name in code.results.items():
        calls = operation[0] in _LIBRARY
        least = max((stage.get(word, 0) for word in operation[1:]), default=0)
        stage[name] = least + (least % 2 != calls)
        found += [[] for _ in range(stage[name] + 1 - len(found))]
        found[stage[name]].append((operation, name))
    return found


@dataclass
class _Loops:
    """The loops of one kernel."""

    builder: Any
    code: Code
    first_values: tuple[float, ...]
    inputs: Any
    first: Any
    active: Any
    memory: Any
    out: Any
    waiting: dict[Scalar, Value] = field(default_factory=dict)
    rows: dict[Scalar, int] = field(default_factory=dict)

    def write(self) -> None:
        builder, code = self.builder, self.code
        self.rows = {name: row for row, name in enumerate(code.rows.values())}
        stages = stages_of(code)
        home = {name: place for place, stage in enumerate(stages) for _, name in stage}
        later = {
            word
            for place, stage in enumerate(stages)
            for operation, _ in stage
            for word in operation[1:]
            if home.get(word, place) < place
        }
        results = [code.total, *code.parts.values(), *code.slots.values()]
        together = _FEW if len(later) + len(results) > _MUCH else _AT_ONCE
        truths = _truths(code)
        for name in sorted(later):
            self.waiting[name] = self.room(_BYTE if name in truths else _NUMBER, together)
        ends = [self.room(_NUMBER, together) for _ in results]

        lanes = builder.extract_value(self.out.shape, 1)
        size = ir.Constant(lanes.type, together)
        chunks = builder.sdiv(builder.add(lanes, builder.sub(size, ir.Constant(lanes.type, 1))), size)
        with cgutils.for_range(builder, chunks) as chunk:
            start = builder.mul(chunk.index, size)
            left = builder.sub(lanes, start)
            count = builder.select(builder.icmp_signed("<", left, size), left, size)
            for place, stage in enumerate(stages):
                due = [
                    (end, word) for end, word in zip(ends, results, strict=True) if home.get(word, 0) == place
                ]
                self.each(count, start, partial(self.stage, stage=stage, due=due))
            self.each(count, start, partial(self.hand_over, ends=ends))

    def room(self, kind: ir.Type, together: int) -> Value:
        return cgutils.alloca_once(self.builder, ir.ArrayType(kind, together))  # type: ignore[no-untyped-call]

    def each(self, count: Value, start: Value, body: Callable[[_Lane], None]) -> None:
        with cgutils.for_range(self.builder, count) as loop:
            body(_Lane(self, loop.index, self.builder.add(start, loop.index)))

    def stage(
        self, lane: _Lane, stage: Sequence[tuple[Operation, Scalar]], due: Sequence[tuple[Value, Scalar]]
    ) -> None:
        builder = self.builder
        for operation, name in stage:
            value = _operation(builder, operation[0], [lane.value(word) for word in operation[1:]])
            lane.known[name] = value
            if name in self.waiting:
                value = builder.zext(value, _BYTE) if value.type == _BIT else value
                builder.store(value, lane.held(self.waiting[name]))
        for end, word in due:
            builder.store(lane.value(word), lane.held(end))

    def hand_over(self, lane: _Lane, ends: Sequence[Value]) -> None:
        """What is returned and remembered, to where it belongs; of rows that are no transitions nothing changes."""
        builder, slots = self.builder, len(self.first_values)
        places = [lane.row(self.out, row) for row in range(len(ends) - slots)]
        places += [lane.row(self.memory, slot) for slot in range(slots)]
        acts = lane.flag(self.active) if slots else None
        for end, place in zip(ends, places, strict=True):
            value = builder.load(lane.held(end))
            builder.store(value if acts is None else builder.select(acts, value, builder.load(place)), place)


@dataclass
class _Lane:
    """One lane in a loop: its place among those dealt with together, and among all."""

    loops: _Loops
    here: Value
    lane: Value
    known: dict[Scalar, Value] = field(default_factory=dict)

    def held(self, room: Value) -> Value:
        """Its place in what waits."""
        return self.loops.builder.gep(room, [ir.Constant(self.here.type, 0), self.here])

    def row(self, array: Any, row: int) -> Value:
        """The place of ``array[row, lane]``; the array is C-contiguous."""
        builder = self.loops.builder
        lanes = builder.extract_value(array.shape, 1)
        return builder.gep(
            array.data, [builder.add(builder.mul(ir.Constant(lanes.type, row), lanes), self.lane)]
        )

    def flag(self, array: Any) -> Value:
        """``array[lane]`` as a truth."""
        builder = self.loops.builder
        value = builder.load(builder.gep(array.data, [self.lane]))
        return builder.icmp_unsigned("!=", value, ir.Constant(value.type, 0))

    def value(self, word: Scalar) -> Value:
        """A result of this stage or of one before, a number that is read or remembered, or a literal."""
        if word not in self.known:
            self.known[word] = self.found(word)
        return self.known[word]

    def found(self, word: Scalar) -> Value:
        loops, builder = self.loops, self.loops.builder
        if word in loops.waiting:
            value = builder.load(self.held(loops.waiting[word]))
            return builder.trunc(value, _BIT) if value.type == _BYTE else value
        if word in loops.rows:
            return builder.load(self.row(loops.inputs, loops.rows[word]))
        if word.startswith("m"):
            slot = int(word[1:])
            begin = ir.Constant(_NUMBER, loops.first_values[slot])
            return builder.select(self.flag(loops.first), begin, builder.load(self.row(loops.memory, slot)))
        if word in ("True", "False"):
            return ir.Constant(_BIT, word == "True")
        return ir.Constant(_NUMBER, float(word))


def _truths(code: Code) -> set[Scalar]:
    """The results that are true or false."""
    truths = {"True", "False"}
    for operation, name in code.results.items():
        chosen = operation[0] == "select" and truths.issuperset(operation[2:])
        if chosen or operation[0] in ("<", "<=", ">", ">=", "==", "!=", "not"):
            truths.add(name)
    return truths


def _operation(builder: Any, name: str, operands: Sequence[Value]) -> Value:
    if name in _ARITHMETIC:
        return getattr(builder, _ARITHMETIC[name])(*operands)
    if name in _EXACT:
        return builder.call(builder.module.declare_intrinsic(f"llvm.{_EXACT[name]}", [_NUMBER]), operands)
    if name in _LIBRARY:
        kind = ir.FunctionType(_NUMBER, [_NUMBER] * len(operands))
        insert: Any = cgutils.get_or_insert_function
        return builder.call(insert(builder.module, kind, f"shapegym_{name}"), operands)
    return (builder.fcmp_unordered if name == "!=" else builder.fcmp_ordered)(name, *operands)
