"""Random programs are valid by construction, the same from the same seed, and use what there is to use."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from shapegym.shaping.errors import ExpressionError
from shapegym.shaping.programs.abstraction import Abstraction, Feature
from shapegym.shaping.programs.grammar import cross, mutate, random_program, wild_program
from shapegym.shaping.programs.grammar.genes import genome_of
from shapegym.shaping.programs.program import read_program

RICH = Abstraction(
    "Open the door.",
    (
        Feature("agent_pos", 2, "whole", 0, 7, "cells"),
        Feature("key_pos", 2, "whole", 0, 7, "cells"),
        Feature("has_key", 0, "truth"),
        Feature("carrying", 0, "whole", 0, 10, codes=((0, "nothing"), (5, "a key"))),
        Feature("speed", 0, "number", -0.07, 0.07),
        Feature("free"),
        Feature("lamps", 3, "truth"),
        Feature("obs.deep", 4, "number", -math.inf, math.inf),
    ),
    Feature("action", 0, "whole", -1, 6),
)
SMALL = Abstraction(
    "Swing up.", (Feature("angle", 0, "number", -3.14, 3.14),), Feature("action", 2, "number", -1, 1)
)
EMPTY = Abstraction("", (), Feature("action"))


def bred(abstraction: Abstraction, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    parents = [random_program(abstraction, rng) for _ in range(2)]
    children = [mutate(mutate(parents[0], abstraction, rng), abstraction, rng), cross(*parents, rng)]
    return [*parents, *children, mutate(children[1], abstraction, rng), wild_program(abstraction, rng)]


@pytest.mark.parametrize("abstraction", [RICH, SMALL, EMPTY], ids=["rich", "small", "empty"])
def test_every_program_is_valid(abstraction):
    for seed in range(60):
        for source in bred(abstraction, seed):
            program = read_program(source, abstraction)
            assert program.typed
            assert program.parts


def test_a_seed_makes_the_same_programs():
    assert bred(RICH, 3) == bred(RICH, 3) != bred(RICH, 4)


def test_both_forms_and_all_kinds_of_features_turn_up():
    sources = [random_program(RICH, np.random.default_rng(seed)) for seed in range(300)]
    programs = [read_program(source, RICH) for source in sources]
    assert {program.form for program in programs} == {"reward", "potential"}
    assert {name for program in programs for name in program.features} == {
        each.name for each in RICH.features
    }
    assert any(program.slots for program in programs)
    for form in ("reward", "potential"):
        assert read_program(random_program(RICH, np.random.default_rng(0), form), RICH).form == form


def test_wild_programs_use_the_whole_language():
    text = "\n".join(wild_program(RICH, np.random.default_rng(seed)) for seed in range(300))
    for piece in (
        "for i in",
        "elif",
        " if ",
        "memory.",
        "MEMORY",
        "np.linalg.norm",
        "dot(",
        "**",
        "//",
        "%",
        "atan2",
        "(not ",
        "[-",
    ):
        assert piece in text, piece
    assert re.search(r"return .*\n    part", text)  # an early one


def test_mutation_changes_a_little():
    rng = np.random.default_rng(1)
    source = random_program(RICH, rng, "reward")
    before = set(source.splitlines())
    children = [mutate(source, RICH, np.random.default_rng(seed)) for seed in range(40)]
    assert len(set(children)) > 20
    changed = [len(set(child.splitlines()) - before) for child in children]
    assert max(changed) <= 8  # one part with its memory, the head and the last line


def test_crossing_takes_parts_of_both_under_names_of_their_own():
    one = 'def compute_reward(before, after, action):\n    a = 1.0 * after.free\n    return a, {"a": a}\n'
    other = (
        'MEMORY = {"m": 0.0}\n\n\ndef compute_reward(before, after, action, memory):\n    m_then = memory.m\n'
        '    memory.m = max(memory.m, after.speed)\n    a = 2.0 * (memory.m - m_then)\n    return a, {"a": a}\n'
    )
    children = [read_program(cross(one, other, np.random.default_rng(seed)), RICH) for seed in range(20)]
    assert {len(child.parts) for child in children} == {1, 2}
    assert {name for child in children for name in child.features} == {"free", "speed"}
    potential = "def potential(state):\n    a = state.free\n    return a, {'a': a}\n"
    assert "potential" not in cross(one, potential, np.random.default_rng(0))


def test_genes_keep_the_program():
    for seed in range(40):
        source = random_program(RICH, np.random.default_rng(seed))
        again = genome_of(source).source
        assert read_program(again, RICH).tree == read_program(source, RICH).tree or again == source


@pytest.mark.parametrize(
    "source",
    [
        "",
        "def f(:",
        "x = 1",
        "def compute_reward(before, after, action):\n    return 1.0",
        "def compute_reward(before, after, action):\n    if after.held:\n        a = 1.0\n    return a, {'a': a}",
        "def compute_reward(before, after, action):\n    t = 1.0\n    a = t\n    b = t\n    return a + b, {'a': a, 'b': b}",
        "def compute_reward(before, after, action):\n    a = 1.0\n    return 2.0 * a, {'a': a}",
        "def compute_reward(before, after, action):\n    a = memory.x\n    return a, {'a': a}",
    ],
)
def test_what_has_no_parts_of_its_own_is_refused(source):
    with pytest.raises(ExpressionError):
        genome_of(source)
