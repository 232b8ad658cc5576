"""Conditions that never hold, or always: what they guard is never computed, or need not be guarded."""

from __future__ import annotations

from collections.abc import Iterator

from shapegym.shaping.programs.critic.finding import Finding
from shapegym.shaping.programs.critic.paid import Measured

_ENOUGH = 10
"""How often a condition is asked before it counts that it never held."""


def condition_findings(measured: Measured) -> Iterator[Finding]:
    """Yield conditions with one outcome; only a note where no solution is known, which may be what they wait for."""
    lines = measured.program.source.splitlines()
    sure = any(paid.known.solvable for paid in measured.paid)
    said: set[int] = set()
    for (line, column), (asked, held) in sorted(measured.held.items()):
        if asked < _ENOUGH or 0 < held < asked or line in said:
            continue
        said.add(line)
        text = lines[line - 1][column - 1 :].strip().rstrip(":") if 0 < line <= len(lines) else ""
        outcome = "always" if held == asked else "never"
        effect = "it decides nothing" if held == asked else "what it guards is never reached"
        yield Finding(
            "condition",
            "warning" if sure else "note",
            f"the condition that begins with {text[:60]!r} {outcome} holds where it is asked ({asked:,} times), so {effect}. "
            "Is it the right feature, side or number?",
            line,
        )
