"""Who labels captions, as data: fields of expressions, spelled in reward files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import MinLen
from typing_extensions import override

from shapegym.shaping.errors import AnnotationError
from shapegym.shaping.evaluation.annotators import Annotator, Question, ScriptedAnnotator
from shapegym.shaping.evaluation.answer_log import AnswerLog
from shapegym.shaping.limits import Fraction, Limited, Natural, Seed

Payload = dict[str, Any]
"""``{"caption": text}`` asks for a label in [0, 1]; ``{"first": text, "second": text}`` how likely the first is the better one."""


@dataclass(frozen=True)
class Labeller(Limited, ABC):
    """Whoever says what captions are worth."""

    in_words: ClassVar[str] = "a labeller"
    asks: ClassVar[bool] = True
    """Whether somebody is asked while an agent trains."""

    @abstractmethod
    def open(self) -> Annotator | None:
        """Return who answers; questions and answers as `Payload` says. None leaves it to whoever binds the reward."""

    def known(self) -> Iterator[tuple[Payload, Any]]:
        """Yield questions and answers that there are before anybody is asked."""
        return iter(())


@dataclass(frozen=True)
class Oracle(Labeller):
    """Labels by patterns, late, with mistakes and outages, the same every time: what is known is tried out with it.

    Args:
        labels: pairs of a pattern as file names have them (``"you pick up the * key"``) and the label in [0, 1] of captions that
            match it; the first that matches counts.
        otherwise: label of all others.
        latency: how many steps of the lanes an answer takes: seconds x frames per second / lanes.
        noise: probability that a label is replaced by the other one of 0 and 1, and the better of two by the worse.
        seed: of the mistakes, which depend on the number of the question alone.
        outages: pairs of steps of the lanes between which nobody answers, counted from 0, the second left out.
    """

    labels: Annotated[tuple[tuple[str, Fraction], ...], MinLen(1)]
    otherwise: Fraction = 0.0
    latency: Natural = 0
    noise: Fraction = 0.0
    seed: Seed = 0
    outages: tuple[tuple[Natural, Natural], ...] = ()

    @override
    def open(self) -> ScriptedAnnotator:
        return ScriptedAnnotator(
            self.answer,
            latency=self.latency,
            noise=self.noise,
            labels=(0.0, 1.0),
            seed=self.seed,
            outages=tuple(range(*outage) for outage in self.outages),
        )

    def label(self, caption: str) -> float:
        """Return what a caption is worth, without mistakes."""
        return next(
            (label for pattern, label in self.labels if fnmatchcase(caption, pattern)), self.otherwise
        )

    def answer(self, payload: Payload) -> float:
        """Return the answer to a question, without mistakes."""
        if "caption" in payload:
            return self.label(payload["caption"])
        apart = self.label(payload["first"]) - self.label(payload["second"])
        return 0.5 if apart == 0 else float(apart > 0)


@dataclass(frozen=True)
class Recorded(Labeller):
    """What an earlier run asked and was told, and nobody to ask: labels first, then training, as Motif has it.

    The models that learn from labels are fitted to them once, and stay as they are.

    Args:
        path: of the earlier run's ``answers.jsonl``.
    """

    path: Annotated[str, MinLen(1)]

    asks: ClassVar[bool] = False

    @override
    def open(self) -> None:
        return None

    @override
    def known(self) -> Iterator[tuple[Payload, Any]]:
        """Yield them in the order in which they were answered; raises `AnnotationError` if the file is missing or damaged."""
        if not Path(self.path).is_file():
            raise AnnotationError(
                f"There are no recorded answers {self.path}. A run whose reward asks leaves them in its folder, as answers.jsonl."
            )
        asked: dict[str, Payload] = {}
        for _, item in AnswerLog(self.path).rest(0):
            if isinstance(item, Question):
                asked[item.id] = item.payload
            elif item.error is None and item.question in asked:
                yield asked[item.question], item.payload


Kind = Literal["label", "compare"]


def kind_of(payload: Any) -> Kind | None:
    """Return what a question asks for, or None if it is none about captions."""
    match payload:
        case {"caption": str()}:
            return "label"
        case {"first": str(), "second": str()}:
            return "compare"
    return None
