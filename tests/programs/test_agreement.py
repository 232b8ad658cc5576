"""The kernel, plain Python on the checked tree and monty agree to the last bit, for random programs and transitions."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
from agreement import ABSTRACTION, disagreement, disagreement_of_many

from shapegym.shaping.programs.evaluations.interpreter import Interpreter
from shapegym.shaping.programs.evaluations.kernel import ProgramKernel
from shapegym.shaping.programs.evaluations.lowering import lowered
from shapegym.shaping.programs.evaluations.monty import MontyEvaluation, why_not
from shapegym.shaping.programs.program import read_program

PIECES = 40
"""In which many programs are tried."""
DENSE = """
import numpy as np
MEMORY = {"held": 0.25, "closest": float("inf")}
GOAL = (1, -1)

def compute_reward(before, after, action, memory):
    parts = {}
    x, y = after.pos - GOAL
    x, y = y, x
    for i in range(1, -2, -1):
        for entry in np.array([x, after.obs[i], -y])[::2]:
            x += abs(entry) // 0.3
    if after.event in (1, 2) or before.pos == after.goal:
        memory.held = max(memory.held, mean(abs(after.obs[1:])))
        z = after.has_key
        if action == 1 and not z:
            parts["early"] = (x % 0.7) ** -2
            if y < 0 < memory.held:
                memory.closest = 7
                return x, parts
            z = 0.5
    else:
        z, w = sum(after.pos ** 2), -1.0
        parts["late"] = w
    parts["sum"] = z + (before.speed and after.speed)
    memory.closest = min(memory.closest, norm(after.pos - before.goal))
    parts["sum"] *= np.where(after.has_key, 2, min(3, y, memory.closest))
    return sum(parts.values()) - memory.held, parts
"""


def test_kernel_and_plain_python_agree_on_random_programs() -> None:
    for seed in range(200):
        assert not (why := disagreement((ProgramKernel, Interpreter), seed, lanes=16, steps=3)), why
    assert not (why := disagreement((ProgramKernel, Interpreter), 0, lanes=300, steps=6, source=DENSE)), why


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("piece", range(PIECES))
def test_kernel_and_plain_python_agree_on_many_random_programs(piece: int) -> None:
    """10,000 programs on 1,000 transitions each: about an hour. SHAPEGYM_PROGRAMS is another number of programs.

    Compiled code is never freed, so each piece has a process of its own.
    """
    many = int(os.environ.get("SHAPEGYM_PROGRAMS", "10000"))
    seeds = range(1_000_000 + piece, 1_000_000 + many, PIECES)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert not (why := pool.submit(disagreement_of_many, seeds).result()), why


@pytest.mark.skipif(why_not() != "", reason=why_not() or "monty is there")
def test_monty_agrees_too() -> None:
    for seed in range(30):
        assert not (why := disagreement((MontyEvaluation, Interpreter), seed, lanes=20, steps=2)), why
    assert not (why := disagreement((MontyEvaluation, Interpreter), 0, lanes=300, steps=6, source=DENSE)), why


def test_a_second_kernel_of_a_program_is_not_compiled_again() -> None:
    program = read_program(DENSE, ABSTRACTION)
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
