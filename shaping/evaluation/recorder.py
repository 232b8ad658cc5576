"""What happened since the last fit, for what learns: steps, and whole episodes."""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping
from typing import TypeAlias

import numpy as np
from annotated_types import Ge, Le, Lt

from shapegym.shaping.arrays import ROWS, flatten, tree_map
from shapegym.shaping.evaluation.steps import StepStore
from shapegym.shaping.reading import WHOLE
from shapegym.shaping.remembered import COUNTS, misfits
from shapegym.shaping.transitions import Experience, Observation, State, Transitions

LONGEST_EPISODE = 100_000
"""Steps after which an episode that is still open is no longer kept for `fit`: tasks that never end would fill the memory."""

_EMPTY: State = {
    "obs": {},
    "next_obs": {},
    "features": {},
    "next_features": {},
}  # a saved state has no entry for what is empty


Said: TypeAlias = Mapping[str, Mapping[str, np.ndarray]]
"""What recurrent models said, by their names: outputs by name, (B, ...) of a step, (T, B, ...) of several."""


class Recorder:
    """Copies the steps of B lanes and their parts until somebody has learned from them.

    Args:
        num_lanes: B.
        entries: of Dict observations that somebody reads (`Reader.entries`); no others are kept.
        whole_episodes: whether somebody learns from whole episodes, so that open ones are kept too.

    Attributes:
        forgotten: episodes that grew too long to be kept whole.
    """

    def __init__(self, num_lanes: int, *, entries: Container[str], whole_episodes: bool) -> None:
        self.forgotten = 0
        self._entries = entries
        self._whole_episodes = whole_episodes
        self._store = StepStore()
        self._fitted = 0  # how many of the kept steps were fitted to before
        self._starts = np.full(
            num_lanes, -1, dtype=np.int64
        )  # step at which the lane's open episode begins, -1 if none is kept
        self._ended: list[tuple[int, int, int]] = []  # lane, first step and step after the last

    def __len__(self) -> int:
        return self._store.length - self._fitted

    def append(self, transitions: Transitions, parts: np.ndarray, said: Said) -> None:
        """Copy one step, its parts, (N, B), and what recurrent models said of it."""
        step = self._store.length
        self._store.append(
            {
                **{name: getattr(transitions, name) for name in ROWS},
                "obs": self._read(transitions.obs),
                "next_obs": self._read(transitions.next_obs),
                "parts": parts.T,
                "said": said,
                "clock": transitions.clock,
            }
        )
        if self._whole_episodes:
            self._follow(transitions, step)

    def add_feature(self, name: str, values: np.ndarray) -> None:
        """Add a feature (T, B, ...) of all steps since the last fit, told afterwards."""
        self._store.add(("next_features", name), values, self._fitted)

    def steps(self) -> tuple[Experience, np.ndarray, Said]:
        """Return the steps since the last fit, their parts, (T, B, N), to be overwritten by those of now, and what was said."""
        rows = self._store.block(self._fitted)
        return *_experience(rows), rows.get("said", {})

    def episodes(self) -> tuple[Experience, np.ndarray] | None:
        """Return the episodes that ended since the last fit, each a lane, and their parts (T, E, N), or None if none did."""
        if not self._ended:
            return None
        lanes, starts, stops = np.array(self._ended).T
        longest = int((stops - starts).max())
        steps = stops - longest + np.arange(longest)[:, None]
        inside = steps >= starts
        steps = np.where(inside, steps, starts)
        rows = self._store.block()
        clock = rows.pop("clock")
        block = tree_map(lambda values: values[steps, lanes], rows)
        for name in ("first", "terminated", "truncated", "active"):
            block[name] &= inside
        return _experience({**block, "clock": clock[steps].max(axis=1)})

    def fitted(self) -> None:
        """Forget what nobody will learn from any more."""
        opened = self._starts[self._starts >= 0]
        keep_from = int(opened.min(initial=self._store.length))
        self._store.clear(keep_from)
        self._starts[self._starts >= 0] -= keep_from
        self._fitted = self._store.length
        self._ended.clear()

    def state_dict(self) -> State:
        """Return all of it as nested plain values."""
        return {
            "store": self._store.state_dict(),
            "fitted": self._fitted,
            "starts": self._starts.copy(),
            "ended": np.array(self._ended, dtype=np.int64).reshape(-1, 3),
            "forgotten": self.forgotten,
        }

    def check_state(self, state: State, num_terms: int, outputs: Mapping[str, Collection[str]]) -> None:
        """Raise a ValueError if ``state`` is not of the form of `state_dict`, or its steps are not (T, B).

        ``outputs`` are the names of what recurrent models say, by their names.
        """
        store, lanes = state["store"], len(self._starts)
        length = store["length"]
        mine = {**self.state_dict(), "store": {}}
        limits = {
            "fitted": (Ge(0), Le(length)),
            "starts": (Ge(-1), Lt(max(length, 1))),
            "forgotten": COUNTS,
        }
        for misfit in misfits({**state, "store": {}}, mine, limits):
            raise ValueError(f"its experience {misfit}")
        lane, start, stop = state["ended"].T
        if not ((lane >= 0) & (lane < lanes) & (start >= 0) & (start < stop) & (stop <= length)).all():
            raise ValueError("it has episodes outside of its steps")
        if length:
            said = store["rows"].get("said", {})
            if any({*entries} != {*outputs.get(name, ())} for name, entries in said.items()):
                raise ValueError("it has outputs of other models")
            _check_rows(store["rows"], (length, lanes), num_terms)

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict`."""
        self._store.load_state_dict(state["store"])
        self._fitted, self.forgotten = int(state["fitted"]), int(state["forgotten"])
        self._starts = np.array(state["starts"])
        self._ended = [(lane, start, stop) for lane, start, stop in state["ended"].tolist()]

    def _read(self, obs: Observation) -> Observation:
        if WHOLE in self._entries or not isinstance(obs, Mapping):
            return obs
        return {key: values for key, values in obs.items() if key in self._entries}

    def _follow(self, transitions: Transitions, step: int) -> None:
        """Keep account of which steps make episodes."""
        active = transitions.active
        self._starts[transitions.first & active] = step
        kept = self._starts >= 0
        ended = (transitions.terminated | transitions.truncated) & active & kept
        for lane in np.flatnonzero(ended).tolist():
            self._ended.append((lane, int(self._starts[lane]), step + 1))
        self._starts[ended] = -1
        endless = kept & (step - self._starts >= LONGEST_EPISODE)
        self.forgotten += int(np.count_nonzero(endless & ~ended))
        self._starts[endless] = -1


def _experience(block: State) -> tuple[Experience, np.ndarray]:
    steps = {name: rows for name, rows in block.items() if name in ROWS}
    return Experience(Transitions(**{**_EMPTY, **steps}), block["clock"]), block["parts"]


def _check_rows(rows: State, shape: tuple[int, int], num_terms: int) -> None:
    """Raise a ValueError if the steps of a saved block are not (T, B) and of the kinds that readers take for granted."""
    needed = {*ROWS, "parts", "clock"}
    if not needed - _EMPTY.keys() <= rows.keys() <= {*needed, "said"}:
        raise ValueError(f"its steps have {', '.join(rows)}")
    wanted = {"parts": ((*shape, num_terms), "f"), "clock": (shape[:1], "i"), "reward": (shape, "f")}
    wanted |= dict.fromkeys(("terminated", "truncated", "first", "active"), (shape, "b"))
    for (name, *_), values in flatten(rows).items():
        if isinstance(values, dict) and name in (*_EMPTY, "said"):
            continue
        whole, kinds = wanted.get(name, (shape, "biufUS"))
        if (values.shape if name in wanted else values.shape[:2]) != whole or values.dtype.kind not in kinds:
            raise ValueError(f"its steps have {name!r} of shape {values.shape} and {values.dtype}")
