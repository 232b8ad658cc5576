"""Functions that programs can call: what they are called, how many arguments they take, what they make."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from shapegym.shaping.programs.language.ieee import UNARY

Shape = Literal[
    "each", "pair", "extreme", "clip", "whole", "vectors", "length", "number", "truth", "vector", "where"
]
"""How a function deals with vectors:

* each: of one number, or of every entry; pair: of two; clip: of three
* extreme: the least or largest of several numbers, or of the entries of one vector
* whole: one number from a vector; vectors: one number from two vectors
* length, number, truth, vector, where: of Python's `len`, `float`, `bool`, `np.array`, `np.where`
"""


@dataclass(frozen=True)
class Function:
    """A function: its name in trees, how many arguments it takes at least and at most, and its shape."""

    name: str
    shape: Shape
    least: int = 1
    most: int = 1


_EACH = [Function(name, "each") for name in UNARY]
_OTHERS = [
    Function("atan2", "pair", 2, 2),
    Function("hypot", "pair", 2, 2),
    Function("pow", "pair", 2, 2),
    Function("min", "extreme", 1, 16),
    Function("max", "extreme", 1, 16),
    Function("clip", "clip", 3, 3),
    Function("norm", "whole"),
    Function("sum", "whole"),
    Function("mean", "whole"),
    Function("distance", "vectors", 2, 2),
    Function("manhattan", "vectors", 2, 2),
    Function("dot", "vectors", 2, 2),
    Function("len", "length"),
    Function("float", "number"),
    Function("bool", "truth"),
    Function("vector", "vector"),
    Function("where", "where", 3, 3),
]
FUNCTIONS: dict[str, Function] = {function.name: function for function in [*_EACH, *_OTHERS]}
"""By the name that programs use without a module."""

_SAME = {
    "math": "sqrt exp log log1p tanh sin cos floor ceil trunc atan2 hypot pow",
    "np": "abs sqrt exp log log1p tanh sin cos floor ceil trunc sign square hypot min max sum mean clip dot where",
}
_OTHERWISE = {
    "math.fabs": "abs",
    "math.dist": "distance",
    "np.absolute": "abs",
    "np.fabs": "abs",
    "np.arctan2": "atan2",
    "np.power": "pow",
    "np.minimum": "min",
    "np.maximum": "max",
    "np.amin": "min",
    "np.amax": "max",
    "np.linalg.norm": "norm",
    "np.array": "vector",
    "np.asarray": "vector",
    "np.float64": "float",
    "np.bool_": "bool",
    "int": "trunc",
}
_SPELLINGS = {
    **{name: name for name in FUNCTIONS if name not in ("vector", "where")},
    **{f"{module}.{name}": name for module, names in _SAME.items() for name in names.split()},
    **_OTHERWISE,
}
SPELLINGS: dict[str, Function] = {spelled: FUNCTIONS[name] for spelled, name in _SPELLINGS.items()}
"""By every way in which programs may write them; ``np.`` stands for ``numpy.`` too."""

CONSTANTS = {
    **{f"{module}.{name}": getattr(math, name) for module in ("math", "np") for name in ("pi", "e", "inf")},
    "math.tau": math.tau,
}
"""Named numbers."""
