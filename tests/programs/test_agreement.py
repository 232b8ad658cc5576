"""The kernel and plain Python on the checked tree agree to the last bit, for random programs and transitions."""

from __future__ import annotations

import numpy as np
from random_programs import ABSTRACTION, random_columns, random_program

from shapegym.shaping.programs.interpreter import Interpreter
from shapegym.shaping.programs.kernel import ProgramKernel
from shapegym.shaping.programs.program import read_program

LANES, STEPS = 50, 4


def disagreement(source: str, rng: np.random.Generator, lanes: int = LANES, steps: int = STEPS) -> str:
    """Return how the evaluations differ, or nothing."""
    program = read_program(source, ABSTRACTION)
    compiled, plain = ProgramKernel(program), Interpreter(program)
    memories = [program.fresh_memory(lanes) for _ in range(2)]
    first = np.ones(lanes, dtype=bool)
    for step in range(steps):
        columns, active = random_columns(rng, lanes), rng.random(lanes) < 0.9
        outs = [
            evaluate(columns, lanes, memory, first=first, active=active)
            for evaluate, memory in zip((compiled, plain), memories, strict=True)
        ]
        shown = active if program.slots else np.ones(lanes, dtype=bool)
        values = [
            np.concatenate([out[:, shown], memory[:, shown]])
            for out, memory in zip(outs, memories, strict=True)
        ]
        if not np.array_equal(*values, equal_nan=True) or not np.array_equal(
            *map(np.signbit, map(np.nan_to_num, values))
        ):
            return f"step {step}:\n{source}\n{values[0]}\n{values[1]}"
        first = rng.random(lanes) < 0.3
    return ""


def test_they_agree_on_random_programs() -> None:
    for seed in range(120):
        rng = np.random.default_rng(seed)
        assert not (why := disagreement(random_program(rng), rng)), f"seed {seed} {why}"
