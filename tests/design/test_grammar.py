"""Random programs are valid by construction, the same from the same seed, and use what there is to use."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from agreement import ABSTRACTION, random_columns

from shapegym.shaping.errors import ExpressionError
from shapegym.shaping.programs.abstraction import Abstraction, Feature
from shapegym.shaping.programs.evaluations.interpreter import Interpreter
from shapegym.shaping.programs.grammar import cross, mutate, random_program, wild_program
from shapegym.shaping.programs.grammar.breeding import genes_of
from shapegym.shaping.programs.grammar.genes import genome_of
from shapegym.shaping.programs.grammar.separating import separated
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


def test_mutation_changes_what_is_blamed_and_can_make_it_take_back_what_it_paid():
    source = (
        "def compute_reward(before, after, action):\n    a = 1.5 * after.speed\n    b = 2.5 * after.free\n"
        "    c = 0.5 * after.has_key\n"
        '    return a + b + c, {"a": a, "b": b, "c": c}\n'
    )
    children = [mutate(source, RICH, np.random.default_rng(seed), blamed=("b",)) for seed in range(200)]
    lost = {
        name: sum(line not in child for child in children)
        for name, line in (
            ("a", "a = 1.5 * after.speed"),
            ("b", "b = 2.5 * after.free"),
            ("c", "c = 0.5 * after.has_key"),
        )
    }
    assert lost["b"] > 3 * max(lost["a"], lost["c"]) > 0
    for cured in (
        "2.5 * after.free - 2.5 * before.free",
        "0.5 * after.free",
        "-(2.5 * after.free)",
        "2.5 * after.speed",
    ):
        assert any(f"b = {cured}\n" in child for child in children), cured


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


BRANCHED = """
MEMORY = {"near": 9.0, "unused": 1.0}

def compute_reward(before, after, action, memory):
    goal = after.key_pos
    if before.has_key:
        goal = (1, 2)
        if after.carrying == 5:
            return -1.0, {"lost": -1.0}
    step = manhattan(before.agent_pos, goal) - manhattan(after.agent_pos, goal)
    record = max(0, memory.near - distance(after.agent_pos, goal))
    memory.near = min(memory.near, distance(after.agent_pos, goal))
    for lamp in after.lamps:
        record += 0.1 * lamp
    if action == 2 and not before.has_key:
        step = 0.5 * step
    return step + record, {"distance": step, "record": record}
"""


def test_a_program_with_branches_is_told_apart_into_its_parts():
    genome = genes_of(BRANCHED)
    assert [gene.name for gene in genome.genes] == ["lost", "distance_part", "record"]
    assert [gene.slots for gene in genome.genes] == [(), (), (("near", 9.0),)]
    assert "after.carrying == 5 " in genome.source, "codes stay whole numbers, which mutation leaves alone"
    children = [mutate(BRANCHED, RICH, np.random.default_rng(seed)) for seed in range(60)]
    assert all(read_program(child, RICH).typed for child in children)
    assert len(set(children)) > 40
    kept = [sum(gene.lines[-1] in child for gene in genome.genes) for child in children]
    assert sum(parts >= 2 for parts in kept) > 45, "a mutation mostly changes one part"


def test_parts_are_the_addends_where_those_given_do_not_sum_to_the_total():
    head = "def compute_reward(before, after, action):\n    near = after.speed\n    "
    for last in ("return near + 2.0 * after.free", "return near + 2.0 * after.free, {'near': near}"):
        assert [gene.name for gene in genes_of(head + last).genes] == ["near", "part"]


@pytest.mark.parametrize("form", ["reward", "potential"])
def test_told_apart_a_program_pays_the_same(form):
    told = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        program = read_program(wild_program(ABSTRACTION, rng, form), ABSTRACTION)
        try:
            again = read_program(separated(program).source, ABSTRACTION)
        except ExpressionError:  # it would be too long
            continue
        told += 1
        memories = [each.fresh_memory(16) for each in (program, again)]
        first, everyone = np.ones(16, np.bool_), np.ones(16, np.bool_)
        for _ in range(3):
            columns = random_columns(rng, 16)
            one, two = (
                Interpreter(each)(columns, 16, memory, first=first, active=everyone)[0]
                for each, memory in zip((program, again), memories, strict=True)
            )
            np.testing.assert_allclose(one, two, rtol=1e-9, err_msg=program.source)
            first = rng.random(16) < 0.3
    assert told > 60


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
