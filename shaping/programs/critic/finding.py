"""What a critic finds, said so that whoever wrote the program, a model or a person, can mend it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["error", "warning", "note"]
"""error: an agent that is paid so learns something else, or nothing; warning: a part does not do what it seems to be there for;
note: worth knowing, and no fault."""


@dataclass(frozen=True)
class Shown:
    """A transition that shows a finding.

    Attributes:
        before: features before the step that the program reads, and after it.
        after: the same.
        action: what was done, in words where actions have names.
        pays: what the program, or one part of it, pays for the step.
    """

    before: Mapping[str, Any]
    action: str
    after: Mapping[str, Any]
    pays: float

    def __str__(self) -> str:
        changed = {name: value for name, value in self.after.items() if value != self.before.get(name)}
        after = _listed(changed) if changed else "nothing the program reads changes"
        return f"at {_listed(self.before)}: {self.action} -> {after}; pays {self.pays:.4g}"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a program.

    Attributes:
        rule: what kind of thing, such as "units", "dead part", "exploit".
        severity: see `Severity`.
        message: what, and what to do, in sentences.
        line: where in the source, from 1; None for the program as a whole.
        part: which part it is about; None for the whole.
        shown: transitions that show it, in order.
    """

    rule: str
    severity: Severity
    message: str
    line: int | None = None
    part: str | None = None
    shown: tuple[Shown, ...] = ()

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        steps = "".join(f"\n  {step}" for step in self.shown)
        return f"{self.severity}, {self.rule}: {where}{self.message}{steps}"


def blames(findings: tuple[Finding, ...] | list[Finding]) -> bool:
    """Whether a program is at fault: whether there is more than notes."""
    return any(finding.severity != "note" for finding in findings)


def _listed(features: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={_short(value)}" for name, value in features.items()) or "any state"


def _short(value: Any) -> str:
    if isinstance(value, tuple):
        return "(" + ", ".join(map(_short, value)) + ")"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
