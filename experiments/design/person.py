"""A person who says what an agent should do otherwise: lines of a file, or what is typed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from shapegym.experiments.design.proposer import Proposal
from shapegym.experiments.errors import DesignError
from shapegym.shaping.asking.chat import Reply
from shapegym.shaping.limited_files import read_text


@dataclass
class WrittenFeedback:
    """Says one line of a file after the other, then nothing.

    Attributes:
        path: of the file; empty lines are left out.
        said: lines that an earlier part of the design has heard already.
    """

    path: Path
    said: int = 0

    described: ClassVar[Mapping[str, Any]] = {}

    def ask(self, request: Proposal) -> Reply:
        """Return the next line."""
        del request
        lines = [line.strip() for line in read_text(self.path, DesignError, "feedback").splitlines()]
        told = [line for line in lines if line]
        self.said += 1
        return Reply(told[self.said - 1] if self.said <= len(told) else "")


@dataclass(frozen=True)
class TypedFeedback:
    """Shows how the agent does, and takes what is typed.

    Attributes:
        answer: shows a text and returns the answer.
    """

    answer: Callable[[str], str]

    described: ClassVar[Mapping[str, Any]] = {}

    def ask(self, request: Proposal) -> Reply:
        """Return the answer."""
        return Reply(self.answer(request.messages[-1].content))
