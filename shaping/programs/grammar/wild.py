"""Programs without sense: anything that the language allows, for comparing the ways in which it is evaluated."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from shapegym.shaping.programs.abstraction import Abstraction
from shapegym.shaping.programs.grammar.genes import Form
from shapegym.shaping.programs.grammar.quantities import Rng, pick

_UNARY = (
    "abs",
    "sqrt",
    "exp",
    "log",
    "log1p",
    "tanh",
    "sin",
    "cos",
    "floor",
    "sign",
    "math.sqrt",
    "np.tanh",
    "math.fabs",
)
_BINARY = ("atan2", "hypot", "min", "max", "pow", "np.minimum", "np.maximum")
_OF_TWO_VECTORS = ("distance", "manhattan", "dot")
_CONSTANTS = ("0.0", "1.0", "-1.0", "0.5", "2.0", "3", "-7", "1e-3", "1e6", "0.1", "math.pi", "1e300")
_DEEPEST = 3
_SLOTS = ("kept", "most")
_LOCAL = re.compile(r"(x|y|v|total|holds)\d+")
_READ = {"before", "after", "state", "action", "memory"}


def wild_program(abstraction: Abstraction, rng: Rng, form: Form | None = None) -> str:
    """Return a valid program of any kind of statement and expression, which may well divide by zero.

    Args:
        abstraction: what it reads.
        rng: of all choices.
        form: "reward" or "potential"; None draws it.
    """
    if form is None:
        form = "potential" if rng.random() < 0.25 else "reward"
    return _Writer(abstraction, rng, form).program()


@dataclass
class _Writer:
    abstraction: Abstraction
    rng: Rng
    form: Form
    numbers: list[str] = field(default_factory=list)
    truths: list[str] = field(default_factory=list)
    vectors: dict[int, list[str]] = field(default_factory=dict)
    made: int = 0
    still: set[str] = field(default_factory=set)
    memory: bool = False

    def program(self) -> str:
        sides = ("before", "after") if self.form == "reward" else ("state",)
        for feature in self.abstraction.features:
            for side in sides:
                self._know(f"{side}.{feature.name}", feature.length, feature.kind == "truth")
        if self.form == "reward":
            action = self.abstraction.action
            self._know("action", action.length, action.kind == "truth")
            self.memory = self.rng.random() < 0.3
        if self.memory:
            self.numbers += [f"memory.{slot}" for slot in _SLOTS]
        lines = [line for _ in range(int(self.rng.integers(1, 8))) for line in self._statement()]
        parts = [f"part_{number}" for number in range(int(self.rng.integers(1, 5)))]
        if self.rng.random() < 0.2:
            early = ", ".join(
                f'"{part}": {self.number(1)}' for part in parts[: int(self.rng.integers(1, len(parts) + 1))]
            )
            lines += [f"if {self.truth(2)}:", f"    return {self.number(2)}, {{{early}}}"]
        lines += [f"{part} = {self.number(_DEEPEST)}" for part in parts]
        lines.append(f"return {' + '.join(parts)}, {{{', '.join(f'{part!r}: {part}' for part in parts)}}}")
        arguments = "before, after, action" if self.form == "reward" else "state"
        head = f"def {'compute_reward' if self.form == 'reward' else 'potential'}({arguments}"
        if self.memory:
            values = ", ".join(f'"{slot}": {pick(["0.0", "-1.0", "5"], self.rng)}' for slot in _SLOTS)
            head = f"MEMORY = {{{values}}}\n\n\n{head}, memory"
        return f"{head}):\n" + "".join(f"    {line}\n" for line in lines)

    def _know(self, name: str, length: int, truth: bool) -> None:
        if length:
            self.vectors.setdefault(length, []).append(name)
        else:
            (self.truths if truth else self.numbers).append(name)

    def _statement(self) -> list[str]:
        options: list[Callable[[], list[str]]] = [
            self._assign,
            self._assign,
            self._condition,
            self._loop,
            self._truth,
        ]
        if self.vectors:
            options.append(self._vector)
        if self.memory:
            options.append(self._remember)
        return pick(options, self.rng)()

    def _assign(self) -> list[str]:
        value = self.number(_DEEPEST)
        return [f"{self._settle(self._name(self.numbers, 'x'), value)} = {value}"]

    def _truth(self) -> list[str]:
        value = self.truth(2)
        return [f"{self._settle(self._name(self.truths, 'holds'), value)} = {value}"]

    def _vector(self) -> list[str]:
        length = pick(sorted(self.vectors), self.rng)
        value = self.vector(length, 2)
        return [f"{self._name(self.vectors[length], 'v')} = {value}"]

    def _condition(self) -> list[str]:
        holds, other = self.truth(2), self.truth(2)
        values = [self.number(2) for _ in range(3)]
        name = self._settle(self._name(self.numbers, "y"), holds, other, *values)
        lines = [f"if {holds}:", f"    {name} = {values[0]}"]
        if self.rng.random() < 0.4:
            lines += [f"elif {other}:", f"    {name} = {values[1]}"]
        return [*lines, "else:", f"    {name} = {values[2]}"]

    def _loop(self) -> list[str]:
        many = [length for length in self.vectors if length <= _LONGEST_LOOP]
        length = pick(sorted(many), self.rng) if many else int(self.rng.integers(1, 4))
        added = (
            f"{pick(self.vectors[length], self.rng)}[i] * {self.number(1)}"
            if many
            else f"{self.number(1)} * i"
        )
        first = self.number(1)
        name = self._settle(self._name([], "total"), first, added)
        lines = [f"{name} = {first}", f"for i in range({length}):", f"    {name} += {added}"]
        if self.rng.random() < 0.4:
            lines += [f"    if {name} > {self.number(0)}:", f"        {name} = {name} / 2.0"]
        self.numbers.append(name)
        return lines

    def _remember(self) -> list[str]:
        return [f"memory.{pick(_SLOTS, self.rng)} = {self.number(2)}"]

    def _name(self, among: list[str], stem: str) -> str:
        """A new local name, known from the next statement on."""
        self.made += 1
        among.append(f"{stem}{self.made}")
        return among[-1]

    def number(self, depth: int) -> str:
        """An expression that is a number. None is of constants alone but a constant: such are folded, and have to be finite."""
        made = self._number(depth)
        return made if depth <= 0 or self._moves(made) else self._leaf()

    def _moves(self, expression: str) -> bool:
        names = set(re.findall(r"[A-Za-z_]\w*", expression)) - self.still
        return any(name in _READ or _LOCAL.fullmatch(name) for name in names)

    def _settle(self, name: str, *values: str) -> str:
        """Note whether a local name is a constant."""
        if not any(map(self._moves, values)):
            self.still.add(name)
        return name

    def _leaf(self) -> str:
        moving = [name for name in self.numbers if self._moves(name)]
        return pick(moving, self.rng) if moving else "0.25"

    def _number(self, depth: int) -> str:
        if depth <= 0 or self.rng.random() < 0.15:
            options: Sequence[Callable[[], str]] = [self._constant, self._known_number, self._known_number]
            return pick(options, self.rng)()
        d = depth - 1
        match int(self.rng.integers(10)):
            case 0 | 1 | 2:
                return (
                    f"({self.number(d)} {pick(['+', '-', '*', '/', '%', '//'], self.rng)} {self.number(d)})"
                )
            case 3 | 4:
                return f"{pick(_UNARY, self.rng)}({self.number(d)})"
            case 5:
                return f"{pick(_BINARY, self.rng)}({self.number(d)}, {self.number(d)})"
            case 6:
                return f"({self.number(d)} if {self.truth(d)} else {self.number(d)})"
            case 7:
                power = int(self.rng.integers(0, 5))
                return pick(
                    [
                        f"({self.number(d)} ** {power})",
                        f"clip({self.number(d)}, -1.0, 2.0)",
                        f"(-{self.number(d)})",
                    ],
                    self.rng,
                )
            case 8 if self.vectors:
                length = pick(sorted(self.vectors), self.rng)
                v = [self.vector(length, d) for _ in range(2)]
                return pick(
                    [
                        f"{pick(_OF_TWO_VECTORS, self.rng)}({v[0]}, {v[1]})",
                        f"norm({v[0]})",
                        f"np.linalg.norm({v[1]})",
                    ],
                    self.rng,
                )
            case _:
                return f"float({self.truth(d)})"

    def truth(self, depth: int) -> str:
        """An expression that is true or false."""
        d = depth - 1
        if self.truths and (depth <= 0 or self.rng.random() < 0.3):
            return pick(self.truths, self.rng)
        match int(self.rng.integers(6)) if depth > 0 else 5:
            case 0:
                return f"({self.truth(d)} and {self.truth(d)})"
            case 1:
                return f"({self.truth(d)} or {self.truth(d)})"
            case 2:
                return f"(not {self.truth(d)})"
            case 3:
                return f"({self.number(d)} < {self.number(d)} <= {self.number(d)})"
            case _:
                return f"({self.number(d)} {pick(['<', '<=', '>', '>=', '==', '!='], self.rng)} {self.number(d)})"

    def vector(self, length: int, depth: int) -> str:
        """An expression that is a vector of that length."""
        known = pick(self.vectors[length], self.rng)
        if depth <= 0 or self.rng.random() < 0.4:
            return known
        d = depth - 1
        match int(self.rng.integers(4)):
            case 0:
                return f"({self.vector(length, d)} {pick(['+', '-'], self.rng)} {self.vector(length, d)})"
            case 1:
                return f"({self.number(d)} * {self.vector(length, d)})"
            case 2:
                return f"abs({self.vector(length, d)})"
            case _:
                return f"({self.vector(length, d)} / {self.number(d)})"

    def _constant(self) -> str:
        return f"({pick(_CONSTANTS, self.rng)})"

    def _known_number(self) -> str:
        entries = [(names, length) for length, names in sorted(self.vectors.items())]
        if entries and (not self.numbers or self.rng.random() < 0.3):
            names, length = pick(entries, self.rng)
            return f"{pick(names, self.rng)}[{int(self.rng.integers(-length, length))}]"
        return pick(self.numbers, self.rng) if self.numbers else "0.25"


_LONGEST_LOOP = 8
"""Of a vector that is gone through."""
