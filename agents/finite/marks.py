"""Going back to a state of an environment: by its snapshots, or by copies of it.

A *mark* is a state to go back to. Marks with equal keys are of one state: the environment keeps and shows the same in both, but for
clocks, random streams and pictures.
"""

from __future__ import annotations

import copy
import random
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from shapegym.agents.errors import TabulationError
from shapegym.agents.finite.inner_state import FIXED, InnerState
from shapegym.agents.finite.wrappers import name_of, require_transparent
from shapegym.envs.foreign.kinds import MINIGRID, kinds_of
from shapegym.envs.native import NativeEnv
from shapegym.envs.snapshot import Snapshot
from shapegym.shaping.errors import said_as

_PROBES, _PROBE_STEPS = 4, 12
"""Episodes and steps that show which numbers are clocks: they grow by the same amount in every step."""

_LEAST = 4
"""Steps without which nothing is called a clock."""


class Played(NamedTuple):
    """What an action led to; ``drawn``: random numbers were drawn."""

    obs: Any
    reward: float
    terminated: bool
    truncated: bool
    info: Mapping[str, Any]
    mark: Any
    drawn: bool


class Marks(ABC):
    """An environment that can be taken back to where it was.

    Attributes:
        env: the environment.
        captions: texts of events.
        action_names: what actions are called; empty where they have no names.
        columns_first: positions are (x, y) and not (row, column).
    """

    env: gym.Env
    captions: tuple[str, ...]
    action_names: tuple[str, ...]
    columns_first: bool

    @property
    def actions(self) -> range:
        """All of them."""
        space: Any = self.env.action_space
        return range(int(space.start), int(space.start + space.n))

    @abstractmethod
    def begin(self, seed: int) -> tuple[Any, Mapping[str, Any], Any]:
        """Begin an episode; returns the observation, the info and the mark."""

    @abstractmethod
    def play(self, mark: Any, action: int) -> Played:
        """Take an action where a mark was set."""

    @abstractmethod
    def key(self, mark: Any, obs: Any) -> bytes:
        """What all marks of a state share."""


def marks_of(env: gym.Env) -> Marks:
    """Return the way back for an environment.

    Raises:
        TabulationError: its actions are not discrete, it has no snapshots and cannot be copied, or a wrapper hinders snapshots.
    """
    if not isinstance(env.action_space, gym.spaces.Discrete):
        raise TabulationError(
            f"{name_of(env)} cannot be searched: that takes discrete actions, not {env.action_space}."
        )
    if isinstance(env.unwrapped, NativeEnv):
        require_transparent(env)  # snapshots know nothing of wrappers
        return _Snapshots(env.unwrapped)
    return _Copies(env)


class _Snapshots(Marks):
    def __init__(self, env: NativeEnv) -> None:
        self.env: NativeEnv = env
        self.captions, self.action_names = tuple(env.captions), env.dynamics.action_names
        self.columns_first = env.dynamics.grid_size is not None

    def begin(self, seed: int) -> tuple[Any, Mapping[str, Any], Snapshot]:
        obs, info = self.env.reset(seed=seed)
        return obs, info, self.env.snapshot()

    def play(self, mark: Snapshot, action: int) -> Played:
        self.env.restore(mark)
        told = self.env.step(action)
        after = self.env.snapshot()
        return Played(*told, after, _streams_in(after) != _streams_in(mark))

    def key(self, mark: Snapshot, obs: Any) -> bytes:
        del obs  # it follows from the state
        state = {name.removeprefix("state."): mark[name] for name in mark if name.startswith("state.")}
        kept = self.env.dynamics.timeless(state)
        return b"".join(kept[name].tobytes() for name in sorted(kept))


def _streams_in(snapshot: Snapshot) -> list[bytes]:
    return [snapshot[name].tobytes() for name in ("streams", "state.streams") if name in snapshot]


class _Copies(Marks):
    def __init__(self, env: gym.Env) -> None:
        self.env = env
        told = env.get_wrapper_attr("captions") if env.has_wrapper_attr("captions") else ()
        self.captions, self.action_names = tuple(told) or ("",), ()
        self.columns_first = MINIGRID in kinds_of(env)
        self._fixed = {id(each): each for each in _fixed_of(env)}
        self._clocks = self._find_clocks()

    def begin(self, seed: int) -> tuple[Any, Mapping[str, Any], gym.Env]:
        twin = self._copied(self.env)
        obs, info = twin.reset(seed=seed)
        return copy.deepcopy(obs), dict(info), twin

    def play(self, mark: gym.Env, action: int) -> Played:
        first = self._tried(mark, action)
        again = self._tried(mark, action)  # what draws where nobody looks shows in the outcome
        same = first.reward == again.reward and self.key(first.mark, first.obs) == self.key(
            again.mark, again.obs
        )
        return first if same else first._replace(drawn=True)

    def key(self, mark: gym.Env, obs: Any) -> bytes:
        state = InnerState(mark)
        state.read("obs", obs)
        return repr(
            sorted((place, repr(value)) for place, value in state.kept.items() if place not in self._clocks)
        ).encode()

    def _tried(self, mark: gym.Env, action: int) -> Played:
        twin = self._copied(mark)
        before = _streams_of(twin)
        obs, reward, terminated, truncated, info = twin.step(action)
        told = copy.deepcopy(obs), float(reward), bool(terminated), bool(truncated), dict(info)
        return Played(*told, twin, _streams_of(twin) != before)

    def _copied(self, env: gym.Env) -> gym.Env:
        causes = Exception  # windows, files and locks raise what they like
        with said_as(TabulationError, causes, f"{name_of(env)} cannot be searched, as it cannot be copied: "):
            return copy.deepcopy(env, dict(self._fixed))

    def _find_clocks(self) -> set[str]:
        """Numbers that grew by one and the same amount in every step."""
        growth: dict[str, set[float]] = defaultdict(set)
        rng, steps = np.random.default_rng(0), 0
        for seed in range(_PROBES):
            _, _, twin = self.begin(seed)
            before = InnerState(twin).numbers()
            for _ in range(_PROBE_STEPS):
                *_, terminated, truncated, _ = twin.step(int(rng.choice(self.actions)))
                after = InnerState(twin).numbers()
                for place in before.keys() | after.keys():
                    grown = after.get(place, np.nan) - before.get(place, np.nan)
                    growth[place].add(round(grown, 9))
                before, steps = after, steps + 1
                if terminated or truncated:
                    break
        return {place for place, by in growth.items() if len(by) == 1 and by != {0.0} and steps >= _LEAST}


def _fixed_of(env: gym.Env) -> list[Any]:
    """Spaces, specs and the like, which copies may share."""
    found = [value for value in vars(env.unwrapped).values() if isinstance(value, FIXED)]
    while isinstance(env, gym.Wrapper):
        found += [value for value in vars(env).values() if isinstance(value, FIXED)]
        env = env.env
    return found


def _streams_of(env: gym.Env) -> str:
    """Where all random streams are that a step might draw from, those of the process included."""
    return repr((InnerState(env).streams, random.getstate(), np.random.get_state()))  # noqa: NPY002
