"""Arithmetic as IEEE 754 has it, in plain Python: what would raise there is inf or nan here, as it is in compiled code.

These are the meanings of the language's operators and functions on numbers. The kernel computes the same ones; transcendental
functions are those of the C library in both. Where C's `hypot` and Python's differ, or `min` of NaN, the definition here counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable

MOST_FACTORS = 8
"""Whole exponents up to this size, known when a program is read, are repeated multiplication."""


def divide(x: float, y: float) -> float:
    """``x / y``; inf or nan where y is 0."""
    if y != 0.0:
        return x / y
    if x == 0.0 or math.isnan(x):
        return math.nan
    return math.copysign(math.inf, x) * math.copysign(1.0, y)


def floor(x: float) -> float:
    """The largest whole number that is not above x; with the sign of a zero."""
    return math.copysign(float(math.floor(x)), x) if math.isfinite(x) else x


def ceil(x: float) -> float:
    """The smallest whole number that is not below x; -0 between -1 and 0."""
    return math.copysign(float(math.ceil(x)), x) if math.isfinite(x) else x


def trunc(x: float) -> float:
    """The number without its fraction."""
    return math.copysign(float(math.trunc(x)), x) if math.isfinite(x) else x


def floor_divide(x: float, y: float) -> float:
    """``x // y``: the floor of the quotient."""
    return floor(divide(x, y))


def remainder(x: float, y: float) -> float:
    """``x % y``: what is left of x after as many whole y, ``x - y * (x // y)``."""
    return x - y * floor_divide(x, y)


def sign(x: float) -> float:
    """1, -1, or x itself where it is 0 or nan."""
    return 1.0 if x > 0.0 else -1.0 if x < 0.0 else x


def least(x: float, y: float) -> float:
    """``min(x, y)`` as Python has it: y if it is smaller, else x."""
    return y if y < x else x


def largest(x: float, y: float) -> float:
    """``max(x, y)`` as Python has it: y if it is larger, else x."""
    return y if y > x else x


def clip(x: float, low: float, high: float) -> float:
    """``min(max(x, low), high)``; nan stays nan."""
    return least(largest(x, low), high)


def square(x: float) -> float:
    """``x * x``."""
    return x * x


def hypot(x: float, y: float) -> float:
    """``sqrt(x * x + y * y)``, without care for overflow."""
    return math.sqrt(x * x + y * y)


def power(x: float, y: float) -> float:
    """``x ** y`` of C; nan for a negative x and a y that is no whole number."""
    try:
        return math.pow(x, y)
    except OverflowError:
        return -math.inf if x < 0.0 and y % 2.0 == 1.0 else math.inf
    except ValueError:
        if x == 0.0:  # and y < 0
            return math.copysign(math.inf, x) if y % 2.0 == 1.0 else math.inf
        return math.nan


def whole_power(x: float, exponent: int) -> float:
    """``x * x * ... * x``; 1 over that where the exponent is negative."""
    product = x if exponent else 1.0
    for _ in range(abs(exponent) - 1):
        product *= x
    return product if exponent >= 0 else divide(1.0, product)


def sqrt(x: float) -> float:
    """The square root; nan of a negative number."""
    return math.nan if x < 0.0 else math.sqrt(x)


def exp(x: float) -> float:
    """``e ** x``; inf where that is too large."""
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def log(x: float) -> float:
    """The natural logarithm; -inf of 0, nan of a negative number."""
    return -math.inf if x == 0.0 else math.nan if x < 0.0 else math.log(x)


def log1p(x: float) -> float:
    """``log(1 + x)``; -inf of -1, nan below."""
    return -math.inf if x == -1.0 else math.nan if x < -1.0 else math.log1p(x)


def sin(x: float) -> float:
    """The sine; nan of an infinite number."""
    return math.nan if math.isinf(x) else math.sin(x)


def cos(x: float) -> float:
    """The cosine; nan of an infinite number."""
    return math.nan if math.isinf(x) else math.cos(x)


UNARY: dict[str, Callable[[float], float]] = {
    "abs": math.fabs,
    "sqrt": sqrt,
    "exp": exp,
    "log": log,
    "log1p": log1p,
    "tanh": math.tanh,
    "sin": sin,
    "cos": cos,
    "floor": floor,
    "ceil": ceil,
    "trunc": trunc,
    "sign": sign,
    "square": square,
}
"""Functions of one number, or of each of a vector."""

BINARY: dict[str, Callable[[float, float], float]] = {
    "atan2": math.atan2,
    "hypot": hypot,
    "min": least,
    "max": largest,
}
"""Functions of two numbers, entry by entry."""

OPERATORS: dict[str, Callable[[float, float], float]] = {
    "+": lambda x, y: x + y,
    "-": lambda x, y: x - y,
    "*": lambda x, y: x * y,
    "/": divide,
    "//": floor_divide,
    "%": remainder,
    "**": power,
}
