"""The first of three evaluations that agree to the last bit: plain Python on the checked tree, one lane after the other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from shapegym.shaping.programs.evaluations.columns import Columns
from shapegym.shaping.programs.language.meaning import Frame, Value, executor
from shapegym.shaping.programs.language.tree import Read, Type, walk
from shapegym.shaping.programs.program import CheckedProgram


class Interpreter:
    """A program that is evaluated lane by lane."""

    def __init__(self, program: CheckedProgram) -> None:
        self.program = program
        self._execute = executor(program.tree)

    def __call__(
        self,
        columns: Columns,
        num_lanes: int,
        memory: np.ndarray | None = None,
        first: np.ndarray | None = None,
        active: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return totals and parts, (1 + k, B); see `shapegym.shaping.programs.evaluations.columns`."""
        program = self.program
        out = np.zeros((1 + len(program.parts), num_lanes))
        memory = program.fresh_memory(num_lanes) if memory is None else memory
        frames = self.frames(columns, num_lanes)
        for lane, frame in enumerate(frames):
            if program.slots and active is not None and not active[lane]:
                continue
            begins = first is not None and bool(first[lane])
            held = [value for _, value in program.slots] if begins else memory[:, lane].tolist()
            frame.memory = dict(zip(dict(program.slots), held, strict=True))
            self._execute(frame)
            memory[:, lane] = list(frame.memory.values())
            out[:, lane] = [frame.total, *(frame.parts.get(name, 0.0) for name in program.parts)]
        return out

    def frames(self, columns: Columns, num_lanes: int) -> list[Frame]:
        """Return what each lane sees, as Python's numbers."""
        kinds = {(node.side, node.name): node.type for node in self._reads()}
        read = {key: _as_values(columns[key], kind) for key, kind in kinds.items()}
        frames = []
        for lane in range(num_lanes):
            sides: dict[str, dict[str, Value]] = {}
            for (side, name), values in read.items():
                sides.setdefault(side, {})[name] = values[lane]
            frames.append(Frame(sides))
        return frames

    def _reads(self) -> Iterator[Read]:
        for statement in self.program.tree:
            yield from (node for node in walk(statement) if isinstance(node, Read))


def _as_values(column: np.ndarray, kind: Type) -> list[Value]:
    if kind.kind == "vector":
        return list(map(tuple, column.astype(np.float64).tolist()))
    numbers: np.ndarray = column.astype(np.float64).reshape(len(column))
    return (numbers != 0.0).tolist() if kind.kind == "truth" else numbers.tolist()
