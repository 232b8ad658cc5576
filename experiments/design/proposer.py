"""Who writes programs: whoever can be asked (`shapegym.shaping.asking`), about programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from shapegym.shaping.asking.chat import Chat, Request

Kind: TypeAlias = Literal["new", "improve", "cross", "repair", "analyse", "again"]
"""What is asked for: a program from nothing, one after another, one from two, a mended one; or words about failures."""


@dataclass(frozen=True)
class Proposal(Request):
    """What a proposer is asked.

    Attributes:
        kind: what is wanted.
        parents: sources of the programs that it is about, the better one first; for those who do not read.
        blamed: names of the parts of the first one that the critic blames; for those who do not read.
    """

    kind: Kind = "new"
    parents: tuple[str, ...] = ()
    blamed: tuple[str, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """Return the fields as plain data; what was added later only where it says something, so that older digests hold."""
        data = super().as_data()
        return data if self.blamed else {key: value for key, value in data.items() if key != "blamed"}


Proposer: TypeAlias = Chat[Proposal]
"""Whoever writes programs. Where it does not answer the design stops, keeps what it has, and can go on later."""
