"""Any `FiniteTask` as the shell's `Dynamics`."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from gymnasium import Space, spaces
from gymnasium.vector.utils import create_empty_array
from numpy.typing import NDArray

from shapegym.envs.dynamics import State, StepOutcome
from shapegym.envs.finite_task import FiniteTask
from shapegym.envs.notes import Note
from shapegym.envs.pictures.board import Board
from shapegym.envs.pictures.canvas import Canvas
from shapegym.envs.pictures.drawn import Drawn
from shapegym.envs.tabular._stepper import one_hot_lanes, reset_lanes, step_lanes
from shapegym.envs.tabular.solver import optimal_return, random_return
from shapegym.texts import encode, longest, text_space

Observation = Literal["one_hot", "coordinates", "index"]

_TEXTS = {
    "caption": Note("What happened in the step, as a sentence (UTF-8, zeros behind it).", oracle=True),
    "mission": Note("What the agent is to do, as a sentence (UTF-8, zeros behind it)."),
}
"""Features on request."""


class FiniteDynamics(Drawn):
    """Plays a finite task.

    Args:
        task: The task.
        observation: What the agent sees of state s.
            "one_hot" (the tasks' default): Box (S,) float32, the unit vector of s. A network on it
            generalises nothing, so what is learned shows what the reward does, and every agent of
            Stable-Baselines3 takes it. "coordinates": Box (D,) float32 in [0, 1], the task's compact
            description of s; for large tasks. "index": Discrete(S), s itself; for tables.
        features: Texts to report beside the task's features: "caption", the caption of the step's event, and
            "mission", the task's aim; "all" for both.

    Raises:
        ValueError: Unknown observation or feature.
    """

    def __init__(
        self, task: FiniteTask, observation: Observation = "one_hot", features: str | Sequence[str] = ()
    ) -> None:
        self.task = self.finite = task
        self.observation = observation
        if observation == "one_hot":
            self.observation_space = spaces.Box(0.0, 1.0, (task.n_states,), np.float32)
        elif observation == "coordinates":
            self.observation_space = spaces.Box(0.0, 1.0, task.coordinates.shape[1:], np.float32)
        elif observation == "index":
            self.observation_space = spaces.Discrete(task.n_states)
        else:
            raise ValueError(f"observation must be one of {get_args(Observation)}, got {observation!r}")
        self.action_space = spaces.Discrete(task.n_actions)
        self._texts = _rows_of_texts(task, features)
        self.features = {
            "state": spaces.Discrete(task.n_states),
            **{name: feature_space(table) for name, table in task.features.items()},
            **{name: text_space(rows.shape[1]) for name, rows in self._texts.items()},
        }
        self.texts = tuple(self._texts)
        self.aim = task.aim
        self.notes = {
            "state": Note(
                "The number of the state in the task's tables, which stands for all other features.",
                oracle=bool(task.features),
            ),
            **task.notes,
            **{name: _TEXTS[name] for name in self._texts},
        }
        self.captions = task.captions
        self.max_steps = task.max_steps
        self.deadline = task.deadline
        self.reset_draws = int(task.start.max() < 1.0)
        self.step_draws = int(task.next_state.shape[2] > 1)
        told = ", with captions" if "caption" in self._texts else ""
        self.fingerprint = f"{task.name}#{_digest(task):08x}{told}"
        # The kernel's copies are writable: Numba would compile read-only arrays as another type.
        self._start_cumulative = _cumulative(task.start)
        self._tables = (
            task.next_state.copy(),
            _cumulative(task.probability),
            task.reward.copy(),
            task.success.copy(),
            task.event.copy(),
            task.terminal.copy(),
        )

    @classmethod
    def reports_on_request(cls, feature: str) -> bool:
        """Whether it is a text."""
        return feature in _TEXTS

    def exact_returns(self) -> tuple[float, float]:
        """By the solver."""
        return optimal_return(self.task), random_return(self.task)

    def allocate(self, lanes: int) -> State:
        """The state is the index s, and with captions the event that led there."""
        names = ("state", "event") if "caption" in self._texts else ("state",)
        return {name: np.zeros(lanes, np.int64) for name in names}

    def reset(self, state: State, noise: NDArray[np.float64], mask: NDArray[np.bool_]) -> None:
        """Draw s_0 from the start distribution."""
        reset_lanes(state["state"], noise, mask, self._start_cumulative)
        if "event" in state:
            state["event"][mask] = 0

    def step(
        self,
        state: State,
        actions: NDArray[Any],
        noise: NDArray[np.float64],
        active: NDArray[np.bool_],
        outcome: StepOutcome,
    ) -> None:
        """Draw a branch of (s, a)."""
        step_lanes(
            state["state"],
            actions,
            noise,
            active,
            *self._tables,
            *outcome,
        )
        if "event" in state:
            np.copyto(state["event"], outcome.event, where=active)

    def observe(self, state: State, observation: Any, mask: NDArray[np.bool_]) -> None:
        """Encode s."""
        if self.observation == "one_hot":
            one_hot_lanes(state["state"], observation)
        elif self.observation == "coordinates":
            _rows(self.task.coordinates, state["state"], observation)
        else:
            observation[...] = state["state"]

    def measure(self, state: State, features: Mapping[str, NDArray[Any]], mask: NDArray[np.bool_]) -> None:
        """Look s up in the feature tables."""
        features["state"][...] = state["state"]
        for name, table in self.task.features.items():
            _rows(table, state["state"], features[name])
        for name, rows in self._texts.items():
            features[name][...] = rows[state["event"]] if name == "caption" else rows

    def timeless(self, state: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        """The index alone."""
        return {"state": state["state"]}

    def draw(self, lane: Mapping[str, NDArray[Any]]) -> Canvas:
        """The board of the state, from its features."""
        return self._board.draw(int(lane["state"]))

    @cached_property
    def _board(self) -> Board:
        return Board(self.task)

    def observe_states(self) -> NDArray[Any]:
        """Each state's row of what lanes in all of them would show."""
        everyone = np.ones(self.task.n_states, np.bool_)
        seen: Any = create_empty_array(self.observation_space, len(everyone), fn=np.zeros)
        self.observe({"state": np.arange(len(everyone))}, seen, everyone)
        return np.asarray(seen)

    def states_of(self, observations: Any) -> NDArray[np.int64]:
        """The inverse of `observe_states`."""
        if self.observation == "index":
            return np.asarray(observations, dtype=np.int64)
        if self.observation == "one_hot":
            return np.asarray(observations).argmax(axis=1)
        rows = np.ascontiguousarray(observations, dtype=np.float32)
        return np.array([self._state_at[row.tobytes()] for row in rows], dtype=np.int64)

    @cached_property
    def _state_at(self) -> dict[bytes, int]:
        return {row.tobytes(): state for state, row in enumerate(self.task.coordinates)}


def feature_space(table: NDArray[Any]) -> Space[Any]:
    """Space of a row of a feature table (S, ...): Discrete for integer scalars, else the Box of its values.

    Raises:
        ValueError: The table is not bool, int64 or float64, or holds negative integer scalars.
    """
    if table.dtype == np.bool_:
        return spaces.Box(0, 1, table.shape[1:], np.bool_)
    if table.dtype == np.int64 and table.ndim == 1 and table.min() >= 0:
        return spaces.Discrete(int(table.max()) + 1)
    if table.dtype == np.float64 or (table.dtype == np.int64 and table.ndim > 1):
        return spaces.Box(table.min(axis=0), table.max(axis=0), table.shape[1:], table.dtype.type)
    raise ValueError(f"a feature table must be bool, int64 (scalars from 0 on) or float64, got {table.dtype}")


def _rows_of_texts(task: FiniteTask, features: str | Sequence[str]) -> dict[str, NDArray[np.uint8]]:
    """Rows of bytes of the texts that were asked for: a caption for every event id, and the one mission."""
    names = (features,) if isinstance(features, str) else tuple(features)
    names = tuple(_TEXTS) if names == ("all",) else names
    if unknown := sorted({*names} - {*_TEXTS}):
        raise ValueError(f"{task.name}: unknown features {unknown}; on request there are {sorted(_TEXTS)}")
    texts = {"caption": task.captions, "mission": (task.aim,)}
    return {name: encode(texts[name], longest(texts[name])) for name in names}


def _rows(table: NDArray[Any], index: NDArray[np.int64], out: NDArray[Any]) -> None:
    # mode="clip" lets NumPy write into `out` without a buffer; the indices are valid by construction.
    np.take(table, index, axis=0, out=out, mode="clip")


def _cumulative(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """CDF over the last axis that ends at exactly 1, also where the last probabilities are 0."""
    cumulative = np.cumsum(probability, axis=-1)
    return cumulative / cumulative[..., -1:]


def _digest(task: FiniteTask) -> int:
    crc = task.max_steps | task.deadline << 31
    for array in (task.next_state, task.probability, task.reward, task.terminal, task.start):
        crc = zlib.crc32(np.ascontiguousarray(array).data, crc)
    return crc
