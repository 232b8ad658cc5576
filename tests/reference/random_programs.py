"""Random programs that are valid by construction, over the features of `SPACES`, and random transitions for them."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
from gymnasium import spaces

from shapegym.shaping.programs.abstraction import abstraction_from
from shapegym.shaping.programs.complaint import ProgramError
from shapegym.shaping.programs.program import read_program

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
UNARY = (
    "abs",
    "sqrt",
    "exp",
    "log",
    "log1p",
    "tanh",
    "sin",
    "cos",
    "floor",
    "ceil",
    "sign",
    "np.square",
    "int",
    "-",
)
PAIRS = ("min", "max", "atan2", "hypot", "pow")


class Writer:
    """Writes one program."""

    def __init__(self, rng: np.random.Generator, *, memory: bool) -> None:
        self.rng, self.memory = rng, memory
        self.names: list[str] = []

    def pick(self, *options: str) -> str:
        return options[self.rng.integers(len(options))]

    def state(self) -> str:
        return self.pick("before", "after")

    def number(self, depth: int) -> str:
        kind = self.rng.integers(14) if depth else self.rng.integers(4)
        if kind == 0:
            return repr(round(float(self.rng.normal()), int(self.rng.integers(4))))
        if kind == 1:
            return self.pick(
                f"{self.state()}.speed", f"{self.state()}.event", "action", f"{self.state()}.obs[2]"
            )
        if kind == 2:
            return self.pick(*self.names, *(["memory.held"] if self.memory else []), "0.5")
        if kind == 3:
            return f"{self.state()}.pos[{self.rng.integers(-2, 2)}]"
        if kind == 4:
            return f"{self.pick(*UNARY)}({self.number(depth - 1)})"
        if kind == 5:
            return f"{self.pick(*PAIRS)}({self.number(depth - 1)}, {self.number(depth - 1)})"
        if kind == 6:
            return f"clip({self.number(depth - 1)}, -1.5, {self.number(0)})"
        if kind == 7:
            return f"({self.number(depth - 1)} if {self.truth(depth - 1)} else {self.number(depth - 1)})"
        if kind == 8:
            return f"{self.pick('norm', 'sum', 'mean', 'min', 'max')}({self.vector(depth - 1)})"
        if kind == 9:
            return f"{self.pick('distance', 'manhattan', 'dot')}({self.vector(depth - 1)}, {self.vector(depth - 1)})"
        if kind == 10:
            return f"({self.number(depth - 1)}) ** {self.rng.integers(-3, 5)}"
        if kind == 11:
            return f"({self.truth(depth - 1)}) * {self.number(depth - 1)}"
        return (
            f"({self.number(depth - 1)} {self.pick('+', '-', '*', '/', '//', '%')} {self.number(depth - 1)})"
        )

    def vector(self, depth: int) -> str:
        kind = self.rng.integers(6) if depth > 0 else self.rng.integers(2)
        if kind <= 1:
            return f"{self.state()}.{self.pick('pos', 'goal')}"
        if kind == 2:
            return f"np.array([{self.number(depth - 1)}, {self.number(depth - 1)}])"
        if kind == 3:
            return f"{self.state()}.obs[{self.pick('0:2', '1:', '::2')}]"
        if kind == 4:
            return f"{self.pick('abs', 'np.tanh', 'np.square')}({self.vector(depth - 1)})"
        return f"({self.vector(depth - 1)} {self.pick('+', '-', '*', '/')} {self.pick(self.vector(0), self.number(0))})"

    def truth(self, depth: int) -> str:
        kind = self.rng.integers(6) if depth > 0 else self.rng.integers(2)
        if kind == 0:
            return f"{self.state()}.has_key"
        if kind == 1:
            return f"{self.number(0)} {self.pick('<', '<=', '>', '>=', '==', '!=')} {self.number(0)}"
        if kind == 2:
            return f"({self.truth(depth - 1)} {self.pick('and', 'or')} {self.truth(depth - 1)})"
        if kind == 3:
            return f"(not {self.truth(depth - 1)})"
        if kind == 4:
            return f"({self.number(0)} < {self.number(depth - 1)} <= {self.number(0)})"
        return f"({self.state()}.event in (1, 2) or {self.vector(0)} == {self.vector(0)})"

    def block(self, depth: int) -> list[str]:
        lines: list[str] = []
        for _ in range(self.rng.integers(1, 4)):
            lines += self.statement(depth)
        return lines

    def statement(self, depth: int) -> list[str]:
        kind = self.rng.integers(7)
        if kind == 0 and depth:
            kept = list(self.names)
            then, self.names = self.block(depth - 1), list(kept)
            otherwise, self.names = self.block(depth - 1), kept
            return [f"if {self.truth(2)}:", *indented(then), "else:", *indented(otherwise)]
        if kind == 1 and depth:
            kept = list(self.names)
            lines = [f"for i in range({self.rng.integers(0, 4)}):", *indented(self.block(0))]
            self.names = kept
            return lines
        if kind == 2 and self.memory:
            return [f"memory.held = {self.pick('max', 'min')}(memory.held, {self.number(2)})"]
        if kind == 3 and depth and self.rng.integers(3) == 0:
            return [f"if {self.truth(2)}:", f"    return {self.number(2)}, {{'early': {self.number(1)}}}"]
        if kind == 4 and self.names:
            return [f"{self.pick(*self.names)} {self.pick('+=', '*=', '-=')} {self.number(2)}"]
        name = f"n{self.rng.integers(6)}"
        line = f"{name} = {self.number(3)}"
        self.names = sorted({*self.names, name})
        return [line]


def indented(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def random_program(rng: np.random.Generator) -> str:
    """Return the text of a program."""
    while True:
        with suppress(ProgramError):  # constants that came to no number
            return read_program(_written(rng), ABSTRACTION).source


def _written(rng: np.random.Generator) -> str:
    memory = bool(rng.integers(2))
    writer = Writer(rng, memory=memory)
    body = [*writer.block(2), *writer.block(2)]
    ends = [f"return {writer.number(3)}, {{'one': {writer.number(2)}, 'two': {writer.number(2)}}}"]
    head = ["import numpy as np"] + (["MEMORY = {'held': 0.25}"] if memory else [])
    arguments = "before, after, action" + (", memory" if memory else "")
    return "\n".join([*head, f"def compute_reward({arguments}):", *indented([*body, *ends]), ""])


def random_columns(rng: np.random.Generator, lanes: int) -> dict[tuple[str, str], np.ndarray]:
    """Return transitions, among them corners: zeros, the ends of ranges, equal positions."""
    columns: dict[tuple[str, str], np.ndarray] = {("action", "action"): rng.integers(0, 3, lanes)}
    for side in ("before", "after"):
        pos = np.where(
            rng.random((lanes, 2)) < 0.3, rng.integers(-3, 4, (lanes, 2)), rng.uniform(-3, 3, (lanes, 2))
        )
        columns |= {
            (side, "pos"): pos.astype(np.float32),
            (side, "goal"): np.where(rng.random((lanes, 1)) < 0.2, pos, rng.integers(-3, 4, (lanes, 2))),
            (side, "has_key"): rng.random(lanes) < 0.5,
            (side, "event"): rng.integers(0, 4, lanes),
            (side, "speed"): np.where(rng.random(lanes) < 0.2, 0.0, rng.uniform(-2, 2, lanes)),
            (side, "obs"): rng.uniform(-1, 1, (lanes, 3)).astype(np.float32),
        }
    return columns
