"""What a state that was loaded must be: of the form that a fresh one has, and within limits that the node declares.

    remembers: ClassVar[Remembers] = {"counts": COUNTS, "table": (GROWS,), "moments": (At(0, COUNTS),), "gamma": (SAME,)}

A state file can come from anybody, and kernels index memory by what it says. So keys, kinds, dtypes and shapes of every leaf are
those that `init` returns, unless an array is empty at first or the node says that it `GROWS`; and what counts, or is an index, has
a range.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from annotated_types import Ge, Le

from shapegym.shaping.arrays import flatten
from shapegym.shaping.limits import within

GROWS = "grows"
"""An array whose shape may be another than at first, with as many axes."""
SAME = "same"
"""A value that `init` knows, and that never changes."""
COUNTS: tuple[Any, ...] = (Ge(0), Le(2**53))
"""Numbers of things, or sums of them as floats hold them exactly."""

Remembers: TypeAlias = Mapping[str, tuple[Any, ...]]
"""By path of a leaf, keys joined by ``/``: limits of `annotated_types`, `GROWS`, `SAME`, `At`."""


@dataclass(frozen=True)
class At:
    """Limits of some entries of an array: ``array[index]``."""

    index: Any
    limits: tuple[Any, ...]


def misfits(
    saved: Mapping[str, Any], fresh: Mapping[str, Any], remembers: Remembers, where: str = ""
) -> Iterator[str]:
    """Yield why ``saved`` cannot take the place of ``fresh``, both nested dicts of plain values; ``where`` they stand."""
    left, right = _leaves(saved), _leaves(fresh)
    if unmatched := left.keys() ^ right.keys():
        either = {**left, **right}
        key = min(unmatched, key=lambda key: (isinstance(either[key], dict), key))  # an empty dict says least
        verb = "has {!r}, this engine has none" if key in left else "lacks {!r}, which this engine has"
        yield (
            f"{verb.format(where + key)}: it was saved with other options (such as pay_at_end) or another shapegym."
        )
        return
    for key, value in left.items():
        limits = remembers.get(key, ())
        grows = GROWS in limits or np.size(right[key]) == 0
        ours, theirs = form(right[key], grows), form(value, grows)
        fits = ours == theirs or (ours, theirs) == ("a number", "a whole number")
        if not fits and value is not None and right[key] is not None:
            yield (
                f"has {theirs} at {where + key!r} where this engine has {ours}: it was saved by another shapegym, or altered."
            )
        elif SAME in limits and not np.array_equal(value, right[key]):
            yield f"has another value at {where + key!r} than what never changes: it was altered."
        elif not _keep(value, limits):
            yield f"has numbers at {where + key!r} that cannot be there: it was altered."


def form(leaf: Any, grows: bool = False) -> str:
    """Return what a leaf is, in words."""
    if isinstance(leaf, np.ndarray):
        return f"{leaf.dtype} with {leaf.ndim} axes" if grows else f"{leaf.dtype} of shape {leaf.shape}"
    leaf = leaf.item() if isinstance(leaf, np.generic) else leaf
    return {int: "a whole number", float: "a number"}.get(type(leaf), f"a {type(leaf).__name__}")


def _leaves(state: Mapping[str, Any]) -> dict[str, Any]:
    return {"/".join(map(str, path)): leaf for path, leaf in flatten(state).items()}


def _keep(value: Any, limits: tuple[Any, ...]) -> bool:
    if value is None or not np.size(value):
        return True
    parts = [limit for limit in limits if isinstance(limit, At)]
    ends = (np.min(value), np.max(value)) if len(parts) < len(limits) else ()
    return all(within(end, limit) for end in ends for limit in limits) and all(
        _keep(value[part.index], part.limits) for part in parts
    )
