"""The log of a correspondence: every question asked and every answer taken in, with the clock of its moment."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from itertools import count, takewhile
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from shapegym.shaping.errors import AnnotationError, said_as
from shapegym.shaping.evaluation.annotators import Answer, Question
from shapegym.shaping.json_lines import append_rows, each_row

Row: TypeAlias = tuple[int, Question | Answer]
"""The clock at which a question was asked, or an answer taken in, and which."""

Item = TypeVar("Item", Question, Answer)


class AnswerLog:
    """Everything asked and answered in a run, a JSON object a line, in the order in which it happened.

    ``{"clock": 128, "asked": "judge", "number": 0, "payload": ...}``, later ``{"clock": 512, "answered": "judge/0", "payload":
    ...}``, or ``"error"`` instead of the payload. Questions are rows of their own because a run ends with some of them
    unanswered, and a repetition has to know these too.

    Args:
        path: the file, made with the first row; None keeps the log in memory, from which only the same process resumes exactly.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = None if path is None else Path(path)
        self._memory: dict[int, str] = {}

    def __str__(self) -> str:
        return "the log in memory" if self.path is None else f"the log {self.path}"

    def rest(self, position: int) -> list[Row]:
        """Return the rows from ``position`` on. An unfinished last line, which a killed process leaves, is none.

        A log in memory that does not reach there has none: the run was in another process then.

        Raises:
            AnnotationError: if a line is damaged, or the file has fewer rows; names the file and the line.
        """
        if self.path is None:
            reached = takewhile(self._memory.__contains__, count(position))
            return [_decode(json.loads(self._memory[index])) for index in reached]
        rows, number = list[Row](), 0
        found = each_row(self.path, AnnotationError) if self.path.exists() else ()
        for number, data in enumerate(found, start=1):  # how many there are
            with said_as(AnnotationError, ValueError, f"{self.path}, line {number}, is damaged: ", ""):
                row = _decode(data)
            if number > position:
                rows.append(row)
        if position > number:
            raise AnnotationError(
                f"{self.path} has {number} rows, but the state to go on from was saved after {position}: the log was cut off, "
                "or belongs to another run. Restore the log that was written with the state."
            )
        return rows

    def append(self, position: int, rows: Sequence[Row]) -> None:
        """Add rows of plain values in one piece. ``position`` is how many there are already, also in earlier processes.

        Raises:
            AnnotationError: if the file cannot be written.
        """
        if not rows:  # at most steps
            return
        lines = [_encode(row) for row in rows]
        if self.path is None:
            self._memory |= dict(enumerate(map(json.dumps, lines), start=position))
            return
        with said_as(AnnotationError, OSError, f"{self.path} cannot be written: "):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            append_rows(self.path, lines)

    def sync(self) -> None:
        """Let the rows reach the disk, so that no power failure leaves a state that knows more of them than the log."""
        if self.path is not None and self.path.exists():
            with self.path.open("ab") as file:
                os.fsync(file.fileno())


def encode_line(row: Row) -> str:
    """Return the row as text."""
    return json.dumps(_encode(row))


def as_logged(item: Item) -> Item:
    """Return a question or answer as the log gives it back, so that what is acted on at first is what is acted on in a replay.

    Raises:
        AnnotationError: if it is not made of JSON values.
    """
    causes = (TypeError, ValueError, RecursionError)
    with said_as(AnnotationError, causes, f"{item!r:.200} is not made of JSON values: ", ""):
        _, logged = _decode(json.loads(json.dumps(_encode((0, item)), allow_nan=False)))
    return replace(item, **vars(logged))


def _encode(row: Row) -> dict[str, Any]:
    clock, item = row
    if isinstance(item, Question):
        return {"clock": clock, "asked": item.asker, "number": item.number, "payload": item.payload}
    if item.error is not None:
        return {"clock": clock, "answered": item.question, "error": item.error}
    return {"clock": clock, "answered": item.question, "payload": item.payload}


def _decode(data: dict[str, Any]) -> Row:
    match data:
        case {"clock": int(clock), "asked": str(asker), "number": int(number), "payload": payload}:
            return clock, Question(asker, number, payload)
        case {"clock": int(clock), "answered": str(question), "payload": payload}:
            return clock, Answer(question, payload)
        case {"clock": int(clock), "answered": str(question), "error": str(error)}:
            return clock, Answer(question, error=error)
    raise ValueError(
        "it has no clock, asked, number and payload, and no clock, answered, and payload or error, or not of their types."
    )
