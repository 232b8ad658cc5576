"""Bugs that are put into the reference programs: the critic finds at least 95 % of them, in every class most."""

from __future__ import annotations

from collections import Counter

import pytest
from corpus import judged

from shapegym.shaping.programs.references import references

QUICK = {
    "deep_sea", "deep_sea_potential", "key_door", "key_door_potential", "misleading_corridor", "point_maze",
    "point_maze_potential", "vases",
}  # fmt: skip


def hold(names: set[str], least: int) -> None:
    became: Counter[tuple[str, str]] = Counter()
    missed = []
    for reference in references():
        if reference.name in names:
            for mutant, what, _ in judged(reference):
                became[mutant.kind, what] += 1
                if what == "missed":
                    missed.append(f"{reference.name}, {mutant.kind}, {mutant.what}:\n{mutant.source}")
    found = sum(count for (_, what), count in became.items() if what == "found")
    bugs = found + len(missed)
    assert bugs >= least
    assert found >= 0.95 * bugs, "\n\n".join(missed)
    for kind in {kind for kind, _ in became}:
        assert became[kind, "found"] > became[kind, "missed"], kind


def test_the_critic_finds_the_bugs_of_a_quick_corpus() -> None:
    hold(QUICK, 200)


@pytest.mark.slow
def test_the_critic_finds_the_bugs_of_all_reference_programs() -> None:
    hold({reference.name for reference in references()}, 700)
