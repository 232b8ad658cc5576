"""What is wrong with a program, said so that a person or a model can mend it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shapegym.shaping.errors import ShapingError


@dataclass(frozen=True)
class Complaint:
    """One thing that is wrong with a program.

    Attributes:
        line: where, from 1; 0 is the program as a whole.
        column: from 1.
        rule: what kind of thing, such as "import", "name", "type", "size".
        message: what, and what to do.
    """

    line: int
    column: int
    rule: str
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}" if self.line else self.message


class ProgramError(ShapingError, ValueError):
    """A program that is refused.

    Attributes:
        complaints: everything that was found, in order of lines.
    """

    def __init__(self, complaints: Sequence[Complaint]) -> None:
        self.complaints = tuple(complaints)
        super().__init__("The program is refused. " + " ".join(map(str, self.complaints)))

    def __reduce__(self) -> tuple[type[ProgramError], tuple[tuple[Complaint, ...]]]:
        return ProgramError, (self.complaints,)
