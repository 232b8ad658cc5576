"""What a language model is asked and what it says: messages in, text out.

A request is data, and its digest names everything that the answer may depend on. Answers are kept with it
(`shapegym.shaping.asking.transcript`), so nobody is asked twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

from shapegym.shaping.digests import digest_of

Role: TypeAlias = Literal["system", "user", "assistant"]


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True)
class Request:
    """What is asked. A subclass may add what other answerers than models go by.

    Attributes:
        messages: the conversation so far.
        seed: of the answer, for those who draw it from a seed.
        temperature: of sampling.
        most_tokens: of the answer.
    """

    messages: tuple[Message, ...]
    seed: int = 0
    temperature: float = 1.0
    most_tokens: int = 1000

    def as_data(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        return asdict(self)

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that change with any part of it."""
        return digest_of(self.as_data())


@dataclass(frozen=True)
class Reply:
    """What came back.

    Attributes:
        text: the answer.
        asked_tokens: of the request as whoever answers counts them; 0 where it does not.
        told_tokens: of the answer.
        refused: why this one request will never be answered, such as one that is too long for the model; else empty.
    """

    text: str
    asked_tokens: int = 0
    told_tokens: int = 0
    refused: str = ""


AnyRequest = TypeVar("AnyRequest", bound=Request)
Asked_contra = TypeVar("Asked_contra", bound=Request, contravariant=True)


class Chat(Protocol[Asked_contra]):
    """Whoever answers requests: a language model, a person, a grammar, a script."""

    @property
    def described(self) -> Mapping[str, Any]:
        """What it is, as plain data. Never a key."""

    def ask(self, request: Asked_contra) -> Reply:
        """Answer, or raise `UnansweredError` where nobody does; it can be asked again later."""
