"""A finite task as data: successor lists, start distribution, and what each state looks like.

A task is a function that fills a `FiniteTask`; one compiled stepper (`tabular/finite_dynamics.py`) runs every
task, and the exact solver (`tabular/solver.py`) reads the same arrays, so what is solved is what is played.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shapegym.envs.notes import Note


class Branch(NamedTuple):
    """One possible outcome of an action: s' with its probability, reward r(s, a, s'), success and event id."""

    next_state: int
    probability: float = 1.0
    reward: float = 0.0
    success: bool = False
    event: int = 0


@dataclass(frozen=True, eq=False)
class FiniteTask:
    """A finite Markov decision process with a time limit.

    It has S states, A actions and at most K branches of each (s, a). Terminal states are absorbing and pay
    nothing.

    Attributes:
        name: The task with its knobs, for error messages and reports.
        next_state: (S, A, K) int64, the successors.
        probability: (S, A, K) float64; sums to 1 over K.
        reward: (S, A, K) float64, the task reward of the branch.
        success: (S, A, K) bool, whether the branch solves the task.
        event: (S, A, K) int64, index into `captions`; 0 = nothing.
        terminal: (S,) bool.
        start: (S,) float64, the start distribution.
        captions: Text of each event id; the first is empty.
        coordinates: (S, D) float32 in [0, 1], the compact observation of each state.
        features: name -> (S, ...) array of bool, int64 or float64: what the environment reports in each
            state.
        max_steps: Steps after which an episode is truncated.
        deadline: Whether the time limit terminates the episode instead: nothing comes after it.
        aim: What the agent is to do, as in `Dynamics`.
        notes: What features mean, as in `Dynamics`.

    Raises:
        ValueError: The arrays do not fit together, or do not describe a Markov decision process.
    """

    name: str
    next_state: NDArray[np.int64]
    probability: NDArray[np.float64]
    reward: NDArray[np.float64]
    success: NDArray[np.bool_]
    event: NDArray[np.int64]
    terminal: NDArray[np.bool_]
    start: NDArray[np.float64]
    captions: tuple[str, ...]
    coordinates: NDArray[np.float32]
    features: Mapping[str, NDArray[Any]]
    max_steps: int
    deadline: bool = False
    aim: str = ""
    notes: Mapping[str, Note] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check once, here, so that compiled code can trust the arrays; then freeze them."""
        shape = self.next_state.shape
        if len(shape) != 3:
            raise ValueError(f"{self.name}: next_state must be (S, A, K), got shape {shape}")
        dtypes = {"next_state": np.int64, "probability": np.float64, "reward": np.float64}
        for name, dtype in {**dtypes, "success": np.bool_, "event": np.int64}.items():
            self._require(name, shape, dtype)
        self._require("terminal", shape[:1], np.bool_)
        self._require("start", shape[:1], np.float64)
        self._require("coordinates", (shape[0], *self.coordinates.shape[1:]), np.float32)
        for name, table in self.features.items():
            if len(table) != shape[0]:
                raise ValueError(f"{self.name}: feature {name!r} needs a row for each of {shape[0]} states")
        if self.next_state.min() < 0 or self.next_state.max() >= shape[0]:
            raise ValueError(f"{self.name}: a successor is not in 0 .. {shape[0] - 1}")
        if self.event.min() < 0 or self.event.max() >= len(self.captions):
            raise ValueError(f"{self.name}: an event has no caption")
        for name, rows in {"probability": self.probability, "start": self.start}.items():
            if not ((rows >= 0).all() and np.allclose(rows.sum(axis=-1), 1.0, rtol=0, atol=1e-12)):
                raise ValueError(f"{self.name}: {name} must be non-negative and sum to 1")
        own = np.arange(shape[0])[:, None, None]
        stays = (self.next_state == own) | (self.probability == 0)
        pays = (self.reward != 0) | self.success | (self.event != 0)
        if not stays[self.terminal].all() or pays[self.terminal].any():
            raise ValueError(f"{self.name}: terminal states must be absorbing, without reward or event")
        if self.start[self.terminal].any():
            raise ValueError(f"{self.name}: an episode must not start in a terminal state")
        if self.max_steps < 1:
            raise ValueError(f"{self.name}: max_steps must be at least 1, got {self.max_steps}")
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
        for table in self.features.values():
            table.setflags(write=False)

    def _require(self, name: str, shape: tuple[int, ...], dtype: Any) -> None:
        array = getattr(self, name)
        if array.shape != shape or array.dtype != dtype:
            raise ValueError(
                f"{self.name}: {name} must be {np.dtype(dtype)} of shape {shape}, "
                f"got {array.dtype} of shape {array.shape}"
            )

    @property
    def n_states(self) -> int:
        """S."""
        return self.next_state.shape[0]

    @property
    def n_actions(self) -> int:
        """A."""
        return self.next_state.shape[1]

    def tables(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Dense tables P (S, A, S) and R (S, A, S): P(s' | s, a) and E[r | s, a, s'] (0 where P is 0)."""
        shape = (self.n_states, self.n_actions, self.n_states)
        s, a, _ = np.indices(self.next_state.shape)
        transition, paid = np.zeros(shape), np.zeros(shape)
        np.add.at(transition, (s, a, self.next_state), self.probability)
        np.add.at(paid, (s, a, self.next_state), self.probability * self.reward)
        reward = np.divide(paid, transition, out=np.zeros(shape), where=transition > 0)
        return transition, reward

    @classmethod
    def from_branches(
        cls,
        name: str,
        branches: Callable[[int, int], Sequence[Branch]],
        *,
        n_actions: int,
        terminal: NDArray[np.bool_],
        start: NDArray[np.float64],
        captions: tuple[str, ...],
        coordinates: NDArray[np.floating[Any]],
        features: Mapping[str, NDArray[Any]],
        max_steps: int,
        deadline: bool = False,
        aim: str = "",
        notes: Mapping[str, Note] | None = None,
    ) -> FiniteTask:
        """Fill the arrays from a function (s, a) -> branches, which is asked about non-terminal states only.

        Branches of probability 0 are dropped. The other arguments are the attributes.

        Raises:
            ValueError: See the class.
        """
        n_states = len(terminal)
        cells = {
            (s, a): [branch for branch in branches(s, a) if branch.probability > 0]
            for s in range(n_states)
            if not terminal[s]
            for a in range(n_actions)
        }
        shape = (n_states, n_actions, max(map(len, cells.values()), default=1))
        next_state = np.broadcast_to(np.arange(n_states)[:, None, None], shape).copy()
        probability, reward = np.zeros(shape), np.zeros(shape)
        success, event = np.zeros(shape, np.bool_), np.zeros(shape, np.int64)
        probability[terminal, :, 0] = 1.0
        for (s, a), cell in cells.items():
            for k, branch in enumerate(cell):
                next_state[s, a, k] = branch.next_state
                probability[s, a, k] = branch.probability
                reward[s, a, k] = branch.reward
                success[s, a, k] = branch.success
                event[s, a, k] = branch.event
        return cls(
            name=name,
            next_state=next_state,
            probability=probability,
            reward=reward,
            success=success,
            event=event,
            terminal=terminal,
            start=start,
            captions=captions,
            coordinates=coordinates.astype(np.float32),
            features=features,
            max_steps=max_steps,
            deadline=deadline,
            aim=aim,
            notes=notes or {},
        )


def point_mass(index: int, size: int) -> NDArray[np.float64]:
    """The distribution (size,) that is certain of `index`."""
    mass = np.zeros(size)
    mass[index] = 1.0
    return mass
