"""The book of a model that asks: what was asked, what was answered, and what may be asked again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np

from shapegym.shaping.transitions import State

Entry: TypeAlias = tuple[bytes, ...]
"""What a question is about: one caption, or two, in UTF-8."""

_ANSWERED, _PENDING, _REFUSED = range(3)


class Book:
    """Answers by what was asked, each once.

    Args:
        arity: captions of an entry.
        capacity: answers, the newest, and as many questions without one, that are remembered.
        patience: steps after which what got no answer may be asked again.

    Attributes:
        answers: entry -> answer, the newest last.
        pending: entry -> global step at which it was asked.
        refused: the same of what got an error instead.
        fresh: answers since the last fit.
    """

    def __init__(self, arity: int, capacity: int, patience: int) -> None:
        self.arity, self.capacity, self.patience = arity, capacity, patience
        self.answers: dict[Entry, float] = {}
        self.pending: dict[Entry, int] = {}
        self.refused: dict[Entry, int] = {}
        self.fresh = 0

    def ask(self, entry: Entry, clock: int) -> bool:
        """Return whether a question is to be asked now, and enter it if so."""
        if entry in self.answers or entry in self.pending:
            return False
        if clock < self.refused.get(entry, -self.patience) + self.patience:
            return False
        self.refused.pop(entry, None)
        self._enter(self.pending, entry, clock)
        return True

    def answer(self, entry: Entry, answer: float) -> None:
        """Enter an answer."""
        self.pending.pop(entry, None)
        self.refused.pop(entry, None)
        self._enter(self.answers, entry, answer)
        self.fresh += 1

    def refuse(self, entry: Entry) -> None:
        """Enter that a question will not be answered."""
        self._enter(self.refused, entry, self.pending.pop(entry, 0))

    def state_dict(self) -> State:
        """Return all of it as arrays."""
        listed = list(self._listed())
        texts = [text for _, entry, _ in listed for text in entry]
        return {
            "kinds": np.array([kind for kind, _, _ in listed], dtype=np.int8),
            "values": np.array([value for _, _, value in listed], dtype=np.float64),
            "lengths": np.array([len(text) for text in texts], dtype=np.int64),
            "texts": np.frombuffer(b"".join(texts), dtype=np.uint8).copy(),
            "fresh": self.fresh,
        }

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict`.

        Raises:
            ValueError: if it is of another form.
        """
        kinds, values, lengths, texts = (
            np.asarray(state[key]) for key in ("kinds", "values", "lengths", "texts")
        )
        whole = all(array.ndim == 1 for array in (kinds, values, lengths, texts))
        if not (
            whole
            and (kinds.dtype, values.dtype, lengths.dtype, texts.dtype) == _DTYPES
            and len(kinds) == len(values) <= 3 * self.capacity
            and len(lengths) == self.arity * len(kinds)
            and (lengths >= 0).all()
            and lengths.sum() == len(texts)
            and np.isfinite(values).all()
            and ((kinds >= 0) & (kinds <= _REFUSED)).all()
        ):
            raise ValueError("it has no book of what was asked and answered")
        ends = np.cumsum(lengths)
        raw = texts.tobytes()
        pieces = [raw[end - length : end] for end, length in zip(ends, lengths, strict=True)]
        entries = [tuple(pieces[start : start + self.arity]) for start in range(0, len(pieces), self.arity)]
        told = list(zip(entries, kinds.tolist(), values.tolist(), strict=True))
        self.answers = {entry: value for entry, kind, value in told if kind == _ANSWERED}
        self.pending = {entry: int(clock) for entry, kind, clock in told if kind == _PENDING}
        self.refused = {entry: int(clock) for entry, kind, clock in told if kind == _REFUSED}
        self.fresh = int(state["fresh"])

    def _listed(self) -> Iterator[tuple[int, Entry, float]]:
        for kind, room in ((_ANSWERED, self.answers), (_PENDING, self.pending), (_REFUSED, self.refused)):
            yield from ((kind, entry, value) for entry, value in room.items())

    def _enter(self, room: dict[Entry, float] | dict[Entry, int], entry: Entry, value: float) -> None:
        room.pop(entry, None)
        room[entry] = value  # type: ignore[assignment]
        if len(room) > self.capacity:
            del room[next(iter(room))]


_DTYPES = (np.dtype(np.int8), np.dtype(np.float64), np.dtype(np.int64), np.dtype(np.uint8))
