"""The picture of a finite task, from the features of its states: a board where things have places, and dials for the rest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapegym.envs.finite_task import FiniteTask
from shapegym.envs.pictures.canvas import AGENT, DIM, DOOR, FLOOR, GOAL, INK, KEY, PAPER, THING, WALL, Canvas

_SIDE, _LEAST, _MOST = 400, 8, 48
"""Pixels of the board's longer side, and of a cell's."""

_LETTERED = 20
"""Pixels of a cell that has room for a letter."""

_LINE, _MARGIN, _DIALS = 22, 12, 260
"""Pixels of a dial's height, around them, and of their width at least."""

_PLACES = {"goal_pos": GOAL, "key_pos": KEY, "door_pos": DOOR}
_ELSEWHERE = "_pos"


class Board:
    """Draws the states of a task.

    Whatever ends in ``_pos`` and has one or two coordinates is a place, (row, column); ``agent_pos`` says where the agent can be,
    and the other cells are walls. All other features are dials below the board, and so is everything where there is no place.
    """

    def __init__(self, task: FiniteTask) -> None:
        self._task = task
        features = task.features
        self._places = [name for name in features if name.endswith(_ELSEWHERE) and _is_place(features[name])]
        if "agent_pos" not in self._places:
            self._places = []
        self._dials = [name for name in features if name not in self._places]
        if not self._places and not self._dials:
            self._dials = ["state"]
        cells = np.unique(_cells(features["agent_pos"]), axis=0) if self._places else np.zeros((0, 2), int)
        ends = [_cells(features[name]).max(axis=0) + 1 for name in self._places]
        self._rows, self._columns = (int(max(each)) for each in zip(*ends, strict=True)) if ends else (0, 0)
        self._cell = min(max(_SIDE // max(self._rows, self._columns, 1), _LEAST), _MOST)
        self._floor = cells.tolist()

    def draw(self, state: int) -> Canvas:
        """The picture of a state."""
        width = max(self._columns * self._cell, _DIALS if self._dials else 0)
        height = self._rows * self._cell + _LINE * len(self._dials)
        between = _MARGIN * bool(self._places and self._dials)
        canvas = Canvas(width + 2 * _MARGIN, height + between + 2 * _MARGIN)
        if self._places:
            self._draw_board(canvas, state)
        top = _MARGIN + self._rows * self._cell + between
        for line, (words, value, most) in enumerate(self._read_dials(state)):
            _draw_dial(canvas, top + line * _LINE, words, value, most)
        return canvas

    def _draw_board(self, canvas: Canvas, state: int) -> None:
        side, gap = self._cell, int(self._cell > _LEAST)

        def at(row: float, column: float) -> tuple[float, float]:
            return _MARGIN + column * side, _MARGIN + row * side

        canvas.box(at(0, 0), at(self._rows, self._columns), WALL)
        for row, column in self._floor:
            (x, y), corner = at(row, column), at(row + 1, column + 1)
            canvas.box((x + gap, y + gap), corner, FLOOR)
        for name in self._places:
            row, column = _cells(self._task.features[name])[state].tolist()
            if name != "agent_pos":
                color = _PLACES.get(name, THING)
                canvas.box(at(row + 0.12, column + 0.12), at(row + 0.92, column + 0.92), color)
                if side >= _LETTERED:
                    canvas.text(at(row + 0.52, column + 0.52), name[0], PAPER, round(0.5 * side), "mm")
        row, column = _cells(self._task.features["agent_pos"])[state].tolist()
        canvas.disc(at(row + 0.52, column + 0.52), 0.3 * side, AGENT)

    def _read_dials(self, state: int) -> Iterator[tuple[str, Any, Any]]:
        """Words, value and largest value of each dial."""
        for name in self._dials:
            table = (
                self._task.features[name] if name in self._task.features else np.arange(self._task.n_states)
            )
            yield name.replace("_", " "), table[state], table.max(axis=0)


def _draw_dial(canvas: Canvas, y: float, words: str, value: Any, most: Any) -> None:
    """Dots for what is true or not, a bar for a number."""
    left, wide = 0.5 * _DIALS, 0.5 * _DIALS - 6 * _MARGIN
    canvas.text((_MARGIN, y + _LINE / 2), words, INK, 13, "lm")
    numbers, ends = np.ravel(value), np.ravel(most)
    if numbers.dtype == np.bool_:
        for place, holds in enumerate(numbers.tolist()):
            canvas.disc((left + 8 + 18 * place, y + _LINE / 2), 6, GOAL if holds else DIM, hollow=not holds)
        return
    for place, (number, end) in enumerate(zip(numbers.tolist(), ends.tolist(), strict=True)):
        share = min(max(number / end, 0.0), 1.0) if end > 0 else 0.0
        top, bottom = y + 5, y + _LINE - 5
        step = wide / len(numbers)
        x = left + place * step
        canvas.box((x, top), (x + step - 2, bottom), FLOOR)
        canvas.box((x, top), (x + max(share * (step - 2), 1), bottom), THING)
        canvas.text((left + wide + 4 + place * 30, y + _LINE / 2), f"{number:.3g}", DIM, 12, "lm")


def _is_place(table: NDArray[Any]) -> bool:
    return table.dtype.kind == "i" and table.ndim == 2 and table.shape[1] in (1, 2) and bool(table.min() >= 0)


def _cells(table: NDArray[Any]) -> NDArray[Any]:
    """(S, 2): row and column; one coordinate alone is a column."""
    return table if table.shape[1] == 2 else np.pad(table, ((0, 0), (1, 0)))
