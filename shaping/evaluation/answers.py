"""Late answers: what a reward asks the slow world outside, and how a run with such a world repeats to the bit.

When an answer comes is an accident. So everything that is asked and every answer that is taken in is a row of an append-only log,
with the clock of its moment, and written before anybody acts on it. A run that is resumed from an earlier state comes by the same
moments again: it reads there what the log says instead of asking the world, until the log ends, and only then sends what is
still unanswered. A run that is repeated from the start (``verify``) does the same with a log alone.
"""

from __future__ import annotations

import copy
import json
import warnings
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from shapegym.shaping.errors import AnnotationError
from shapegym.shaping.evaluation.annotators import Annotator, Answer, Question, Switchboard
from shapegym.shaping.evaluation.answer_log import AnswerLog, as_logged, encode_line
from shapegym.shaping.limited_files import parse_json
from shapegym.shaping.transitions import State
from shapegym.shaping.types import Model, Term


def annotator_of(askers: Mapping[str, Term | Model]) -> Annotator | None:
    """Return who answers the nodes that ask, by their names, or None if none of them says who.

    What a single one names answers all. Where several name somebody, each is answered by its own.

    Raises:
        AnnotationError: if one of several does not say whom it asks.
    """
    named = {
        name: found
        for name, asker in askers.items()
        if asker.asks and (found := asker.annotator()) is not None
    }
    if len(named) <= 1:
        return next(iter(named.values()), None)
    if silent := [name for name, asker in askers.items() if asker.asks and name not in named]:
        raise AnnotationError(
            f"{silent[0]!r} asks, and does not say whom, while others of the reward ask annotators of their own. Name one for it."
        )
    return Switchboard(named)


