"""The annotator that asks a chat about captions: cached, several requests at a time, patient with those who are gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from typing_extensions import override

from shapegym.shaping.annotate.labellers import Kind, Payload, kind_of
from shapegym.shaping.annotate.wording import read_answer
from shapegym.shaping.asking.chat import Request
from shapegym.shaping.asking.transcript import Transcript, timed
from shapegym.shaping.errors import AskingError, BudgetError, UnansweredError
from shapegym.shaping.evaluation.annotators import Answer, Question, ThreadedAnnotator

PAUSES = (1.0, 60.0)
"""Seconds before the first try after a failure, and the longest."""


class AskingAnnotator(ThreadedAnnotator):
    """Answers from a transcript or from whom it asks, in the thread of `ThreadedAnnotator`.

    Args:
        transcript: what is known, and who is asked; nobody where it has no chat.
        request_for: makes a request of a question.
        name: of whoever answers: answers of others in the transcript are not taken.
        capacity: questions that wait.
        batch: requests that are sent at once.
    """

    def __init__(
        self,
        transcript: Transcript[Request],
        request_for: Callable[[Kind, Payload], Request],
        *,
        name: str,
        capacity: int,
        batch: int,
    ) -> None:
        super().__init__(self._answer_all, capacity=capacity, batch=batch)
        self.transcript, self.request_for, self.name = transcript, request_for, name
        self.pauses = PAUSES
        self._failure: AskingError | None = None

    @override
    def poll(self) -> list[Answer]:
        """Return what has come.

        Raises:
            AskingError: why nobody answers, once for each time that it was tried in vain.
        """
        with self._changed:
            failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        return super().poll()

    def _answer_all(self, questions: Sequence[Question]) -> Iterator[Answer]:
        """Answer questions, newest first, however long it takes; give up only what the budget does not allow, and when closed."""
        pause, longest = self.pauses
        left = [*questions]
        while left:
            unanswered: list[Question] = []
            for question, answer in self._try(left):
                if answer is None:
                    unanswered.append(question)
                else:
                    yield answer
            pause = self.pauses[0] if len(unanswered) < len(left) else min(2 * pause, longest)
            left = unanswered
            if left and self._closed_within(pause):
                return

    def _try(self, questions: Sequence[Question]) -> Iterator[tuple[Question, Answer | None]]:
        """Yield what comes of each question; None where it is to be tried again."""
        missing: list[tuple[Question, Request]] = []
        for question in questions:
            kind = kind_of(question.payload)
            if kind is None:
                yield (
                    question,
                    Answer(question.id, error=f"no question about captions: {question.payload!r:.80}"),
                )
                continue
            request = self.request_for(kind, question.payload)
            if (reply := self.transcript.known(self._place(request), request)) is not None:
                yield question, self._read(question, reply.text, reply.refused)
            else:
                missing.append((question, request))
        if missing:
            yield from self._ask(missing)

    def _ask(self, missing: Sequence[tuple[Question, Request]]) -> Iterator[tuple[Question, Answer | None]]:
        """Send requests side by side, as many as the budget has left."""
        transcript = self.transcript
        chat = transcript.chat
        if chat is None:
            for question, _ in missing:
                yield (
                    question,
                    Answer(question.id, error=f"{transcript} does not know it, and nobody is asked"),
                )
            return
        allowed = int(min(transcript.calls_left, len(missing)))
        try:
            transcript.require_budget(missing[0][0].id)
        except BudgetError as error:
            allowed = 0
            self._fail(error)
        for question, _ in missing[allowed:]:
            yield question, Answer(question.id, error="the budget is spent")
        if not allowed:
            return
        with ThreadPoolExecutor(allowed) as pool:
            asked = [(each, pool.submit(timed, chat, each[1])) for each in missing[:allowed]]
            for (question, request), coming in asked:
                try:
                    reply, seconds = coming.result()
                except UnansweredError as error:
                    self._fail(error)
                    yield question, None
                    continue
                reply = transcript.keep(self._place(request), request, reply, seconds)
                yield question, self._read(question, reply.text, reply.refused)

    def _place(self, request: Request) -> str:
        """Where an exchange stands in the cache: models of different names do not answer for each other."""
        return f"{self.name}/{request.digest}"

    def _read(self, question: Question, text: str, refused: str) -> Answer:
        kind = kind_of(question.payload)
        assert kind is not None  # noqa: S101  # others were sorted out
        if refused:
            return Answer(question.id, error=f"refused: {refused}")
        meant = read_answer(kind, text)
        if meant is None:
            return Answer(question.id, error=f"the answer matches no label: {text!r:.80}")
        return Answer(question.id, meant)

    def _fail(self, error: AskingError) -> None:
        with self._changed:
            self._failure = error

    def _closed_within(self, seconds: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._closed, timeout=seconds)
