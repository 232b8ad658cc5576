"""The exact model that an environment of somebody else's carries: ``unwrapped.P``, as Gymnasium's toy texts have it.

``P[s][a]`` is a list of (probability, s', reward, terminated). It is compared with what is played before it is believed.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Discrete
from numpy.typing import NDArray

from shapegym.envs.finite_task import FiniteTask
from shapegym.envs.foreign.feature_adapter import Extractor, Moment, extractors_of
from shapegym.envs.foreign.kinds import kinds_of
from shapegym.envs.outcomes import Outcome, OutcomeError, Outcomes, read_outcomes, with_features

_PROBE = 500
"""Steps that are played to see whether the tables are the environment's."""

_STARTS = 200
"""Episodes that are begun to see where they start, where the environment does not say."""

ENDLESS = 10_000
"""Steps of an episode that is never cut."""

_ACTIONS = {
    "gymnasium.envs.toy_text.frozen_lake.FrozenLakeEnv": ("left", "down", "right", "up"),
    "gymnasium.envs.toy_text.cliffwalking.CliffWalkingEnv": ("up", "right", "down", "left"),
    "gymnasium.envs.toy_text.taxi.TaxiEnv": ("south", "north", "east", "west", "pick up", "put down"),
}


@dataclass(frozen=True, eq=False)
class ToyTables:
    """What the tables of an environment say.

    Attributes:
        task: as data; behind the S states of the environment come those in which an episode ends and also goes on.
        origin: (S,), which state of the environment each is, and so what the agent sees.
        action_names: what actions are called; empty where they have no names.
        notes: what was taken for granted.
    """

    task: FiniteTask
    origin: NDArray[np.int64]
    action_names: tuple[str, ...]
    notes: tuple[str, ...]


def has_tables(env: gym.Env[Any, Any]) -> bool:
    """Whether an environment carries tables of that form; its other attributes may be called P too."""
    return isinstance(getattr(env.unwrapped, "P", None), Mapping | list | tuple)


def read_tables(env: gym.Env[Any, Any], outcomes: Outcomes | None = None) -> ToyTables:
    """Return the tables of an environment, with the features that its adapter reads.

    Args:
        env: with discrete actions, whose observation is the number of the state; in wrappers that change neither.
        outcomes: its tables, where it does not carry them.

    Raises:
        OutcomeError: the tables describe no task, or another one than is played.
    """
    native: Any = env.unwrapped
    name = env.spec.id if env.spec else type(native).__name__
    table = native.P if outcomes is None else outcomes
    shown, action_space = native.observation_space, native.action_space
    if not (isinstance(shown, Discrete) and isinstance(action_space, Discrete)):
        raise OutcomeError(
            f"{name} has tables, but it shows {shown} and takes {action_space}: numbers of states and actions are needed, "
            "both Discrete."
        )
    if action_space.start != 0 or shown.start != 0:
        raise OutcomeError(f"{name}: states and actions of tables are numbered from 0.")
    if getattr(native, "fickle_passenger", False):
        raise OutcomeError(
            f"{name}: a fickle passenger changes the destination on the way, which P leaves out."
        )
    start, notes = _start(native, int(shown.n))
    limit = time_limit(env)
    if limit is None:
        notes += (f"Episodes have no time limit; shares are of episodes of at most {ENDLESS:,} steps.",)
    reading = _Reading(native, extractors_of(env))
    task, origin = read_outcomes(
        name,
        table,
        range(int(shown.n)),
        int(action_space.n),
        start,
        tell=reading.tell,
        captions=reading.captions,
        max_steps=limit or ENDLESS,
    )
    if not _as_played(native, task, origin, name):
        notes += (
            "The tables could not be compared with what is played, as the environment cannot be copied.",
        )
    names = next((_ACTIONS[kind] for kind in kinds_of(env) if kind in _ACTIONS), ())
    return ToyTables(with_features(task, reading.of_states(origin)), origin, names, notes)


def time_limit(env: gym.Env[Any, Any]) -> int | None:
    """Steps after which a wrapper of the environment cuts episodes; None for never."""
    if env.spec is not None:
        return env.spec.max_episode_steps
    while isinstance(env, gym.Wrapper):
        if isinstance(env, gym.wrappers.TimeLimit):
            return env._max_episode_steps
        env = env.env
    return None


class _Reading:
    """Reads features of states and steps, without playing them: extractors look at the state's number alone."""

    def __init__(self, native: Any, extractors: Mapping[str, Extractor]) -> None:
        self._native, self._extractors = native, extractors
        self._states: dict[int, dict[str, Any]] = {}
        self.captions = next((each.captions for each in extractors.values() if each.captions), ("",))

    def tell(self, state: int, action: int, outcome: Outcome) -> tuple[bool, int]:
        """Whether a step solves the task, and its event."""
        told = self._read(outcome.next_state, action, outcome, self._of(state))
        return bool(told.get("success", outcome.terminated and outcome.reward > 0)), int(told.get("event", 0))

    def of_states(self, origin: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Name -> (S, ...)."""
        return {
            name: np.array([self._of(state)[name] for state in origin.tolist()], extractor.space.dtype)
            for name, extractor in self._extractors.items()
            if name not in ("success", "event")
        }

    def _of(self, state: int) -> dict[str, Any]:
        if state not in self._states:
            self._states[state] = self._read(state, None, Outcome(1.0, state, 0.0, False), None)
        return self._states[state]

    def _read(
        self, state: int, action: int | None, outcome: Outcome, before: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        there = copy.copy(self._native)
        there.s = state
        moment = Moment(there, state, action, outcome.reward, outcome.terminated, False, before)
        for name, extractor in self._extractors.items():
            moment.now[name] = extractor(moment)
        return moment.now


def _start(native: Any, states: int) -> tuple[dict[int, float], tuple[str, ...]]:
    """The start distribution, as the environment tells it or as it turns out."""
    for name in ("initial_state_distrib", "isd"):
        if (told := getattr(native, name, None)) is not None:
            return {s: float(p) for s, p in enumerate(told) if p != 0}, ()
    twin = copy.deepcopy(native)
    seen = np.bincount([int(twin.reset(seed=seed)[0]) for seed in range(_STARTS)], minlength=states)
    note = f"Where episodes start was seen in {_STARTS} of them."
    found = {int(s): seen[s] / _STARTS for s in np.flatnonzero(seen)}
    return found, () if len(found) == 1 else (note,)


def _as_played(native: Any, task: FiniteTask, origin: NDArray[np.int64], name: str) -> bool:
    """Whether it was compared; what is played on a copy must stand in the tables.

    Raises:
        OutcomeError: it does not.
    """
    try:
        twin = copy.deepcopy(native)
    except Exception:  # windows, files and locks raise what they like
        return False
    rng = np.random.default_rng(0)
    state = int(twin.reset(seed=0)[0])
    for _ in range(_PROBE):
        action = int(rng.integers(task.n_actions))
        obs, reward, terminated, truncated, _ = twin.step(action)
        ways = task.next_state[state, action], task.probability[state, action], task.reward[state, action]
        known = any(
            origin[s] == obs
            and bool(task.terminal[s]) == terminated
            and abs(paid - reward) <= 1e-9 * (1 + abs(paid))
            for s, p, paid in zip(*ways, strict=True)
            if p > 0
        )
        if not known:
            raise OutcomeError(
                f"{name}: in state {state}, action {action} led to state {obs} with reward {reward:.6g}"
                f"{' and ended the episode' * bool(terminated)}, which its tables do not know. "
                "They are not those of what is played."
            )
        state = int(twin.reset()[0]) if terminated or truncated else int(obs)
    return True
