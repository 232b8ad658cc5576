"""Count bonuses: novelty as how seldom a state was visited.

Visits are counted exactly: a hash table holds every distinct key in full, so two states are never taken for one. A key of n bytes
takes 1.5 to 3 times (n rounded up to a multiple of 8) + 16 bytes, and memory grows with the distinct keys only (for episode counts,
with those of the open episodes). Where states hardly ever repeat (images, continuous observations) nothing would be counted twice:
give a coarser key (a feature, a state function, a ``resolution``) or `SimHash`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, MinLen
from typing_extensions import override

from shapegym.shaping.errors import ExpressionError, ObservationError
from shapegym.shaping.kernels.counts import project_signs, tally
from shapegym.shaping.limits import Count, Limited, Natural, NonNegative, Positive
from shapegym.shaping.promises import Replay
from shapegym.shaping.remembered import COUNTS, Remembers
from shapegym.shaping.states.functions import Read, Rows, StateFunction, rows_of
from shapegym.shaping.states.select import selector
from shapegym.shaping.terms.events import EVENT
from shapegym.shaping.transitions import Spec, State, Transitions
from shapegym.shaping.types import Example, Term

_SMALLEST_TABLE = 64  # slots


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
class CountBonus(Term):
    """b_t = beta / N(k(s_{t+1}))^exponent, with N the visits of the key k so far, this one included (first sight: N = 1).

    All lanes of a batch are counted before any is paid, so their order does not matter. With ``exponent=0.5`` this is the bonus of
    Strehl & Littman 2008 (MBIE-EB, eq. 4) with states for state-action pairs, and of Bellemare et al. 2016 (eq. 8) and Tang et al.
    2017 (eq. 1) with exact or hashed counts. As a factor it discounts what another term pays for seeing the same again:
    ``judge * CountBonus("features.caption", exponent=3, scope="episode")`` is the episodic weighting r / N^3 of Motif
    (Klissarov et al. 2024, eq. 3) and ONI (Zheng et al. 2024).

    Bounded: |b_t| <= |beta|. Replay: lifetime counts are frozen (read again at sampling; a key never counted has N = 1),
    episode counts are stamped.

    Args:
        key: what makes a state's key: a selector, a state function or the name of one, or a tuple of such. -0.0 is 0.0; otherwise
            keys are equal if every number is.
        beta: the bonus of the first visit.
        exponent: how fast the bonus decays, >= 0.
        scope: count over the run and all lanes ("lifetime"), or in each lane's open episode ("episode").
        hashing: None for exact keys, or `SimHash`.
        resolution: count x as the multiple of ``resolution`` that is nearest to it; None counts it as it is.
    """

    key: Rows | Annotated[tuple[Rows, ...], MinLen(1)] = "obs"
    beta: float = 1.0
    exponent: NonNegative = 0.5
    scope: Literal["lifetime", "episode"] = "lifetime"
    hashing: SimHash | None = None
    resolution: Positive | None = None

    remembers: ClassVar[Remembers] = {"counts": COUNTS, "visits": (Ge(1), *COUNTS)}
    bound = property(lambda self: abs(self.beta))
    replay = property(lambda self: Replay.STAMP if self.scope == "episode" else Replay.FROZEN)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.resolution is not None and self.hashing is not None:
            raise ExpressionError(
                "CountBonus: SimHash already merges near states; give either hashing or resolution."
            )

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls("features.agent_pos")),
            Example(EVENT * cls("features.event", exponent=1.0)),
            Example(cls("obs", scope="episode", exponent=3.0), "discrete"),
            Example(cls("obs", resolution=0.5, beta=0.2)),
            Example(cls("obs.observation", hashing=SimHash(bits=6)), "dict"),
            Example(cls(("features.agent_pos", 4 * Read("features.progress"), "action"))),
        )

    def init(self, spec: Spec) -> State:
        """Return a table that is empty until the first batch says how wide a key is."""
        return {
            **super().init(spec),
            "dtype": self._declared_dtype(spec),
            "width": 0,
            "owners": np.arange(spec.num_lanes if self.scope == "episode" else 1, dtype=np.uint64),
            "keys": np.zeros((0, 0), dtype=np.uint64),
            "counts": np.zeros(0, dtype=np.int64),
            "size": 0,
            "directions": np.zeros((0, 0)),
            "visits": np.ones(spec.num_lanes, dtype=np.int64),
        }

    @override
    def check_state(self, state: State, fresh: State) -> None:
        """The kernel takes the shape of the table on trust, and looks for a key until it finds an empty slot."""
        keys, counts, owners, width = state["keys"], state["counts"], state["owners"], state["width"]
        slots, dtype = len(counts), np.dtype(state["dtype"] or "f8")
        table = {**fresh, "dtype": fresh["dtype"] or state["dtype"]}
        if slots and 0 < width <= max(8 * keys.shape[1], len(state["directions"])) and dtype.kind in "biuf":
            self._open(np.zeros((1, width), dtype), table)
        if (
            (state["dtype"], width, keys.shape[1]) != (table["dtype"], table["width"], table["keys"].shape[1])
            or not np.array_equal(state["directions"], table["directions"])
            or not np.array_equal(owners % np.uint64(len(owners)), fresh["owners"])
            or (slots and (slots < _SMALLEST_TABLE or slots & (slots - 1)))
            or len(keys) != slots
            or state["size"] != np.count_nonzero(counts)
            or 3 * state["size"] > 2 * slots
        ):
            raise ValueError("its table of counts is none that this term makes")

    @override
    def observe(self, transitions: Transitions, state: State, *inputs: Any) -> None:
        values = self._values(transitions)
        if not len(state["counts"]):
            self._open(values, state)
        rows = self._rows(values, state)
        active = transitions.active
        if self.scope == "episode":
            owners = state["owners"]
            # A new owner: what the lane visited in earlier episodes is no longer found.
            owners[transitions.first & active] += np.uint64(len(owners))
            rows[:, 0] = owners
        _make_room(state, len(rows))
        visits = np.empty(len(rows), dtype=np.int64)
        state["size"] += tally(rows, active.astype(np.int64), state["keys"], state["counts"], visits)
        state["visits"] = np.maximum(visits, 1)  # an inactive row may hold an unknown key

    @override
    def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        return self._bonus(state["visits"])

    def remeasure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        """Return what lifetime counts as they are now pay; a key never counted has N = 1."""
        visits = np.ones(transitions.num_lanes, dtype=np.int64)
        if len(state["counts"]):
            rows = self._rows(self._values(transitions), state)
            tally(rows, np.zeros(len(rows), dtype=np.int64), state["keys"], state["counts"], visits)
        return self._bonus(np.maximum(visits, 1))

    def _bonus(self, visits: np.ndarray) -> np.ndarray:
        if self.exponent == 0.5:  # the usual one, and a square root takes a fraction of the time of a power
            return self.beta / np.sqrt(visits)
        return self.beta / visits.astype(np.float64) ** self.exponent

    @override
    def remark(self, spec: Spec) -> str | None:
        if self.scope == "episode" or self.hashing is not None or self.resolution is not None:
            return None
        spaces = [selector(key).space(spec) for key in self._keys if isinstance(key, str)]
        if not any(space is not None and np.dtype(space.dtype).kind == "f" for space in spaces):
            return None
        return (
            f"it counts {_shown(self.key)} exactly, and these are floats: where they hardly ever repeat every state is new, so the "
            "bonus never falls and its memory grows with every step. Give a resolution (CountBonus(..., resolution=0.1)), "
            "hashing=SimHash(), or a coarser key; if the numbers are few, all is well."
        )

    @property
    def _keys(self) -> tuple[StateFunction | str, ...]:
        return self.key if isinstance(self.key, tuple) else (self.key,)

    def _values(self, transitions: Transitions) -> np.ndarray:
        """Return the numbers of each key, (B, n)."""
        obs, features = transitions.after
        columns = [rows_of(key, obs, features) for key in self._keys]
        for key, values in zip(self._keys, columns, strict=True):
            if values.dtype.kind not in "biuf" or values.dtype.itemsize > 8:
                raise ObservationError(
                    f"CountBonus: {_shown(key)} selects {values.dtype}; a key is made of integers, bools or floats."
                )
        return columns[0] if len(columns) == 1 else np.hstack(columns)

    def _declared_dtype(self, spec: Spec) -> str:
        """Return the dtype of the spaces that the key is read from, or "" if one of them is not declared.

        Buffers store observations in the dtype of the space, whatever the environment returned, and keys must be equal in both.
        """
        spaces = [None if isinstance(key, StateFunction) else selector(key).space(spec) for key in self._keys]
        dtypes = [space.dtype for space in spaces if space is not None and space.dtype is not None]
        return np.result_type(*dtypes).str if len(dtypes) == len(spaces) else ""

    def _open(self, values: np.ndarray, state: State) -> None:
        """Make the empty table, now that the width of a key is known."""
        state["dtype"] = state["dtype"] or values.dtype.str
        state["width"] = values.shape[1]
        if self.hashing is not None:
            state["directions"] = self.hashing.directions(values.shape[1])
        state["counts"] = np.zeros(_SMALLEST_TABLE, dtype=np.int64)
        state["keys"] = np.zeros((_SMALLEST_TABLE, self._rows(values, state).shape[1]), dtype=np.uint64)

    def _rows(self, values: np.ndarray, state: State) -> np.ndarray:
        """Return the keys as words, (B, W) uint64, word 0 being the owner: 0 over a lifetime."""
        if values.shape[1] != state["width"]:
            raise ObservationError(
                f"CountBonus: {_shown(self.key)} selects {values.shape[1]} numbers a lane; it began with {state['width']}."
            )
        exact = self.hashing is None and self.resolution is None
        if exact and values.dtype.kind == "f" and np.dtype(state["dtype"]).kind != "f":
            raise ObservationError(
                f"CountBonus: {_shown(self.key)} gave {np.dtype(state['dtype'])} at first and {values.dtype} now, which would be "
                "cut to whole numbers. Declare the feature's space (env.features), or give a resolution or SimHash."
            )
        if self.hashing is None:
            return _words(values, state["dtype"], self.resolution)
        words = np.empty((len(values), -(-self.hashing.bits // 64)), dtype=np.uint64)
        values = np.ascontiguousarray(values, dtype=np.float64)
        project_signs(values, state["directions"], np.empty(self.hashing.bits), words)
        return np.hstack([np.zeros((len(words), 1), dtype=np.uint64), words])


def _make_room(state: State, num_rows: int) -> None:
    """Keep the table at most two thirds full: drop the keys of former owners, and double it as often as needed."""
    keys, counts, owners = state["keys"], state["counts"], state["owners"]
    if 3 * (state["size"] + num_rows) <= 2 * len(counts):
        return
    owner = keys[:, 0]  # congruent to its lane modulo the number of lanes
    live = (counts > 0) & (owners[owner % np.uint64(len(owners))] == owner)
    size = int(np.count_nonzero(live))
    capacity = len(counts)
    while capacity < 2 * (size + num_rows):
        capacity *= 2
    state["keys"] = np.zeros((capacity, keys.shape[1]), dtype=np.uint64)
    state["counts"] = np.zeros(capacity, dtype=np.int64)
    copied = np.empty(size, dtype=np.int64)
    state["size"] = tally(keys[live], counts[live], state["keys"], state["counts"], copied)


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


def _shown(key: Any) -> str:
    """A key as messages name it."""
    if isinstance(key, tuple):
        return f"({', '.join(map(_shown, key))})"
    return repr(key) if isinstance(key, str) else str(key)
