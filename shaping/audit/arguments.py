"""What the arguments of audits must be, as data, and the one place that holds them to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from shapegym.shaping.errors import AuditError

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Given = NDArray[Any]
"""As a caller has it: not checked, of any dtype."""


class Kind(NamedTuple):
    """What a table holds.

    Attributes:
        words: for it, in messages.
        dtypes: the NumPy kinds it may have; "f" is converted to, and finite.
        holds: which of its numbers, or rows, are as they should be; None = all.
    """

    words: str
    dtypes: str = "f"
    holds: Callable[[Given], Any] | None = None


def _sums_to_1(rows: Array, rtol: float = 1e-5, atol: float = 1e-8) -> Any:
    return (rows >= 0).all(axis=-1) & np.isclose(rows.sum(axis=-1), 1.0, rtol, atol)


NUMBERS = Kind("finite")
FLAGS = Kind("bool", "b")
AMOUNTS = Kind("finite and not negative", holds=lambda numbers: numbers >= 0)
DISTRIBUTION = Kind("a distribution over its last axis (not negative, sum to 1)", holds=_sums_to_1)
TRANSITIONS = DISTRIBUTION._replace(holds=lambda rows: _sums_to_1(rows, rtol=0, atol=1e-9))


def table(name: str, given: Given, kind: Kind, *shapes: tuple[Any, ...]) -> Any:
    """Return an argument as an array of one of the shapes.

    Args:
        name: what messages call it.
        given: the argument.
        kind: what it holds.
        shapes: any of them will do; a size is a number, a letter (any size from 1, the same wherever the letter stands), or, at
            the end, ``...`` for any more axes.

    Raises:
        AuditError: it has another shape or dtype, or holds something else.
    """
    array = np.asarray(given, np.float64) if kind.dtypes == "f" else np.asarray(given)
    if array.dtype.kind not in kind.dtypes or not any(_fits(array.shape, shape) for shape in shapes):
        allowed = " or ".join(str(shape).replace("'", "").replace("Ellipsis", "...") for shape in shapes)
        sizes = " with sizes of at least 1" if any(isinstance(size, str) for size in shapes[0]) else ""
        raise AuditError(
            f"{name} must be {allowed}{sizes}, {kind.words}, got {array.dtype} of shape {array.shape}."
        )
    if kind.dtypes == "f" and not np.isfinite(array).all():
        raise AuditError(f"{name} is NaN or infinite: not finite at {_first(~np.isfinite(array))}.")
    if kind.holds is not None and not (good := kind.holds(array)).all():
        at = _first(~good)
        shown = np.array2string(np.asarray(array[tuple(at)]), threshold=6)
        raise AuditError(f"{name} must be {kind.words}, got {shown}{f' at {at}' if at else ''}.")
    return array


def distribution(name: str, given: Given | None, *shape: int) -> Array:
    """Return distributions over the last axis, as `table` does; None = uniform."""
    return np.full(shape, 1 / shape[-1]) if given is None else table(name, given, DISTRIBUTION, shape)


def number(name: str, given: float, low: float, high: float = np.inf) -> None:
    """Raise `AuditError` unless a number is in [low, high]."""
    if not (isinstance(given, (int, float, np.number)) and low <= given <= high):
        allowed = f"in [{low:g}, {high:g}]" if high < np.inf else f"at least {low:g}"
        raise AuditError(f"{name} must be {allowed}, got {given!r}.")


def choice(name: str, given: str, literal: object) -> None:
    """Raise `AuditError` unless a word is one of a ``Literal``."""
    if given not in get_args(literal):
        *others, last = (f'"{word}"' for word in get_args(literal))
        raise AuditError(f"{name} must be {', '.join(others)} or {last}, got {given!r}.")


def _fits(shape: tuple[int, ...], wanted: tuple[Any, ...]) -> bool:
    if wanted[-1:] == (...,):
        wanted = wanted[:-1]
        shape = shape[: len(wanted)]
    sizes: dict[Any, int] = {}
    return len(shape) == len(wanted) and all(
        size == sizes.setdefault(want, size if isinstance(want, str) else want)
        and (size > 0 or not isinstance(want, str))
        for size, want in zip(shape, wanted, strict=True)
    )


def _first(where: Mask) -> list[int]:
    return np.argwhere(where)[0].tolist()
