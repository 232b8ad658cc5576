"""ONI-Retrieval: a table of labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from shapegym.shaping.annotate.judge import Judge, about
from shapegym.shaping.annotate.labellers import Oracle
from shapegym.shaping.transitions import Experience, Spec, Transitions
from shapegym.shaping.types import Example

if TYPE_CHECKING:
    from shapegym.shaping.annotate.pupil import Pupil


@dataclass(frozen=True)
class Retrieval(Judge):
    """``worth`` (B,): the label of exactly this caption, 0 until there is one.

    Zheng et al. 2024, "Online Intrinsic Rewards for Decision Making Agents from Large Language Model Feedback" (ONI), the variant
    without a network. A caption that is new says nothing here, however like others it is.

    Args:
        by: who labels.
        of: selector of the caption, a row of bytes.
        capacity: labels that are kept, the newest.
        patience: steps after which what was not answered may be asked again.
    """

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(Oracle((("*key*", 1.0),)), "features.caption")),)

    @override
    def init(self, spec: Spec) -> Pupil:
        return self.pupil(spec)

    @override
    def questions(self, transitions: Transitions, state: Pupil) -> list[Any]:
        texts = self.read_active(transitions)
        return [about((text,)) for text in texts if state.book.ask((text,), transitions.clock)]

    @override
    def evaluate(self, transitions: Transitions, memory: Pupil, *inputs: Any) -> dict[str, np.ndarray]:
        texts, places = self.read(*transitions.after)
        labels = np.array([memory.book.answers.get((text,), 0.0) for text in texts])
        return {"worth": labels[places]}

    @override
    def fit(self, experience: Experience, memory: Pupil, *inputs: Any) -> dict[str, float]:
        """Nothing is fitted: labels count as soon as a rollout ends. Log how many there are, and how many are waited for."""
        return memory.progress()
