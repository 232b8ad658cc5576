"""Nodes that ask: their questions go out with every step, and the answers that have come are handed to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shapegym.shaping.errors import AnnotationError
from shapegym.shaping.evaluation.annotators import Question
from shapegym.shaping.evaluation.answers import Correspondence, annotator_of
from shapegym.shaping.evaluation.program import Program
from shapegym.shaping.transitions import State, Transitions
from shapegym.shaping.types import Model, Term

MemoryOf = Callable[[Term | Model], Any]
"""The state or memory of a reader."""


class Asking:
    """The nodes of a program that ask, and their correspondence.

    Args:
        program: the expression.
        answers: the correspondence; by default with the annotator that the nodes name, and a log in memory.
    """

    def __init__(self, program: Program, answers: Correspondence | None) -> None:
        self._askers = {program.name_of(reader): reader for reader in program.readers if reader.asks}
        self.answers = answers or Correspondence(annotator_of(self._askers))

    def __bool__(self) -> bool:
        return bool(self._askers)

    def hear(self, clock: int, memory_of: MemoryOf) -> None:
        """Hand out the answers that have come, and say of which questions there will be none."""
        for question, answer in self.answers.take(clock):
            reader = self._askers.get(question.asker)
            if reader is None:
                raise AnnotationError(
                    f"The question {question.id} is of no part of this reward: the state or the log belongs to another one."
                )
            if answer.error is None:
                reader.answered(question.payload, answer.payload, memory_of(reader))
            else:
                reader.unanswered(question.payload, memory_of(reader))

    def ask(self, clock: int, transitions: Transitions, memory_of: MemoryOf) -> None:
        """Send what the nodes ask about a step that they have observed."""
        questions: list[Question] = []
        for name, reader in self._askers.items():
            asked = reader.questions(transitions, memory_of(reader))
            numbered = enumerate(asked, self.answers.next_number(name))
            questions += [Question(name, number, payload) for number, payload in numbered]
        if questions:
            self.answers.ask(clock, questions)

    def state_dict(self) -> State:
        """Return what is pending, as nested plain values; nothing if nobody asks."""
        return self.answers.state_dict() if self else {}

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict`."""
        if self:
            self.answers.load_state_dict(state)
