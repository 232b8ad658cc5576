"""Trying a program on transitions that follow each other, and saying where two evaluations differ."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from shapegym.shaping.programs.evaluations.columns import Columns, steps_of
from shapegym.shaping.programs.program import CheckedProgram


class Evaluation(Protocol):
    """What evaluates a program; see `shapegym.shaping.programs.evaluations.columns`."""

    program: CheckedProgram

    def __call__(
        self,
        columns: Columns,
        num_lanes: int,
        memory: np.ndarray | None = None,
        first: np.ndarray | None = None,
        active: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return totals and parts, (1 + k, B)."""
        ...


def over_steps(evaluate: Evaluation, columns: Columns, first: np.ndarray | None = None) -> np.ndarray:
    """Return totals and parts, (1 + k, T, B), of T steps of B lanes.

    Args:
        evaluate: the program, one way or another.
        columns: by (side, name), (T, B) or (T, B, n).
        first: steps that begin an episode, (T, B) bool; by default the first of each lane.
    """
    steps, lanes = steps_of(columns)
    if first is None:
        first = np.zeros((steps, lanes), dtype=np.bool_)
        first[:1] = True
    memory = evaluate.program.fresh_memory(lanes)
    return np.stack(
        [
            evaluate({key: column[t] for key, column in columns.items()}, lanes, memory, first[t])
            for t in range(steps)
        ],
        axis=1,
    )


def difference(program: CheckedProgram, **values: np.ndarray) -> str:
    """Return where the values, (1 + k, T, B) each, of two evaluations first differ; nothing where every bit is the same."""
    (one, left), (two, right) = values.items()
    different = (left != right) & ~(np.isnan(left) & np.isnan(right))
    if not different.any():
        return ""
    row, step, lane = np.argwhere(different)[0].tolist()
    name = ("the total", *program.parts)[row]
    held = f"{one} {float(left[row, step, lane])!r}, {two} {float(right[row, step, lane])!r}"
    return f"{name} at step {step} of lane {lane}: {held}"
