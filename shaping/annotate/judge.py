"""What the models over captions share: they read one caption a lane, ask about it once, and keep what was answered."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from typing_extensions import override

from shapegym.shaping.annotate.book import Book, Entry
from shapegym.shaping.annotate.labellers import Kind, Labeller, Payload, kind_of
from shapegym.shaping.annotate.texts import distinct_texts
from shapegym.shaping.errors import ObservationError
from shapegym.shaping.evaluation.annotators import Annotator
from shapegym.shaping.limits import Count, Natural
from shapegym.shaping.reading import require_readable
from shapegym.shaping.states.select import Selects, selector, width_for_network
from shapegym.shaping.transitions import Features, Observation, Spec, Transitions
from shapegym.shaping.types import Model

if TYPE_CHECKING:
    from torch import nn

    from shapegym.shaping.annotate.pupil import Pupil


@dataclass(frozen=True)
class Judge(Model):
    """A model that says what captions are worth, ``worth`` (B,), from answers about them.

    It is judged when it has learned: a rollout is paid by all answers that came before its end, and a stored step by those that
    there are when it is used. Nothing is asked twice, and nobody waits for an answer. Empty captions are worth 0 and not asked
    about; what an annotator cannot answer is asked again after ``patience`` steps, when it is seen again.
    """

    abstract: ClassVar[bool] = True
    kind: ClassVar[Kind] = "label"
    outputs: ClassVar[tuple[str, ...]] = ("worth",)
    asks = property(lambda self: self.by.asks)
    learned = property(lambda self: self.by.asks)

    by: Labeller
    of: Selects = "features.caption"
    capacity: Count = 100_000
    patience: Natural = 10_000

    @override
    def annotator(self) -> Annotator | None:
        return self.by.open()

    @override
    def answered(self, question: Any, answer: Any, state: Pupil) -> None:
        number = isinstance(answer, (int, float)) and not isinstance(answer, bool)
        if not number or not 0.0 <= answer <= 1.0:
            warnings.warn(
                f"{type(self).__name__}: an answer is a number in [0, 1], got {answer!r:.60}: it counts as none.",
                RuntimeWarning,
                stacklevel=2,
            )
            self.unanswered(question, state)
            return
        state.book.answer(entry_of(question), float(answer))

    @override
    def unanswered(self, question: Any, state: Pupil) -> None:
        state.book.refuse(entry_of(question))

    def pupil(
        self, spec: Spec, modules: Mapping[str, Callable[[], nn.Module]] | None = None, **options: Any
    ) -> Pupil:
        """Return a fresh memory, with what is known before anybody is asked.

        Raises:
            ObservationError: if what it reads is no row of bytes.
        """
        from shapegym.shaping.annotate.pupil import Pupil

        require_readable(self, spec)
        space = selector(self.of).space(spec)
        if space is not None and (space.dtype != np.uint8 or len(space.shape or ()) != 1):
            raise ObservationError(
                f"{type(self).__name__}: {self.of!r} is {space}, and a caption is a row of bytes (uint8). Grid tasks give one "
                "where their option features asks for 'caption'; CaptionedEnv makes one of any text."
            )
        book = Book(1 if self.kind == "label" else 2, self.capacity, self.patience)
        for payload, answer in self.by.known():
            if kind_of(payload) == self.kind:
                book.answer(entry_of(payload), float(answer))
        # Who labels is not part of the key: parameters begin equally with an oracle and with a model of language.
        return Pupil(modules or {}, self, spec, book, key=type(self).__name__, **options)

    def width(self, spec: Spec) -> int:
        """Return the bytes of a caption; raises `ObservationError` if the environment does not declare them."""
        return width_for_network(type(self).__name__, (self.of,), spec)

    def read(self, obs: Observation, features: Features) -> tuple[list[bytes], np.ndarray]:
        """Return the captions that differ, and which of them each row is; see `distinct_texts`."""
        return distinct_texts(np.asarray(selector(self.of).read(obs, features)))

    def read_active(self, transitions: Transitions) -> list[bytes]:
        """Return the captions that differ after a step, without empty ones."""
        rows = np.asarray(selector(self.of).read(*transitions.after))
        texts, _ = distinct_texts(rows[transitions.active])
        return [text for text in dict.fromkeys(texts) if text]


def entry_of(payload: Payload) -> Entry:
    """Return what a question is about."""
    return tuple(
        payload[key].encode("utf-8", "replace") for key in ("caption", "first", "second") if key in payload
    )


def about(entry: Sequence[bytes]) -> Payload:
    """Return the question about one caption, or about two."""
    keys = ("caption",) if len(entry) == 1 else ("first", "second")
    return {key: text.decode("utf-8", "replace") for key, text in zip(keys, entry, strict=True)}
