"""Keys: what makes two states the same state, for whoever counts visits.

A key is the numbers that a selector or a state function reads, as they are, rounded, or hashed to signs. It is told by its bytes,
as rows of 64-bit words for the kernels of `shapegym.shaping.kernels.counts`.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

import numpy as np
from annotated_types import MinLen

from shapegym.shaping.errors import ExpressionError, ObservationError
from shapegym.shaping.kernels.counts import project_signs, tally
from shapegym.shaping.limits import Count, Limited, Natural, Positive
from shapegym.shaping.reading import Reading
from shapegym.shaping.states.functions import Rows, StateFunction, rows_of
from shapegym.shaping.states.select import selector
from shapegym.shaping.transitions import Features, Observation, Spec

Key: TypeAlias = Rows | Annotated[tuple[Rows, ...], MinLen(1)]
"""What a key is read from: a selector, a state function or the name of one, or a tuple of such."""

Began: TypeAlias = MutableMapping[str, Any]
"""What is known of keys since the first of them came: ``dtype``, ``width`` and the ``directions`` of a `SimHash`."""


Table: TypeAlias = MutableMapping[str, Any]
"""A table of counts (`empty_table`) and its ``owners``."""

SMALLEST_TABLE = 64
"""Slots of a table at first."""


@dataclass(frozen=True)
class SimHash(Limited):
    """Keys made of signs, ``sign(A x)`` with Gaussian A: states at a small angle to each other are counted as one.

    More bits tell more states apart. Source: Charikar 2002; Tang et al. 2017, "#Exploration", Algorithm 1.

    Args:
        bits: rows of A.
        seed: of A, which is the same in every process.
    """

    bits: Count = 32
    seed: Natural = 0

    def directions(self, width: int) -> np.ndarray:
        """Return A^T for states of ``width`` numbers, (width, bits) float64."""
        return np.random.default_rng(self.seed).standard_normal((width, self.bits))


@dataclass(frozen=True)
class Keys(Reading):
    """How states are told apart.

    Args:
        key: what makes a state's key. -0.0 is 0.0; otherwise keys are equal if every number is.
        hashing: None for exact keys, or `SimHash`.
        resolution: count x as the multiple of ``resolution`` that is nearest to it; None counts it as it is.
        reader: who counts, as messages name it.
    """

    key: Key = "obs"
    hashing: SimHash | None = None
    resolution: Positive | None = None
    reader: str = "Keys"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.resolution is not None and self.hashing is not None:
            raise ExpressionError(
                f"{self.reader}: SimHash already merges near states; give either hashing or resolution."
            )

    def blank(self, spec: Spec) -> dict[str, Any]:
        """Return what is known before the first keys came."""
        return {"dtype": self._declared_dtype(spec), "width": 0, "directions": np.zeros((0, 0))}

    def begin(self, values: np.ndarray, began: Began) -> None:
        """Note what the first keys are, now that their width is known."""
        began["dtype"] = began["dtype"] or values.dtype.str
        began["width"] = values.shape[1]
        if self.hashing is not None:
            began["directions"] = self.hashing.directions(values.shape[1])

    def values(self, obs: Observation, features: Features) -> np.ndarray:
        """Return the numbers of each key, (B, n).

        Raises:
            ObservationError: if a key is made of anything else.
        """
        columns = [rows_of(key, obs, features) for key in self._parts]
        for key, values in zip(self._parts, columns, strict=True):
            if values.dtype.kind not in "biuf" or values.dtype.itemsize > 8:
                raise ObservationError(
                    f"{self.reader}: {shown(key)} selects {values.dtype}; a key is made of integers, bools or floats."
                )
        return columns[0] if len(columns) == 1 else np.hstack(columns)

    def words(self, values: np.ndarray, began: Began) -> np.ndarray:
        """Return keys as words, (B, W) uint64, word 0 being free for an owner.

        Raises:
            ObservationError: if keys have changed since the first.
        """
        if values.shape[1] != began["width"]:
            raise ObservationError(
                f"{self.reader}: {shown(self.key)} selects {values.shape[1]} numbers a lane; it began with {began['width']}."
            )
        exact = self.hashing is None and self.resolution is None
        if exact and values.dtype.kind == "f" and np.dtype(began["dtype"]).kind != "f":
            raise ObservationError(
                f"{self.reader}: {shown(self.key)} gave {np.dtype(began['dtype'])} at first and {values.dtype} now, which would be "
                "cut to whole numbers. Declare the feature's space (env.features), or give a resolution or SimHash."
            )
        if self.hashing is None:
            return _words(values, began["dtype"], self.resolution)
        words = np.empty((len(values), -(-self.hashing.bits // 64)), dtype=np.uint64)
        values = np.ascontiguousarray(values, dtype=np.float64)
        project_signs(values, began["directions"], np.empty(self.hashing.bits), words)
        return np.hstack([np.zeros((len(words), 1), dtype=np.uint64), words])

    def require_begun(self, began: Began) -> None:
        """Raise ValueError if this is nothing that `begin` makes: the kernel takes the shape of directions on trust."""
        bits = 0 if self.hashing is None else self.hashing.bits
        shape = (began["width"], bits) if began["width"] and bits else (0, 0)
        directions = np.asarray(began["directions"])
        if directions.shape != shape or (
            self.hashing is not None
            and directions.size
            and not np.array_equal(directions, self.hashing.directions(shape[0]))
        ):
            raise ValueError("its directions are none that keys are hashed by")

    def remark(self, spec: Spec) -> str | None:
        """Return what should be said of counting these keys as they are, if anything."""
        if self.hashing is not None or self.resolution is not None:
            return None
        spaces = [selector(key).space(spec) for key in self._parts if isinstance(key, str)]
        if not any(space is not None and np.dtype(space.dtype).kind == "f" for space in spaces):
            return None
        return (
            f"it counts {shown(self.key)} exactly, and these are floats: where they hardly ever repeat every state is new, so the "
            f"bonus never falls and its memory grows with every step. Give a resolution ({self.reader}(..., resolution=0.1)), "
            "hashing=SimHash(), or a coarser key; if the numbers are few, all is well."
        )

    @property
    def _parts(self) -> tuple[StateFunction | str, ...]:
        return self.key if isinstance(self.key, tuple) else (self.key,)

    def _declared_dtype(self, spec: Spec) -> str:
        """Return the dtype of the spaces that the key is read from, or "" if one of them is not declared.

        Buffers store observations in the dtype of the space, whatever the environment returned, and keys must be equal in both.
        """
        parts = self._parts
        spaces = [None if isinstance(key, StateFunction) else selector(key).space(spec) for key in parts]
        dtypes = [space.dtype for space in spaces if space is not None and space.dtype is not None]
        return np.result_type(*dtypes).str if len(dtypes) == len(spaces) else ""


def empty_table(words: int, slots: int = SMALLEST_TABLE) -> dict[str, Any]:
    """Return a table for `tally` of keys of as many words: ``keys``, ``counts``, and its ``size``, how many it holds."""
    keys, counts = np.zeros((slots, words), dtype=np.uint64), np.zeros(slots, dtype=np.int64)
    return {"keys": keys, "counts": counts, "size": 0}


def make_room(table: Table, num_rows: int) -> None:
    """Keep a table at most two thirds full: drop the keys of former owners, and double it as often as needed."""
    keys, counts, owners = table["keys"], table["counts"], table["owners"]
    if 3 * (table["size"] + num_rows) <= 2 * len(counts):
        return
    owner = keys[:, 0]  # congruent to its lane modulo the number of lanes
    live = (counts > 0) & (owners[owner % np.uint64(len(owners))] == owner)
    size = int(np.count_nonzero(live))
    capacity = len(counts)
    while capacity < 2 * (size + num_rows):
        capacity *= 2
    table["keys"] = np.zeros((capacity, keys.shape[1]), dtype=np.uint64)
    table["counts"] = np.zeros(capacity, dtype=np.int64)
    copied = np.empty(size, dtype=np.int64)
    table["size"] = tally(keys[live], counts[live], table["keys"], table["counts"], copied)


def shown(key: Any) -> str:
    """Return a key as messages name it."""
    if isinstance(key, tuple):
        return f"({', '.join(map(shown, key))})"
    return repr(key) if isinstance(key, str) else str(key)


def _words(values: np.ndarray, dtype: str, resolution: float | None) -> np.ndarray:
    """Return the bytes of each row of ``values`` (B, n), padded to 64-bit words, behind one free word."""
    # With a resolution float64, whatever comes: a buffer may store float32 of what was counted as float64.
    values = values.astype(dtype if resolution is None else np.float64)
    if resolution is not None:
        values = np.rint(values / resolution)
    if values.dtype.kind == "f":
        values = values + 0.0  # -0.0 becomes 0.0
    num_rows, num_bytes = len(values), values.shape[1] * values.itemsize
    rows = np.zeros((num_rows, 1 + -(-num_bytes // 8)), dtype=np.uint64)
    rows.view(np.uint8)[:, 8 : 8 + num_bytes] = np.ascontiguousarray(values).view(np.uint8)
    return rows
