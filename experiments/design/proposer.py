"""Who writes programs: messages in, text out.

A request is data, and its digest names everything that the answer may depend on. Answers are kept under it
(`shapegym.experiments.design.transcript`), so nobody is asked twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol, TypeAlias

from shapegym.experiments.sweeps.plan import digest_of

Role: TypeAlias = Literal["system", "user", "assistant"]
Kind: TypeAlias = Literal["new", "improve", "cross", "repair", "analyse"]
"""What is asked for: a program from nothing, one after another, one from two, a mended one; or words about failures."""


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True)
class Request:
    """What a proposer is asked.

    Attributes:
        kind: what is wanted.
        messages: for those who read.
        parents: sources of the programs that it is about, the better one first; for those who do not read.
        seed: of the answer, for those who draw it from a seed.
        temperature: of sampling.
        most_tokens: of the answer.
    """

    kind: Kind
    messages: tuple[Message, ...]
    parents: tuple[str, ...] = ()
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
        asked_tokens: of the request as the proposer counts them; 0 where it does not.
        told_tokens: of the answer.
        refused: why this one request will never be answered, such as one that is too long for the model; else empty.
    """

    text: str
    asked_tokens: int = 0
    told_tokens: int = 0
    refused: str = ""


class Proposer(Protocol):
    """Whoever writes programs."""

    @property
    def described(self) -> Mapping[str, Any]:
        """What it is, as plain data: part of a design's request. Never a key."""

    def propose(self, request: Request) -> Reply:
        """Answer, or raise `ProposerError` where nobody does: then the design stops, keeps what it has, and can go on later."""
