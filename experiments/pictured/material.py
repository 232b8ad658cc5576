"""Pictures and the sentences that are true of them, by name."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shapegym.experiments.errors import RunError
from shapegym.shaping.discovery import import_modules
from shapegym.shaping.errors import said_as, suggest


class Material(NamedTuple):
    """What two towers are trained on (`shapegym.shaping.similarity.towers`)."""

    pictures: NDArray[np.uint8]
    """(N, rows, columns, channels)."""
    sentences: list[list[str]]
    """Those that are true of each picture, at least one."""


Make: TypeAlias = Callable[[int], Material]
"""Makes material from a seed."""

OURS = {
    "mountain-car": "shapegym.experiments.pictured.mountain_car:material",
    "yard": "shapegym.experiments.pictured.yard:material",
}


def material_of(name: str, seed: int) -> Material:
    """Return the material of that name, or of ``MODULE:FUNCTION``, a function of a seed.

    Raises:
        RunError: if there is none, or what it returns is none.
        PluginError: if its module cannot be imported.
    """
    if name not in OURS and ":" not in name:
        raise RunError(
            f"There is no material {name!r}.{suggest(name, OURS)} Material of your own is a function of a seed that returns "
            "pictures, (N, rows, columns, channels) uint8, and N lists of sentences: MODULE:FUNCTION."
        )
    module, _, function = OURS.get(name, name).partition(":")
    import_modules([module], f"The material {name!r}")
    make: Make | None = getattr(sys.modules[module], function, None)
    if not callable(make):
        raise RunError(f"{module} has no function {function!r}.")
    with said_as(
        RunError,
        (TypeError, ValueError),
        f"{name} is no function of a seed that returns pictures and sentences (",
        ").",
    ):
        pictures, sentences = make(seed)
    if not isinstance(pictures, np.ndarray) or pictures.dtype != np.uint8 or pictures.ndim != 4:
        raise RunError(f"{name}: pictures are an array (N, rows, columns, channels) of uint8.")
    if len(sentences) != len(pictures) or not all(sentences) or not len(pictures):
        raise RunError(
            f"{name}: there are {len(pictures)} pictures and sentences for {len(sentences)}; each has at least one."
        )
    return Material(pictures, [list(own) for own in sentences])