class Correspondence:
    """Questions that are under way, and the answers as they are taken in.

    Training goes on whatever the annotator does. What it raises, errors instead of answers, and answers that nobody waits for are
    warned of once each and counted. What it raised it is asked again. Only a log that contradicts the run is an error.

    Args:
        annotator: who answers; closed with `close`. None repeats a run from its log alone.
        log: of this run. If it has rows already they are replayed, from the first, or from where a loaded state was saved.

    Attributes:
        pending: what was asked and not answered yet, by id, in the order of asking.
        position: how many rows of the log have happened.
        failures: how often the annotator raised.
        errors: how many answers were errors.
        unwanted: how many answers were dropped because no such question was pending.
    """

    def __init__(self, annotator: Annotator | None = None, log: AnswerLog | None = None) -> None:
        self.annotator = annotator
        self.log = AnswerLog() if log is None else log
        self.pending: dict[str, Question] = {}
        self.position = 0
        self.failures = self.errors = self.unwanted = 0
        self._ahead = deque(self.log.rest(0))
        self._clock = -1
        self._numbers: dict[str, int] = {}
        self._unsent: dict[str, Question] = {}
        self._sent: set[str] = set()
        self._warned: set[str] = set()

    @property
    def replaying(self) -> bool:
        """Whether the log still has rows that have not happened again; until then the annotator is left alone."""
        return bool(self._ahead)

    def next_number(self, asker: str) -> int:
        """Return the number of an asker's next question."""
        return self._numbers.get(asker, -1) + 1

    def ask(self, clock: int, questions: Sequence[Question]) -> None:
        """Write the questions to the log and submit them.

        Raises:
            AnnotationError: if a payload is no JSON value or a number was used before; if there is nobody to ask and the log does
                not know the question; if the log says that something else happened here. Nothing is asked then.
        """
        asked = [as_logged(question) for question in questions]
        numbers = dict(self._numbers)
        for question in asked:
            if question.number <= numbers.get(question.asker, -1):
                raise AnnotationError(
                    f"The question {question.id} comes after {question.asker}/{numbers[question.asker]}: the numbers of an asker's "
                    "questions must rise, or answers would be mixed up."
                )
            numbers[question.asker] = question.number
        known = min(len(asked), len(self._ahead))
        for index in range(known):
            if encode_line((clock, asked[index])) != encode_line(self._ahead[index]):
                raise self._contradiction(f"asks {encode_line((clock, asked[index]))}", index)
        if self.annotator is None and known < len(asked):
            raise self._nobody(asked[known])
        self.log.append(self.position + known, [(clock, question) for question in asked[known:]])
        for _ in range(known):
            self._ahead.popleft()
        self.position += len(asked)
        self._numbers = numbers
        self._unsent |= {question.id: question for question in asked}
        self.pending |= {question.id: question for question in asked}
        self._send()

    def take(self, clock: int) -> list[tuple[Question, Answer]]:
        """Return the answers that have come, each with its question, in the order in which these were asked.

        A clock at which answers were taken before brings none, so that the clock of a row says exactly where it belongs.

        Raises:
            AnnotationError: if the log says that something else happened here, or cannot be written.
        """
        if clock <= self._clock:
            return []
        self._send()
        if self._ahead:
            answers = self._replay(clock)
        else:
            answers = self._poll()
            self.log.append(self.position, [(clock, answer) for answer in answers])
        self._clock = clock
        self.position += len(answers)
        for answer in answers:
            self._unsent.pop(answer.question, None)
            self._sent.discard(answer.question)
        return [(self.pending.pop(answer.question), answer) for answer in answers]

    def close(self) -> None:
        """Close the annotator."""
        if self.annotator is not None:
            try:
                self.annotator.close()
            except Exception as error:  # a run that is over is not lost because of it
                self._failed(error)

    def state_dict(self) -> State:
        """Return what to save, as nested plain values. The log is the other half: keep it with the state."""
        self.log.sync()
        return {
            "position": self.position,
            "clock": self._clock,
            "numbers": json.dumps(self._numbers),
            "pending": json.dumps([vars(question) for question in self.pending.values()]),
        }

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict`: what the log has beyond it is replayed.

        Raises:
            AnnotationError: as `AnswerLog.rest`; nothing has changed then.
        """
        numbers, pending = (
            parse_json(state[key].encode(), AnnotationError, f"What the state says of {key} questions")
            for key in ("numbers", "pending")
        )
        if not _are_numbers(numbers) or not isinstance(pending, list) or not all(map(_is_question, pending)):
            raise AnnotationError("The state has no numbers by asker and no list of pending questions.")
        self._ahead = deque(self.log.rest(int(state["position"])))
        self.position = int(state["position"])
        self._clock = int(state["clock"])
        self._numbers = numbers
        questions = [Question(**fields) for fields in pending]
        self.pending = {question.id: question for question in questions}
        self._unsent = dict(self.pending)

    # ------------------------------------------------------------------ inside

    def _send(self) -> None:
        """Submit what nobody has submitted yet, unless the log may still answer it."""
        if not self._unsent or self._ahead or self.annotator is None:
            return
        new = [question for key, question in self._unsent.items() if key not in self._sent]
        try:
            if new:
                self.annotator.submit(copy.deepcopy(new))  # what it does to a payload is not done to ours
        except Exception as error:  # training goes on without the outside world
            self._failed(error)
            return
        self._sent.update(self._unsent)
        self._unsent = {}

    def _replay(self, clock: int) -> list[Answer]:
        """Return what was taken in at this clock, as the log has it."""
        answers: dict[str, Answer] = {}
        for index, (moment, item) in enumerate(self._ahead):
            if moment < clock:
                raise self._contradiction(f"is at clock {clock}", index)
            if moment > clock or isinstance(item, Question):
                break
            if item.question not in self.pending or item.question in answers:
                raise self._contradiction(f"does not wait for {item.question} at clock {clock}", index)
            answers[item.question] = item
        for _ in answers:
            self._ahead.popleft()
        return list(answers.values())

    def _poll(self) -> list[Answer]:
        """Return what has come, as the log will have it."""
        if self.annotator is None:
            return []
        came: list[Answer] = []
        try:
            for answer in self.annotator.poll():
                came.append(answer)
        except Exception as error:  # training goes on without the outside world
            self._failed(error)
        wanted: dict[str, Answer] = {}
        for answer in came:
            key = answer.question if isinstance(answer, Answer) else None
            if not isinstance(key, str) or key not in self.pending or key in wanted:
                self.unwanted += 1
                self._warn(
                    "unwanted", f"An answer that nobody asked for, or the second one: {answer!r:.200}."
                )
                continue
            try:
                wanted[key] = as_logged(answer)
            except AnnotationError as error:
                wanted[key] = Answer(key, error=str(error))
        for answer in wanted.values():
            if answer.error is not None:
                self.errors += 1
                self._warn("errors", f"The question {answer.question} was not answered: {answer.error:.200}.")
        return [wanted[key] for key in self.pending if key in wanted] if wanted else []

    def _nobody(self, question: Question) -> AnnotationError:
        if self.log.path is None:
            return AnnotationError(
                f"There is nobody to answer the question {question.id}: give an annotator, or the log of the run to repeat."
            )
        return AnnotationError(
            f"There is no annotator, and {self.log}, of {self.position + len(self._ahead)} rows, does not know the question "
            f"{question.id}: it is not the log of this run, or not all of it. Give the whole log, or an annotator."
        )

    def _contradiction(self, happens: str, index: int) -> AnnotationError:
        return AnnotationError(
            f"In {self.log}, line {self.position + index + 1} says {encode_line(self._ahead[index])}, but here the run {happens}: "
            "the log is another run's, or this run does not repeat exactly. To go on without the rest of the log, delete it from "
            "that line on."
        )

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        self._warn("failures", f"The annotator failed and is asked again: {type(error).__name__}: {error}.")

    def _warn(self, counter: str, message: str) -> None:
        if counter not in self._warned:
            self._warned.add(counter)
            text = f"{message} Said once; further ones are counted in Correspondence.{counter}."
            warnings.warn(text, RuntimeWarning, stacklevel=3)


def _are_numbers(data: Any) -> bool:
    return isinstance(data, dict) and all(isinstance(number, int) for number in data.values())


def _is_question(data: Any) -> bool:
    match data:
        case {"asker": str(), "number": int(), "payload": _}:
            return len(data) == 3
    return False
