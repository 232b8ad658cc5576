"""Bugs that are put into the reference programs: the critic finds at least 95 % of them, in every class most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pytest
from corpus import judged, known
from held_out import HELD_OUT

from shapegym.shaping.programs.critic import blames, criticise
from shapegym.shaping.programs.program import read_program
from shapegym.shaping.programs.references import Reference, references

QUICK = {
    "deep_sea", "deep_sea_potential", "key_door", "key_door_potential", "misleading_corridor", "point_maze",
    "point_maze_potential", "vases",
}  # fmt: skip


def hold(programs: Iterable[Reference], least: int, share: float = 0.95) -> None:
    became: Counter[tuple[str, str]] = Counter()
    missed = []
    for program in programs:
        for mutant, what, _ in judged(program):
            became[mutant.kind, what] += 1
            if what == "missed":
                missed.append(f"{program.name}, {mutant.kind}, {mutant.what}:\n{mutant.source}")
    found = sum(count for (_, what), count in became.items() if what == "found")
    bugs = found + len(missed)
    assert bugs >= least
    assert found >= share * bugs, "\n\n".join(missed)
    for kind in {kind for kind, _ in became}:
        assert became[kind, "found"] >= became[kind, "missed"], kind


def test_the_critic_finds_the_bugs_of_a_quick_corpus() -> None:
    hold((each for each in references() if each.name in QUICK), 200)


def test_so_it_does_those_of_programs_that_it_was_not_made_with() -> None:
    hold(HELD_OUT, 230, share=0.93)


@pytest.mark.parametrize("program", HELD_OUT, ids=lambda program: program.name)
def test_it_blames_none_of_these(program: Reference) -> None:
    abstraction, evidence = known(program.env)
    findings = criticise(read_program(program.source, abstraction), abstraction, evidence).findings
    assert not blames(findings), "\n".join(map(str, findings))


@pytest.mark.slow
def test_the_critic_finds_the_bugs_of_all_reference_programs() -> None:
    hold(references(), 700)
