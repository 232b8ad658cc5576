"""The kernel, plain Python on the checked tree and monty agree to the last bit, for random programs and transitions."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from random_programs import ABSTRACTION, random_columns, random_program

from shapegym.shaping.programs.interpreter import Interpreter
from shapegym.shaping.programs.kernel import ProgramKernel
from shapegym.shaping.programs.lowering import lowered
from shapegym.shaping.programs.monty import MontyEvaluation, why_not
from shapegym.shaping.programs.program import CheckedProgram, read_program
from shapegym.shaping.programs.trial import Evaluation


def disagreement(
    makers: Sequence[Callable[[CheckedProgram], Evaluation]], seed: int, lanes: int, steps: int
) -> str:
    """Return how evaluations of a random program differ, or nothing."""
    rng = np.random.default_rng(seed)
    program = read_program(random_program(rng), ABSTRACTION)
    evaluations = [make(program) for make in makers]
    memories = [program.fresh_memory(lanes) for _ in makers]
    first = np.ones(lanes, dtype=bool)
    for step in range(steps):
        columns, active = random_columns(rng, lanes), rng.random(lanes) < 0.9
        shown = active if program.slots else np.ones(lanes, dtype=bool)
        values = []
        for evaluate, memory in zip(evaluations, memories, strict=True):
            out = evaluate(columns, lanes, memory, first=first, active=active)
            values.append(np.concatenate([out[:, shown], memory[:, shown]]))
        one, two = values
        signs = [np.signbit(np.nan_to_num(each)) for each in values]
        if not np.array_equal(one, two, equal_nan=True) or not np.array_equal(*signs):
            return f"seed {seed}, step {step}:\n{program.source}\n{one}\n{two}"
        first = rng.random(lanes) < 0.3
    return ""


def test_kernel_and_plain_python_agree_on_random_programs() -> None:
    for seed in range(200):
        assert not (why := disagreement((ProgramKernel, Interpreter), seed, lanes=16, steps=3)), why


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_kernel_and_plain_python_agree_on_many_random_programs() -> None:
    """10,000 programs on 1,000 transitions each: about an hour. SHAPEGYM_PROGRAMS is another number of programs."""
    for seed in range(1_000_000, 1_000_000 + int(os.environ.get("SHAPEGYM_PROGRAMS", "10000"))):
        why = disagreement((lambda program: ProgramKernel(program, kept=False), Interpreter), seed, 250, 4)
        assert not why, why


@pytest.mark.skipif(why_not() != "", reason=why_not() or "monty is there")
def test_monty_agrees_too() -> None:
    for seed in range(30):
        assert not (why := disagreement((MontyEvaluation, Interpreter), seed, lanes=20, steps=2)), why


def test_a_second_kernel_of_a_program_is_not_compiled_again() -> None:
    program = read_program(random_program(np.random.default_rng(3)), ABSTRACTION)
    ProgramKernel(program)
    again = ProgramKernel(program)._run
    (hits,) = again.stats.cache_hits.values()
    assert hits == 1


def test_conditions_leave_no_branches_and_equal_operations_are_one() -> None:
    program = read_program(
        """
def compute_reward(before, after, action):
    x = distance(after.pos, after.goal)
    if action == 1:
        y = x + distance(after.pos, after.goal)
    else:
        y = -x
    return y, {}
""",
        ABSTRACTION,
    )
    names = [operation[0] for operation in lowered(program).results]
    assert names.count("sqrt") == 1
    assert names.count("select") == 1
