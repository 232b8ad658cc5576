"""What flows through an expression: transitions, the episodes they belong to, and what an expression is bound to.

Notation used throughout: B lanes (environments of a batch), T steps of a block; a transition at step t goes from ``obs`` (s_t) by
``action`` (a_t) to ``next_obs`` (s_{t+1}). All parts and rewards are float64.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias

import gymnasium as gym
import numpy as np

from shapegym.shaping.errors import WorldError
from shapegym.shaping.limits import Fraction, Seed, checked

Array: TypeAlias = Any
"""A NumPy array, or, inside combinators, anything that shares its operations (a torch tensor)."""

Observation: TypeAlias = Any
"""An array (B, ...) or, for Dict spaces, a dict of such arrays."""

Features: TypeAlias = Mapping[str, np.ndarray]
"""Named measurements of a state, each (B, ...): agent position, success, caption id, privileged state, ..."""

State: TypeAlias = dict[str, Any]
"""What a term remembers: NumPy arrays, numbers, strings, or nested dicts of them. Saved as it is, without pickle."""


LOG_PROB = "<log_prob>"
"""Key of the log-probability of a_t under the policy that chose it, (B,), among ``next_features``, where a node reads it
(`Reader.reads_policy`) and the surface knows it; no feature has such a name."""


@dataclass(slots=True)
class Transitions:
    """One transition of each of B lanes, as arrays with a leading lane axis.

    Surfaces reuse the instance and its arrays from step to step: a term that keeps something copies it.

    Attributes:
        obs: s_t, (B, ...) or a dict of such.
        action: a_t as the environment got it, (B, ...).
        next_obs: s_{t+1}, always the true successor, never the first observation of the next episode.
        reward: the task reward, untouched, (B,) float64.
        terminated: s_{t+1} is terminal, (B,) bool. Its value is zero by definition.
        truncated: the episode was cut at s_{t+1}, which is an ordinary state, (B,) bool.
        first: t is the first step of its episode, (B,) bool. Episodic state starts anew here: reset by data, not by a hook.
        active: False marks a row that is no transition (the reset row of NEXT_STEP autoreset), (B,) bool.
        features: features of s_t that the environment gave, name -> (B, ...).
        next_features: features of s_{t+1} and the events of the step, name -> (B, ...).
        clock: how many transitions the run had made before this batch (the global step).
    """

    obs: Observation
    action: np.ndarray
    next_obs: Observation
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    first: np.ndarray
    active: np.ndarray
    features: Features = field(default_factory=dict)
    next_features: Features = field(default_factory=dict)
    clock: int = 0

    @property
    def num_lanes(self) -> int:
        """B."""
        return len(self.reward)

    @property
    def after(self) -> tuple[Observation, Features]:
        """What selectors and state functions read when they look back on the step: s_{t+1}, its features, the step itself."""
        return self.next_obs, OfStep(self)


class OfStep(Mapping[str, np.ndarray]):
    """The features after a step, and what describes the step itself: its action, how it ended."""

    __slots__ = ("_transitions",)

    def __init__(self, transitions: Transitions) -> None:
        self._transitions = transitions

    def __getitem__(self, name: str) -> np.ndarray:
        return self._transitions.next_features[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._transitions.next_features)

    def __len__(self) -> int:
        return len(self._transitions.next_features)

    def of_step(self, name: str) -> Any:
        """Return "action" (B, ...) or a tree of such; or how the episode ended, (B,) bool.

        That is "terminated", "truncated" (and not terminated: SB3 does not tell whether both are true) or "ended" (either).
        """
        steps = self._transitions
        if name == "truncated":
            return steps.truncated & ~steps.terminated
        return steps.terminated | steps.truncated if name == "ended" else getattr(steps, name)


@dataclass(frozen=True, slots=True)
class Spec:
    """What an expression is bound to.

    Attributes:
        num_lanes: B.
        observation_space: of one lane.
        action_space: of one lane.
        features: spaces of the features that the environment declares, or None when it declares nothing (names are then
            checked against the first infos).
        gamma: the agent's discount, or None when unknown.
        seed: of every random choice that terms and models make.
        agents: the name of each lane's agent where several share a world (PettingZoo), else none.
        worlds: the world of each lane, a number; none where every lane is a world of its own.

    Raises:
        ExpressionError: if seed or gamma is no such number.
        WorldError: if there are not as many agents or worlds as lanes.
    """

    num_lanes: int
    observation_space: gym.Space
    action_space: gym.Space
    features: Mapping[str, gym.Space] | None = None
    gamma: float | None = None
    seed: int = 0
    agents: tuple[str, ...] = ()
    worlds: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", checked("seed", Seed, self.seed))
        object.__setattr__(self, "gamma", checked("gamma", Fraction | None, self.gamma))
        for key in ("agents", "worlds"):
            values = getattr(self, key)
            if values and len(values) != self.num_lanes:
                raise WorldError(
                    f"Spec: {key} has {len(values)} entries for {self.num_lanes} lane(s): give one a lane, or none."
                )

    @property
    def world_of_lane(self) -> np.ndarray:
        """The world of each lane as numbers from 0, (B,) int64."""
        if not self.worlds:
            return np.arange(self.num_lanes)
        return np.unique(self.worlds, return_inverse=True)[1].astype(np.int64)


@dataclass(slots=True)
class Episodes:
    """Which steps of a (T, B) block belong to which episode.

    Attributes:
        first: the step starts an episode, (T, B) bool.
        terminated: the step ends its episode in a terminal state, (T, B) bool.
        truncated: the step ends its episode otherwise, (T, B) bool.
        active: the step is a transition, (T, B) bool.

    A lane whose first step in the block is not ``first`` continues an episode that began earlier: an episode *fragment*. What
    the earlier fragments left is in the combinator's own carry.
    """

    first: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    active: np.ndarray

    @property
    def last(self) -> np.ndarray:
        """The step ends its episode, (T, B) bool."""
        return self.terminated | self.truncated

    def at(self, t: int) -> Episodes:
        """Return step ``t`` alone; its arrays are (B,)."""
        return Episodes(self.first[t], self.terminated[t], self.truncated[t], self.active[t])


@dataclass(frozen=True, slots=True)
class Experience:
    """What happened since the last fit: T steps of B lanes in order of time, or whole episodes side by side.

    Attributes:
        steps: transitions whose arrays have two leading axes, (T, B, ...).
        clocks: global step of each step, (T,).
    """

    steps: Transitions
    clocks: np.ndarray

    @property
    def episodes(self) -> Episodes:
        """Which steps belong to which episode, (T, B)."""
        steps = self.steps
        return Episodes(steps.first, steps.terminated, steps.truncated, steps.active)

    def rows(self) -> Transitions:
        """Return the transitions as a batch of M rows, step after step, without the rows that are none."""
        steps = self.steps
        arrays = {
            item.name: getattr(steps, item.name) for item in fields(Transitions) if item.name != "clock"
        }
        return Transitions(**{name: self.flat(values) for name, values in arrays.items()}, clock=steps.clock)

    def flat(self, values: Any) -> Any:
        """Return arrays (T, B, ...), such as an input of `Model.fit`, as the rows (M, ...) that `rows` returns.

        Rows are views where none is left out: they are read only.
        """
        if isinstance(values, Mapping):
            return {name: self.flat(entry) for name, entry in values.items()}
        if isinstance(values, tuple):
            return tuple(map(self.flat, values))
        active = self.steps.active
        return values.reshape(active.size, *values.shape[2:]) if active.all() else values[active]
