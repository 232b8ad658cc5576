"""A program on its way: written, read, blamed, mended, at last trained. Data, kept as it becomes known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, TypeAlias

from shapegym.experiments.design.outcome import Outcome
from shapegym.experiments.design.proposer import Kind
from shapegym.shaping.programs.critic.finding import Finding, blames

WARNING = 0.1
"""What a warning weighs against how far a program leads."""

Fate: TypeAlias = Literal["clean", "blamed", "refused"]


@dataclass(frozen=True)
class Ask:
    """What kind of program is asked for.

    Attributes:
        kind: from nothing, from one other, from two; or one again.
        parents: ids of candidates.
        island: where it lives.
    """

    kind: Kind
    parents: tuple[str, ...] = ()
    island: int = 0


@dataclass(frozen=True)
class Attempt:
    """One answer, and what was made of it.

    Attributes:
        source: the program; empty if none could be read.
        notes: what was mended in reading it.
        complaints: why none could be read.
        findings: what the critic says of it.
        guidance: how far it leads (`shapegym.shaping.programs.critic.Criticism`); None where that does not count.
    """

    source: str = ""
    notes: tuple[str, ...] = ()
    complaints: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    guidance: float | None = None

    @property
    def fate(self) -> Fate:
        """How it fared."""
        if not self.source:
            return "refused"
        return "blamed" if blames(self.findings) else "clean"

    @property
    def rank(self) -> tuple[bool, int, float]:
        """Less is better: no program at all, errors, warnings less how far it leads, where that counts."""
        severities = [finding.severity for finding in self.findings]
        warnings = severities.count("warning")
        return not self.source, severities.count("error"), WARNING * warnings - (self.guidance or 0.0)

    @property
    def faulty(self) -> tuple[str, ...]:
        """Names of the parts that are blamed, of those with errors if there are any."""
        for severity in ("error", "warning"):
            parts = (each.part for each in self.findings if each.severity == severity and each.part)
            if named := tuple(dict.fromkeys(parts)):
                return named
        return ()

    @property
    def faults(self) -> str:
        """Everything that is wrong with it, in lines."""
        blamed = (str(finding) for finding in self.findings if finding.severity != "note")
        return "\n".join(f"- {each}" for each in dict.fromkeys((*self.complaints, *blamed)))


def least_blamed(attempts: Sequence[Attempt]) -> Attempt:
    """Return the best of some attempts, the last of equals.

    Where it is known of some how far they lead, those of which it is not come behind: a program with memory may have too many
    states to follow, and that is no way out.
    """
    known = any(each.guidance is not None for each in attempts)

    def rank(attempt: Attempt) -> tuple[float, ...]:
        unread, *faults = attempt.rank
        return (unread, known and attempt.guidance is None, *faults)

    return min(reversed(attempts), key=rank)


@dataclass(frozen=True)
class Candidate:
    """A program of a round.

    Attributes:
        round: from 1.
        number: within it, from 0.
        ask: what was asked for.
        attempts: answers, the first and those that mended it.
        same_as: id of an earlier candidate with the same program, which is not trained again.
        outcome: of its training; None before, and if it is not trained.
        trouble: why its training failed.
    """

    round: int
    number: int
    ask: Ask
    attempts: tuple[Attempt, ...]
    same_as: str = ""
    outcome: Outcome | None = None
    trouble: str = ""

    @property
    def id(self) -> str:
        """Such as ``2/0``."""
        return f"{self.round}/{self.number}"

    @property
    def attempt(self) -> Attempt:
        """The one that counts: the least blamed, the last of equals."""
        return least_blamed(self.attempts)

    @property
    def source(self) -> str:
        """Its program; empty if there is none."""
        return self.attempt.source

    @property
    def merit(self) -> tuple[float, ...]:
        """What is more of a better one: how well its agent does the task; where that is equal, how little it is blamed.

        Where it counts how far programs lead, a success that may be chance is none: its interval begins at 0.
        """
        assert self.outcome is not None  # noqa: S101  # only those are compared
        known, score = self.outcome.success, self.outcome.score
        if self.attempt.guidance is not None and known is not None and known[1] == 0.0:
            score = (0.0, 0.0, 0.0)
        return (*score, *(-fault for fault in self.attempt.rank))

    def again(self, round_: int, number: int) -> Candidate:
        """Return its program as a candidate of a later round, which is trained anew."""
        ask = Ask("again", (self.id,), self.ask.island)
        return Candidate(round_, number, ask, (self.attempt,))

    def with_outcome(self, outcome: Outcome | None, trouble: str = "") -> Candidate:
        """Return it with what came of its training."""
        return replace(self, outcome=outcome, trouble=trouble)

    def as_findings(self) -> dict[str, Any]:
        """Return what is known before training, as ``findings.json`` has it."""
        return {
            "ask": asdict(self.ask),
            "same_as": self.same_as,
            "attempts": [_without_none(asdict(each), "guidance") for each in self.attempts],
        }

    def as_row(self) -> Mapping[str, Any]:
        """Return what a round says of it."""
        row: dict[str, Any] = {
            "id": self.id,
            **asdict(self.ask),
            "fate": self.attempt.fate,
            "same_as": self.same_as,
        }
        row |= {"success": None, "task_return": None, "trouble": self.trouble}
        if self.outcome is not None:
            row |= {"success": self.outcome.success, "task_return": self.outcome.task_return}
        return row


def _without_none(data: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name != key or value is not None}


@dataclass
class History:
    """All candidates of a design, in order."""

    candidates: list[Candidate] = field(default_factory=list)

    @property
    def judged(self) -> list[Candidate]:
        """Those with an outcome."""
        return [each for each in self.candidates if each.outcome is not None]

    @property
    def best(self) -> Candidate | None:
        """The one with the best outcome, the earliest of equals."""
        return best_of(self.judged)

    def __getitem__(self, name: str) -> Candidate:
        return next(each for each in self.candidates if each.id == name)


def best_of(candidates: list[Candidate]) -> Candidate | None:
    """Return the candidate with the best outcome, the earliest of equals; None if there is none."""
    return max(
        (each for each in candidates if each.outcome is not None), key=lambda each: each.merit, default=None
    )
