"""Steps of a task of ours from any states, many at a time, without a clock: what a search tries."""

from __future__ import annotations

from itertools import product
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from shapegym.envs.dynamics import Dynamics, State, StepOutcome

Array = NDArray[Any]

_PROBE_LANES, _PROBE_STEPS, _HELD = 64, 200, 12
"""Episodes of random actions, each held for some steps, from which the range of real numbers is told."""

_BINS = {1: 200, 2: 100, 3: 20, 4: 12}
"""Into how many bins the range of a real number is cut, by how many of them vary."""


class Tried(NamedTuple):
    """What steps from B states led to: states, features, and what the task says, (B, ...) each."""

    state: State
    features: dict[str, Array]
    reward: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    success: NDArray[np.bool_]


class Trials:
    """A task that is stepped from states which are given.

    Attributes:
        dynamics: the task.
        actions: what is tried, (A,) or (A, n): of a Box the ends and the middle of each axis.
        widths: of the bins of real numbers in states; None where states are exact.
    """

    def __init__(self, dynamics: Dynamics, seed: int = 0) -> None:
        """Prepare a task; ``seed`` is of the episodes that show how large its real numbers get."""
        self.dynamics, self._rng = dynamics, np.random.default_rng(seed)
        space = dynamics.action_space
        if isinstance(space, spaces.Discrete):
            self.actions: Array = np.arange(space.start, space.start + space.n, dtype=np.int64)
        else:
            ends = [(low, (low + high) / 2, high) for low, high in zip(space.low, space.high, strict=True)]  # type: ignore[attr-defined]
            self.actions = np.array(list(product(*ends)), space.dtype)
        self.widths: Array | None = None
        exact = all(values.dtype.kind != "f" for values in dynamics.timeless(dynamics.allocate(1)).values())
        if not exact:
            self.widths = self._measure_widths(seed)

    def begin(self, seeds: range) -> State:
        """The states in which episodes of these seeds start."""
        lanes = len(seeds)
        state = self.dynamics.allocate(lanes)
        for lane, seed in enumerate(seeds):
            self.dynamics.seed(state, lane, seed)
        noise = np.stack([np.random.default_rng(seed).random(self.dynamics.reset_draws) for seed in seeds])
        self.dynamics.reset(state, noise, np.ones(lanes, np.bool_))
        return state

    def step(self, state: State, actions: Array) -> Tried:
        """Take an action in each state; the states given stay as they are."""
        lanes = len(actions)
        after = {name: values.copy() for name, values in state.items()}
        outcome, active = StepOutcome.empty(lanes), np.ones(lanes, np.bool_)
        noise = self._rng.random((lanes, self.dynamics.step_draws))
        self.dynamics.step(after, np.ascontiguousarray(actions), noise, active, outcome)
        told = {"success": outcome.success, "event": outcome.event}
        return Tried(
            after, {**self.measure(after), **told}, outcome.reward, outcome.terminated, outcome.success
        )

    def measure(self, state: State) -> dict[str, Array]:
        """The features of states; nothing has happened in them."""
        lanes = len(next(iter(state.values())))
        found = {
            name: np.zeros((lanes, *(space.shape or ())), space.dtype)
            for name, space in self.dynamics.features.items()
        }
        self.dynamics.measure(state, found, np.ones(lanes, np.bool_))
        return {**found, "success": np.zeros(lanes, np.bool_), "event": np.zeros(lanes, np.int64)}

    def keys(self, state: State) -> list[bytes]:
        """What equal states share: all of them but clocks; real numbers by their bins."""
        kept = self.dynamics.timeless(state)
        if not len(next(iter(kept.values()))):
            return []
        rows = [values.reshape(len(values), -1) for values in kept.values()]
        if self.widths is not None:
            reals = np.concatenate([row for row in rows if row.dtype.kind == "f"], axis=1)
            rows = [row for row in rows if row.dtype.kind != "f"]
            rows.append(np.floor(reals / self.widths).astype(np.int64))
        parts = [np.ascontiguousarray(row).view(np.uint8) for row in rows]
        return [row.tobytes() for row in np.concatenate(parts, axis=1)]

    def _measure_widths(self, seed: int) -> Array:
        state = self.begin(range(seed, seed + _PROBE_LANES))
        low = high = None
        for step in range(_PROBE_STEPS):
            if step % _HELD == 0:
                actions = self.actions[self._rng.integers(len(self.actions), size=_PROBE_LANES)]
            tried = self.step(state, actions)
            state = {
                name: np.where(_fits(tried.terminated, values), state[name], values)
                for name, values in tried.state.items()
            }
            reals = np.concatenate(
                [
                    v.reshape(_PROBE_LANES, -1)
                    for v in self.dynamics.timeless(state).values()
                    if v.dtype.kind == "f"
                ],
                axis=1,
            )
            low = reals.min(axis=0) if low is None else np.minimum(low, reals.min(axis=0))
            high = reals.max(axis=0) if high is None else np.maximum(high, reals.max(axis=0))
        assert low is not None and high is not None  # noqa: S101, PT018  # there was a step
        span = high - low
        varying = int((span > 0).sum())
        return np.where(span > 0, span / _BINS.get(varying, 8), np.inf)


def _fits(mask: Array, values: Array) -> Array:
    return mask.reshape(-1, *(1,) * (values.ndim - 1))
