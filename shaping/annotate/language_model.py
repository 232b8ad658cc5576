"""A language model that labels captions, behind an OpenAI-compatible endpoint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Le, MinLen
from typing_extensions import override

from shapegym.shaping.annotate.labellers import Kind, Labeller, Payload
from shapegym.shaping.annotate.wording import prompt_for, require_prompt
from shapegym.shaping.asking.chat import Chat, Message, Request
from shapegym.shaping.limits import Count, FromFile, Natural, NonNegative, Positive

if TYPE_CHECKING:
    from shapegym.shaping.annotate.asking import AskingAnnotator


@dataclass(frozen=True)
class LanguageModel(Labeller):
    """Asks a language model whether a caption is helpful, or which of two is, in a thread of its own.

    The newest questions are answered first; of more than ``capacity`` the oldest are dropped, and asked again when their captions
    are seen again. While the endpoint is gone nothing is lost: it is tried again, after 1 s at first and at most every 60 s. Every
    answer stands in the ``cache``, so no run asks what another was told. The key comes from ``OPENAI_API_KEY`` alone.

    Zheng et al. 2024 (ONI) ask Llama-3.1-8B-Instruct at a temperature of 0.1, 100 messages at a time.

    Args:
        model: its name at the endpoint.
        base_url: of the endpoint, up to ``/v1``; that of ``OPENAI_BASE_URL`` where it is empty.
        task: what the agent is to do, in words.
        prompt: template of the question (`shapegym.shaping.annotate.wording`); empty: that of the package. In reward files
            ``file: NAME`` takes it from a file.
        cache: file of every exchange, which all runs share; empty: none is kept.
        offline: answer from the cache alone, and other questions with an error.
        batch: requests that are sent at once.
        capacity: questions that wait.
        calls: requests in all, of everything in the cache; 0: any number.
        tokens: read and written in all; 0: any number.
        temperature: of sampling.
        most_tokens: of an answer.
        timeout: seconds that one answer may take.
        retries: of a request, before the endpoint counts as gone for now.
    """

    model: Annotated[str, MinLen(1)]
    base_url: str = ""
    task: str = "solve the task"
    prompt: Annotated[str, FromFile, "the text of a prompt"] = ""
    cache: str = ""
    offline: bool = False
    batch: Count = 8
    capacity: Count = 10_000
    calls: Natural = 0
    tokens: Natural = 0
    temperature: NonNegative = 0.1
    most_tokens: Count = 64
    timeout: Positive = 60.0
    retries: Annotated[int, Ge(0), Le(20), "an integer in [0, 20]"] = 1

    @override
    def open(self) -> AskingAnnotator:
        """Return who asks, its thread not yet begun.

        Raises:
            AskingError: if there is no such endpoint to be asked (a URL with a secret, no openai client), or the cache is damaged.
            AnnotationError: if the prompt is no template.
        """
        from shapegym.shaping.asking.endpoint import Endpoint

        return self.asking(
            None
            if self.offline
            else Endpoint(self.model, self.base_url, timeout=self.timeout, retries=self.retries)
        )

    def asking(self, chat: Chat[Request] | None) -> AskingAnnotator:
        """Return the same that asks ``chat``; None asks nobody."""
        from shapegym.shaping.annotate.asking import AskingAnnotator
        from shapegym.shaping.asking.transcript import Budget, Transcript

        if self.prompt:
            require_prompt(self.prompt)
        transcript = Transcript(
            Path(self.cache) if self.cache else None,
            chat,
            Request,
            Budget(self.calls or None, self.tokens or None),
            shared=bool(self.cache),
        )
        return AskingAnnotator(
            transcript, self.request, name=self.model, capacity=self.capacity, batch=self.batch
        )

    def request(self, kind: Kind, payload: Payload) -> Request:
        """Return what is asked for a question."""
        said = prompt_for(kind, payload, self.task, self.prompt)
        return Request((Message("user", said),), temperature=self.temperature, most_tokens=self.most_tokens)
