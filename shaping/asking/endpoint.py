"""Any OpenAI-compatible endpoint, through the openai client (extra ``llm``): Ollama, vLLM, llama.cpp, or a hosted one.

An endpoint is a stranger: its answers are bounded in size and time, whatever it sends, and what it says in errors is quoted without
the key. The key comes from the environment alone, and is written nowhere.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Annotated, Any
from urllib.parse import urlsplit

from annotated_types import Ge, Le
from pydantic import BaseModel, ValidationError

from shapegym.shaping.asking.chat import Reply, Request
from shapegym.shaping.errors import AskingError, UnansweredError
from shapegym.shaping.limited_files import MIB, in_words
from shapegym.shaping.limits import Limited, Positive

KEY = "OPENAI_API_KEY"
BASE_URL = "OPENAI_BASE_URL"
"""Variables of the environment, those of the openai client."""

LARGEST_ANSWER = 4 * MIB
"""Bytes of an answer with all around it."""
_QUOTED = 300
"""Characters of what an endpoint says in an error."""
_TOO_LONG = re.compile(r"context|too long|too large|maximum.{0,20}tokens|exceed", re.IGNORECASE)


class _Usage(BaseModel):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Message(BaseModel):
    content: str | None = None


class _Choice(BaseModel):
    message: _Message


class _Completion(BaseModel):
    choices: list[_Choice]
    usage: _Usage | None = None


@dataclass(frozen=True)
class Endpoint(Limited):
    """A model behind ``/chat/completions``.

    Attributes:
        model: its name there.
        base_url: up to ``/v1``; that of ``OPENAI_BASE_URL``, or of the hosted service, where it is empty.
        timeout: seconds that one answer may take in all.
        retries: of a request that failed for a reason that may pass.
    """

    misfit = AskingError

    model: str
    base_url: str = ""
    timeout: Positive = 300.0
    retries: Annotated[int, Ge(0), Le(20), "an integer in [0, 20]"] = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        url = self.base_url or os.environ.get(BASE_URL, "")
        object.__setattr__(self, "base_url", url)
        _require_plain(url)
        _openai()  # said before anything else is done

    @property
    def described(self) -> Mapping[str, Any]:
        """Model and URL."""
        return {"model": self.model, "base_url": self.base_url}

    def ask(self, request: Request) -> Reply:
        """Ask; see `Chat`."""
        openai = _openai()
        for left in reversed(range(self.retries + 1)):
            try:
                with _client(self) as client:
                    answer = client.chat.completions.with_raw_response.create(
                        model=self.model,
                        messages=[{"role": each.role, "content": each.content} for each in request.messages],
                        temperature=request.temperature,
                        max_tokens=request.most_tokens,
                        seed=request.seed,
                    )
                return self._read(answer.text)
            except openai.APIStatusError as error:
                if _is_too_long(error):
                    return Reply("", refused=self._quoted(error))
                raise UnansweredError(self._explained(error)) from None
            except openai.APITimeoutError:
                raise UnansweredError(
                    f"{self._name} did not answer within {self.timeout:g} s ({self.retries + 1} tries). Is it busy? Give "
                    "it a longer timeout."
                ) from None
            except (openai.APIConnectionError, _Unreadable) as error:
                if left and isinstance(error, _Unreadable):
                    continue
                raise UnansweredError(
                    f"{self._name} gives no answer: {self._quoted(error.__cause__ or error)}."
                ) from None
            except (openai.OpenAIError, ValueError) as error:
                raise UnansweredError(f"{self._name} cannot be asked: {self._quoted(error)}.") from None
        raise AssertionError  # the last try returns or raises

    def _read(self, text: str) -> Reply:
        try:
            completion = _Completion.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise _Unreadable(f"what it sends is no chat completion ({first['msg']})") from None
        if not completion.choices:
            raise _Unreadable("its answer has no choices")
        usage = completion.usage or _Usage()
        said = self._without_key(completion.choices[0].message.content or "")
        return Reply(said, max(usage.prompt_tokens, 0), max(usage.completion_tokens, 0))

    @property
    def _name(self) -> str:
        return f"{self.model} at {self.base_url or 'the hosted endpoint'}"

    def _explained(self, error: Any) -> str:
        said = self._quoted(error)
        match error.status_code:
            case 401 | 403:
                return f"{self._name} refuses the key ({error.status_code}): {said}. Set {KEY} to one that it knows."
            case 404:
                return f"{self._name} is not there (404): {said}. Check the model and the base URL, which ends in /v1 mostly."
            case 429:
                return f"{self._name} takes no more requests for now (429): {said}. Go on later."
        return f"{self._name} fails ({error.status_code}): {said}."

    def _quoted(self, error: BaseException) -> str:
        said = self._without_key(" ".join(str(error).split())) or type(error).__name__
        return said[:_QUOTED].rstrip(".")

    def _without_key(self, text: str) -> str:
        key = os.environ.get(KEY, "")
        return text.replace(key, "[key]") if len(key) > 3 else text


class _Unreadable(Exception):
    """An answer that is no completion."""


def _openai() -> Any:
    try:
        return import_module("openai")
    except ImportError:
        raise AskingError(
            "A model is asked through the openai client: pip install 'shapegym[llm]'."
        ) from None


def _require_plain(url: str) -> None:
    """The URL is kept in files, so it holds no secret."""
    if not url:
        return
    try:
        parts = urlsplit(url)
        fits = (
            parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.query or parts.fragment)
        )
        secret = parts.username is not None or parts.password is not None
    except ValueError:
        fits = secret = False
    if secret or not fits:
        shown = "one with a name or password in it" if secret else repr(url[:100])
        raise AskingError(
            f"The base URL of a model is http://HOST:PORT/v1 or https://..., not {shown}. The key comes from {KEY}."
        )


def _client(of: Endpoint) -> Any:
    openai = _openai()
    started = _Clock()
    return openai.OpenAI(
        api_key=os.environ.get(KEY) or "none",  # local servers want none, and the client wants one
        base_url=of.base_url or None,
        timeout=of.timeout,
        max_retries=of.retries,
        default_headers={"Accept-Encoding": "identity"},
        http_client=openai.DefaultHttpxClient(
            timeout=of.timeout,
            event_hooks={
                "request": [started],
                "response": [lambda response: _bound(response, started.time + of.timeout)],
            },
        ),
    )


@dataclass
class _Clock:
    time: float = field(default=0.0)

    def __call__(self, _: Any) -> None:
        self.time = time.monotonic()


def _bound(response: Any, until: float) -> None:
    """Let a response, an error's too, be read only as far as an answer may be long, and as long as it may take."""
    if response.headers.get("content-encoding", "identity") != "identity":
        raise _Unreadable("it compresses its answers, unasked")
    inner = response.stream

    class Bounded(type(inner)):  # type: ignore[misc]  # the client's own class, which it insists on
        def __init__(self) -> None:
            pass

        def __iter__(self) -> Iterator[bytes]:
            taken = 0
            for chunk in inner:
                taken += len(chunk)
                if taken > LARGEST_ANSWER:
                    raise _Unreadable(f"its answer has no end (more than {in_words(LARGEST_ANSWER)})")
                if time.monotonic() > until:
                    raise _Unreadable("its answer takes longer than it may")
                yield chunk

        def close(self) -> None:
            inner.close()

    response.stream = Bounded()


def _is_too_long(error: Any) -> bool:
    """Whether this request, and not every one, is refused."""
    return error.status_code == 413 or (
        error.status_code in (400, 422) and bool(_TOO_LONG.search(str(error)))
    )
