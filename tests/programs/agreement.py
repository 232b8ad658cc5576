"""Random programs and transitions over an abstraction of all kinds of features, and whether evaluations agree on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from gymnasium import spaces

from shapegym.shaping.programs.abstraction import abstraction_from
from shapegym.shaping.programs.evaluations.interpreter import Interpreter
from shapegym.shaping.programs.evaluations.kernel import ProgramKernel
from shapegym.shaping.programs.evaluations.trial import Evaluation
from shapegym.shaping.programs.grammar import wild_program
from shapegym.shaping.programs.program import CheckedProgram, read_program

ABSTRACTION = abstraction_from(
    {
        "pos": spaces.Box(-3.0, 3.0, (2,)),
        "goal": spaces.Box(-3.0, 3.0, (2,)),
        "has_key": spaces.Box(0, 1, (), bool),
        "event": spaces.Discrete(4),
        "speed": spaces.Box(-2.0, 2.0, ()),
    },
    spaces.Discrete(3),
    spaces.Box(-1.0, 1.0, (3,)),
)


def random_columns(rng: np.random.Generator, lanes: int) -> dict[tuple[str, str], np.ndarray]:
    """Return transitions, among them corners: zeros, the ends of ranges, equal positions."""
    columns: dict[tuple[str, str], np.ndarray] = {("action", "action"): rng.integers(0, 3, lanes)}
    for side in ("before", "after", "state"):
        whole, between = rng.integers(-3, 4, (lanes, 2)), rng.uniform(-3, 3, (lanes, 2))
        pos = np.where(rng.random((lanes, 2)) < 0.3, whole, between)
        columns |= {
            (side, "pos"): pos.astype(np.float32),
            (side, "goal"): np.where(rng.random((lanes, 1)) < 0.2, pos, rng.integers(-3, 4, (lanes, 2))),
            (side, "has_key"): rng.random(lanes) < 0.5,
            (side, "event"): rng.integers(0, 4, lanes),
            (side, "speed"): np.where(rng.random(lanes) < 0.2, 0.0, rng.uniform(-2, 2, lanes)),
            (side, "obs"): rng.uniform(-1, 1, (lanes, 3)).astype(np.float32),
        }
    return columns


def disagreement(
    makers: Sequence[Callable[[CheckedProgram], Evaluation]],
    seed: int,
    lanes: int,
    steps: int,
    source: str = "",
) -> str:
    """Return how evaluations of a random program, or of a given one, differ; or nothing."""
    rng = np.random.default_rng(seed)
    program = read_program(source or wild_program(ABSTRACTION, rng), ABSTRACTION)
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


def disagreement_of_many(seeds: Sequence[int]) -> str:
    """Return the first disagreement of random programs, one a seed, on 1,000 transitions each; or nothing."""
    makers = (partial(ProgramKernel, kept=False), Interpreter)
    return next(filter(None, (disagreement(makers, seed, 250, 4) for seed in seeds)), "")
