"""Reference programs with bugs put into them, and what the critic says.

Run it to see the table by classes: ``python tests/programs/corpus.py``, with names of programs for some of them, or ``held-out``
for those that the critic was not made with.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from held_out import HELD_OUT
from mutants import Mutant, mutants
from numpy.typing import NDArray

from shapegym.agents.programs.abstracting import abstraction_of
from shapegym.agents.programs.evidence import evidence_for
from shapegym.shaping.programs.abstraction import Abstraction
from shapegym.shaping.programs.critic import Evidence, Finding, Known, blames, criticise
from shapegym.shaping.programs.critic.batch import run
from shapegym.shaping.programs.language.complaint import ProgramError
from shapegym.shaping.programs.program import CheckedProgram, read_program
from shapegym.shaping.programs.references import Reference, references


@cache
def known(env: str) -> tuple[Abstraction, Evidence]:
    abstraction = abstraction_of(env)
    return abstraction, evidence_for(env, abstraction, states=2_500 if "MiniGrid" in env else 9_000)


@cache
def walks(env: str) -> NDArray[np.int64]:
    """Transitions (T, W) of walks through what is known, at random and to the solution."""
    rng = np.random.default_rng(0)
    found = []
    for part in known(env)[1].known:
        for skill in np.linspace(0, 1, 24):
            found.append(list(_walk(part, skill, rng))[:80])
    return np.array([walk + walk[-1:] * (80 - len(walk)) for walk in found]).T


def _walk(part: Known, skill: float, rng: np.random.Generator) -> Iterator[int]:
    state = int(rng.choice(part.states, p=part.start))
    for _ in range(80):
        groups = np.arange(part.first_group[state], part.first_group[state + 1])
        good = groups[part.good[groups]]
        group = int(rng.choice(good if len(good) and rng.random() < skill else groups))
        edges = np.arange(part.first_edge[group], part.first_edge[group + 1])
        edge = int(rng.choice(edges, p=part.probability[edges] / part.probability[edges].sum()))
        yield from range(part.rows[edge], part.rows[edge + 1])
        if part.ends[edge]:
            return
        state = int(part.target[edge])


def pays(program: CheckedProgram, env: str) -> NDArray[np.float64]:
    """What a program pays along the walks, and without memory everywhere: two programs of which this is equal are the same."""
    evidence = known(env)[1]
    with np.errstate(all="ignore"):
        if program.form == "potential":
            ends = [run(program, {"state": side}) for side in (evidence.before, evidence.after)]
            return np.vstack([ends[1].total - ends[0].total, ends[1].parts - ends[0].parts])
        memory, rows = None, []
        for step in walks(env):
            out = run(program, evidence.sides(step), memory)
            memory = out.memory
            rows.append(np.vstack([out.total, out.parts]))
        if not program.slots:
            out = run(program, evidence.sides())
            rows.append(np.vstack([out.total, out.parts]))
        return np.concatenate(rows, axis=1)


@dataclass
class Tally:
    """What became of the mutants of a class."""

    found: int = 0
    missed: list[str] = field(default_factory=list)
    equal: int = 0
    refused: int = 0
    rules: Counter[str] = field(default_factory=Counter)


def judged(reference: Reference) -> Iterator[tuple[Mutant, str, list[Finding]]]:
    """Yield the mutants of a program: "found", "missed", "equal" or "refused", and the findings."""
    env = reference.env
    abstraction, evidence = known(env)
    original = pays(read_program(reference.source, abstraction), env)
    for mutant in mutants(reference.source, abstraction):
        try:
            program = read_program(mutant.source, abstraction)
        except ProgramError:
            yield mutant, "refused", []
            continue
        values = pays(program, env)
        if values.shape == original.shape and np.allclose(
            values, original, rtol=1e-9, atol=1e-12, equal_nan=True
        ):
            yield mutant, "equal", []
            continue
        findings = criticise(program, abstraction, evidence).findings
        yield mutant, "found" if blames(findings) else "missed", findings


def main(names: list[str]) -> None:
    """Print the table of all programs, or of some."""
    tallies: dict[str, Tally] = {}
    for reference in HELD_OUT if names == ["held-out"] else references():
        if names and names != ["held-out"] and reference.name not in names:
            continue
        counts: Counter[str] = Counter()
        for mutant, what, findings in judged(reference):
            tally = tallies.setdefault(mutant.kind, Tally())
            counts[what] += 1
            if what == "missed":
                tally.missed.append(f"{reference.name}: {mutant.what}")
            else:
                setattr(tally, what, getattr(tally, what) + 1)
            tally.rules.update({finding.rule for finding in findings})
        print(f"{reference.name:24} {dict(counts)}", flush=True)
    print(f"\n{'class':26} {'bugs':>5} {'found':>5}  equal  refused  said most")
    for kind, tally in tallies.items():
        bugs = tally.found + len(tally.missed)
        said = ", ".join(rule for rule, _ in tally.rules.most_common(3))
        print(f"{kind:26} {bugs:5} {tally.found:5} {tally.equal:6} {tally.refused:8}  {said}")
    found = sum(tally.found for tally in tallies.values())
    missed = [f"{kind}: {what}" for kind, tally in tallies.items() for what in tally.missed]
    print(f"{'all':26} {found + len(missed):5} {found:5}  {found / max(found + len(missed), 1):.1%}")
    print("\n".join(["", "missed:", *missed]))


if __name__ == "__main__":
    main(sys.argv[1:])
