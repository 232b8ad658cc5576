"""Count bonuses: novelty as how seldom a state was visited.

Visits are counted exactly: a hash table holds every distinct key in full, so two states are never taken for one. A key of n bytes
takes 1.5 to 3 times (n rounded up to a multiple of 8) + 16 bytes, and memory grows with the distinct keys only (for episode counts,
with those of the open episodes). Where states hardly ever repeat (images, continuous observations) nothing would be counted twice:
give a coarser key (a feature, a state function, a ``resolution``) or `SimHash`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Le
from typing_extensions import override

from shapegym.shaping.kernels.counts import tally
from shapegym.shaping.limits import Infinite, Positive
from shapegym.shaping.promises import Replay
from shapegym.shaping.remembered import COUNTS, Remembers
from shapegym.shaping.states.functions import Read
from shapegym.shaping.states.keys import SMALLEST_TABLE, Key, Keys, SimHash, empty_table, make_room
from shapegym.shaping.terms.events import EVENT
from shapegym.shaping.transitions import Spec, State, Transitions
from shapegym.shaping.types import Example, Term

LONGEST_EPISODE = 100_000
"""Steps after which an episode is counted anew."""


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
        exponent: how fast the bonus decays, >= 0; infinite, only the first visit is paid.
        scope: count over the run and all lanes ("lifetime"), or in each lane's open episode ("episode"), which counts anew after
            every 100,000 steps, so that memory stays bounded on tasks that never end.
        hashing: None for exact keys, or `SimHash`.
        resolution: count x as the multiple of ``resolution`` that is nearest to it; None counts it as it is.
    """

    key: Key = "obs"
    beta: float = 1.0
    exponent: Annotated[float, Infinite, Ge(0)] = 0.5
    scope: Literal["lifetime", "episode"] = "lifetime"
    hashing: SimHash | None = None
    resolution: Positive | None = None

    remembers: ClassVar[Remembers] = {
        "counts": COUNTS,
        "visits": (Ge(1), *COUNTS),
        "lasted": (Ge(0), Le(LONGEST_EPISODE)),
    }
    bound = property(lambda self: abs(self.beta))
    replay = property(lambda self: Replay.STAMP if self.scope == "episode" else Replay.FROZEN)
    _keys: ClassVar[Keys]

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "_keys", Keys(self.key, self.hashing, self.resolution, "CountBonus"))

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls("features.agent_pos")),
            Example(EVENT * cls("features.event", exponent=1.0)),
            Example(cls("obs", scope="episode", exponent=3.0), "discrete"),
            Example(cls("features.agent_pos", scope="episode", exponent=math.inf)),
            Example(cls("obs", resolution=0.5, beta=0.2)),
            Example(cls("obs.observation", hashing=SimHash(bits=6)), "dict"),
            Example(cls(("features.agent_pos", 4 * Read("features.progress"), "action"))),
        )

    def init(self, spec: Spec) -> State:
        """Return a table that is empty until the first batch says how wide a key is."""
        return {
            **super().init(spec),
            **self._keys.blank(spec),
            "owners": np.arange(spec.num_lanes if self.scope == "episode" else 1, dtype=np.uint64),
            "lasted": np.zeros(spec.num_lanes if self.scope == "episode" else 0, dtype=np.int64),
            **empty_table(0, slots=0),
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
            or (slots and (slots < SMALLEST_TABLE or slots & (slots - 1)))
            or len(keys) != slots
            or state["size"] != np.count_nonzero(counts)
            or 3 * state["size"] > 2 * slots
        ):
            raise ValueError("its table of counts is none that this term makes")

    @override
    def observe(self, transitions: Transitions, state: State, *inputs: Any) -> None:
        values = self._keys.values(*transitions.after)
        if not len(state["counts"]):
            self._open(values, state)
        rows = self._keys.words(values, state)
        active = transitions.active
        if self.scope == "episode":
            owners, lasted = state["owners"], state["lasted"]
            begins = (transitions.first | (lasted == LONGEST_EPISODE)) & active
            lasted[begins] = 0
            lasted += active
            # A new owner: what the lane visited in earlier episodes is no longer found.
            owners[begins] += np.uint64(len(owners))
            rows[:, 0] = owners
        make_room(state, len(rows))
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
            rows = self._keys.words(self._keys.values(*transitions.after), state)
            tally(rows, np.zeros(len(rows), dtype=np.int64), state["keys"], state["counts"], visits)
        return self._bonus(np.maximum(visits, 1))

    def _bonus(self, visits: np.ndarray) -> np.ndarray:
        if self.exponent == 0.5:  # the usual one, and a square root takes a fraction of the time of a power
            return self.beta / np.sqrt(visits)
        return self.beta / visits.astype(np.float64) ** self.exponent

    @override
    def remark(self, spec: Spec) -> str | None:
        return None if self.scope == "episode" else self._keys.remark(spec)

    def _open(self, values: np.ndarray, state: State) -> None:
        """Make the empty table, now that the width of a key is known."""
        self._keys.begin(values, state)
        state.update(empty_table(self._keys.words(values, state).shape[1]))
