"""Who answers a reward's questions: a person, a language model, a simulator, or for tests a script.

An `Annotator` is told questions and asked from time to time whether answers have come. It never makes training wait.
`shapegym.shaping.evaluation.answers` keeps what was asked and answered, so that a run with a slow outside world repeats.
"""

from __future__ import annotations

import threading
import zlib
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from shapegym.shaping.errors import AnnotationError


@dataclass(frozen=True)
class Question:
    """What a part of a reward wants to know.

    Attributes:
        asker: the name of the part.
        number: counts the asker's questions upwards, so that asker and number are the same in every repetition of a run.
        payload: the question itself, a JSON value.
    """

    asker: str
    number: int
    payload: Any

    @property
    def id(self) -> str:
        """``"<asker>/<number>"``: unique within a run."""
        return f"{self.asker}/{self.number}"


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        question: the id of the question.
        payload: the answer itself, a JSON value.
        error: why there is none and never will be; None if there is one.
    """

    question: str
    payload: Any = None
    error: str | None = None


class Annotator(ABC):
    """Answers questions in its own time.

    All three methods return at once: they are called between two steps of training, always from the same thread. Whoever has
    something slow to do does it elsewhere (a thread such as `ThreadedAnnotator`'s, a process, a server), and guards with a lock
    what both sides touch. An exception here does not stop training: it is warned of, and the call is made again a step later.
    """

    @abstractmethod
    def submit(self, questions: Sequence[Question]) -> None:
        """Take in questions, each once in the annotator's life. If it raises it has taken none, and gets them again."""

    @abstractmethod
    def poll(self) -> Iterable[Answer]:
        """Return the answers that have come since the last call, in any order: one to each question, now or later.

        What finally fails is an answer with an ``error``; a question without any answer is waited for until the run ends.
        """

    def close(self) -> None:  # noqa: B027  (most have nothing to give back)
        """Give back threads and connections. Answers still under way may be lost; a resumed run asks for them again."""


class ScriptedAnnotator(Annotator):
    """Answers by a function, late, with mistakes and outages, the same every time.

    Args:
        answer: payload of the question -> payload of the answer. If it raises, the answer is an error.
        latency: how many polls bring nothing before the one that brings the answer.
        noise: the probability in [0, 1] that an answer is replaced by another of the ``labels``.
        labels: at least two possible answers.
        seed: of the noise, which depends on nothing else but the question's id.
        outages: ranges of polls that raise a ConnectionError, counted from 0. What was due comes afterwards.

    Attributes:
        submitted: every question so far.
        polls: how often it was polled.
    """

    def __init__(
        self,
        answer: Callable[[Any], Any],
        *,
        latency: int = 0,
        noise: float = 0.0,
        labels: Sequence[Any] = (0, 1),
        seed: int = 0,
        outages: Sequence[range] = (),
    ) -> None:
        self.answer = answer
        self.latency = latency
        self.noise = noise
        self.labels = tuple(labels)
        self.seed = seed
        self.outages = tuple(outages)
        self.submitted: list[Question] = []
        self.polls = 0
        self._waiting: list[tuple[int, Question]] = []

    def submit(self, questions: Sequence[Question]) -> None:
        """Take in questions; the next poll but ``latency`` answers them."""
        self.submitted += questions
        self._waiting += [(self.polls + self.latency, question) for question in questions]

    def poll(self) -> list[Answer]:
        """Return the answers that are due."""
        now = self.polls
        self.polls += 1
        if any(now in outage for outage in self.outages):
            raise ConnectionError(f"an outage that the script wants at poll {now}")
        due = [question for poll, question in self._waiting if poll <= now]
        self._waiting = [(poll, question) for poll, question in self._waiting if poll > now]
        return [self._answered(question) for question in due]

    def _answered(self, question: Question) -> Answer:
        try:
            label = self.answer(question.payload)
        except Exception as error:  # whatever the function raises is a failure of the world that it plays
            return Answer(question.id, error=_described(error))
        rng = np.random.default_rng([self.seed, zlib.crc32(question.id.encode())])
        if rng.random() < self.noise:
            others = [other for other in self.labels if other != label]
            label = others[rng.integers(len(others))]
        return Answer(question.id, label)


class Switchboard(Annotator):
    """Gives every question to the annotator of its asker.

    Args:
        annotators: by the asker's name.
    """

    def __init__(self, annotators: Mapping[str, Annotator]) -> None:
        self.annotators = annotators
        self._came: list[Answer] = []

    def submit(self, questions: Sequence[Question]) -> None:
        """Give the questions to those who answer them; if one cannot take its own they have errors for answers."""
        for asker in dict.fromkeys(question.asker for question in questions):
            own = [question for question in questions if question.asker == asker]
            try:
                self.annotators[asker].submit(own)
            except Exception as error:  # the others have taken theirs, and must not get them again
                self._came += [Answer(question.id, error=_described(error)) for question in own]

    def poll(self) -> list[Answer]:
        """Return the answers of all; what one of them raises is raised when nothing came from the others."""
        came, self._came = self._came, []
        failure: Exception | None = None
        for annotator in self.annotators.values():
            try:
                came += annotator.poll()
            except Exception as error:  # which it is does not matter: the others go on
                failure = error
        if failure is not None and not came:
            raise failure
        return came

    def close(self) -> None:
        """Close all."""
        for annotator in self.annotators.values():
            annotator.close()


class ThreadedAnnotator(Annotator):
    """Runs something that blocks in one daemon thread, newest questions first: late answers are about a policy of long ago.

    Args:
        answer: gets up to ``batch`` questions, newest first, and returns or yields an `Answer` to each. It runs in the thread. If
            it raises, or leaves a question out, that is an answer with an error; trying again is its own affair.
        capacity: how many questions wait at most. The oldest are dropped: answered with an error, and counted.
        batch: how many questions ``answer`` gets at once, at most.

    Attributes:
        dropped: how many questions were dropped.

    Raises:
        AnnotationError: if capacity or batch is less than 1.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[Question]], Iterable[Answer]],
        *,
        capacity: int = 64,
        batch: int = 1,
    ) -> None:
        if min(capacity, batch) < 1:
            raise AnnotationError(f"capacity and batch must be at least 1, got {capacity} and {batch}.")
        self.capacity = capacity
        self.batch = batch
        self.dropped = 0
        self._answer = answer
        self._waiting: deque[Question] = deque()
        self._answers: list[Answer] = []
        self._changed = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None

    def submit(self, questions: Sequence[Question]) -> None:
        """Let the questions wait for the thread, which the first of them starts.

        Raises:
            AnnotationError: after `close`.
        """
        with self._changed:
            if self._closed:
                raise AnnotationError("This annotator is closed: make a new one to ask further questions.")
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="annotator", daemon=True)
                self._thread.start()
            self._waiting.extend(questions)
            while len(self._waiting) > self.capacity:
                self.dropped += 1
                oldest = self._waiting.popleft()
                self._answers.append(Answer(oldest.id, error=f"dropped for {self.capacity} newer questions"))
            self._changed.notify()

    def poll(self) -> list[Answer]:
        """Return what the thread has finished, and the errors of what was dropped."""
        with self._changed:
            answers, self._answers = self._answers, []
        return answers

    def close(self) -> None:
        """Forget what waits. The thread ends after what it is working on, which is not waited for."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify()

    def _work(self) -> None:
        while questions := self._newest():
            left = {question.id for question in questions}
            reason = "no answer came back"
            try:
                for answer in self._answer(questions):
                    with self._changed:
                        self._answers.append(answer)
                    left.discard(answer.question)
            except Exception as error:  # the thread outlives what it runs
                reason = _described(error)
            with self._changed:
                self._answers += [Answer(one.id, error=reason) for one in questions if one.id in left]

    def _newest(self) -> list[Question]:
        """Return the questions to be worked on next, as soon as there are any; none when closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            return [self._waiting.pop() for _ in range(min(self.batch, len(self._waiting)))]


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
