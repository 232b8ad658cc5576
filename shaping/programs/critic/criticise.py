"""All that a critic looks at, and in which order it is said."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from shapegym.shaping.programs.abstraction import Abstraction
from shapegym.shaping.programs.critic.conditions import condition_findings
from shapegym.shaping.programs.critic.dependence import Dependence, dependence_of
from shapegym.shaping.programs.critic.evidence import Evidence
from shapegym.shaping.programs.critic.finding import Finding
from shapegym.shaping.programs.critic.guidance import guidance_findings
from shapegym.shaping.programs.critic.itself import itself_findings, still_findings
from shapegym.shaping.programs.critic.measured import measure
from shapegym.shaping.programs.critic.paid import Measured
from shapegym.shaping.programs.critic.pursuit import guidance
from shapegym.shaping.programs.critic.units import unit_findings
from shapegym.shaping.programs.critic.values import value_findings
from shapegym.shaping.programs.program import CheckedProgram

_ORDER = ("error", "warning", "note")


@dataclass(frozen=True)
class Criticism:
    """What a critic says of a program.

    Attributes:
        findings: what is wrong with it, the worst first.
        guidance: how far it leads an agent that looks four steps ahead, sees what the program pays alone, and draws among equals:
            the mean of what the agent gets of the best return, and of how much oftener than by chance its next step is right
            (`pursuit.guidance`). 1: all the way; 0: nowhere; None: no solution is known, or ways cannot be followed.
    """

    findings: tuple[Finding, ...]
    guidance: float | None = None


def criticise(program: CheckedProgram, abstraction: Abstraction, evidence: Evidence) -> Criticism:
    """Return what is wrong with a program, and how far it leads.

    Nothing is compared with a reward that is known to be good: units and dependences are read off the program, and what it pays is
    held against what is known of the task.

    Args:
        program: as `read_program` reads it with this abstraction.
        abstraction: what it may see.
        evidence: what is known of the task.

    Raises:
        ValueError: the program was read without an abstraction, so it cannot be evaluated.
    """
    if not program.typed:
        raise ValueError(
            "The program was read without an abstraction: read it with the one that is given here."
        )
    dependence = dependence_of(program)
    with np.errstate(all="ignore"):  # what is not finite is a finding
        measured = measure(program, evidence)
        leads = _guidance(measured)
        found = [
            *unit_findings(program, abstraction),
            *_unused(program, dependence),
            *value_findings(measured, dependence),
            *itself_findings(program),
            *still_findings(measured),
            *condition_findings(measured),
            *guidance_findings(measured, dependence),
        ]
    return Criticism(tuple(sorted(found, key=lambda finding: _ORDER.index(finding.severity))), leads)


def _guidance(measured: Measured) -> float | None:
    leads = [guidance(paid) for paid in measured.paid if paid.whole and paid.known.solvable]
    return float(np.mean(leads)) if leads else None


def _unused(program: CheckedProgram, dependence: Dependence) -> Iterator[Finding]:
    """What is read and plays no part in the total."""
    for side, name in program.reads:
        if (side, name) not in dependence.total:
            where = name if side == "action" else f"{side}.{name}"
            yield Finding(
                "unused",
                "warning",
                f"{where} is read, and nothing that is paid depends on it. Was something else meant where it is used?",
            )
