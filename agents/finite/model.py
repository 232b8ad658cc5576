"""What is known exactly of an environment: its finite task, and what an agent sees and is told in each state of it.

Tables come from the tasks of shapegym.envs, from the model that an environment carries (``unwrapped.P``), or from a function that
was registered for its id; else from a search, where it sees all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import Space
from gymnasium.spaces import Discrete
from numpy.typing import NDArray

from shapegym.agents.errors import TabulationError
from shapegym.agents.finite.searched_model import search_task
from shapegym.agents.finite.wrappers import name_of, require_transparent
from shapegym.envs.dynamics import Dynamics
from shapegym.envs.finite_task import FiniteTask
from shapegym.envs.foreign.ready_features import adapt_features
from shapegym.envs.foreign.toy_tables import has_tables, read_tables
from shapegym.envs.native import dynamics_of
from shapegym.envs.outcomes import OutcomeError, Outcomes
from shapegym.shaping.errors import said_as
from shapegym.shaping.limits import Count, checked

_MOST_NUMBERS = 1 << 26
"""Entries of a dense table (S, A, S) at most; a dozen of them are at work at once."""

_TOLD: dict[str, Callable[[Any], Outcomes]] = {}


@dataclass(frozen=True, eq=False)
class FiniteModel:
    """A finite task as an environment shows it.

    Attributes:
        task: the task.
        seen: what the agent sees of each state, (S, ...).
        states_of: observations (B, ...) -> states (B,).
        observation_space: of the environment.
        action_space: of the environment.
        features: space of every feature that its infos hold.
        action_names: what actions are called; empty where they have no names.
        notes: what was taken for granted, in words.
    """

    task: FiniteTask
    seen: NDArray[Any]
    states_of: Callable[[Any], NDArray[np.int64]]
    observation_space: Space[Any]
    action_space: Space[Any]
    features: Mapping[str, Space[Any]]
    action_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def register_tables(env_id: str, outcomes: Callable[[Any], Outcomes]) -> None:
    """Say what may happen in an environment that carries no tables.

    Args:
        env_id: its id; observations and actions are numbers (Discrete).
        outcomes: called with the unwrapped environment; returns s -> a -> [(probability, s', reward, terminated)], as a table or a
            function of (s, a) (`shapegym.envs.outcomes`).
    """
    _TOLD[env_id] = outcomes


def model_of(env: str | gym.Env, states: int = 0) -> FiniteModel:
    """Return what is known exactly of an environment, or of an id.

    Args:
        env: the environment.
        states: that are searched at most, in an environment that carries no tables; 0 searches none.

    Raises:
        TabulationError: it is no finite task, its tables describe none, or a wrapper changes what a step shows or pays.
    """
    env = gym.make(env) if isinstance(env, str) else env
    dynamics, told = dynamics_of(env), _TOLD.get(name_of(env))
    if dynamics is not None and dynamics.finite is not None:
        require_transparent(env)
        model = _model_of_ours(env, dynamics, dynamics.finite)
    elif told is not None or has_tables(env):
        require_transparent(env)
        with suppress(TypeError):  # no ready set of features knows it
            env = adapt_features(env)
        with said_as(TabulationError, OutcomeError, "", ""):
            tables = read_tables(env, None if told is None else told(env.unwrapped))
        model = _model_of_others(env, tables.task, tables.origin, _numbers, tables.action_names, tables.notes)
    else:
        none = (
            f"{name_of(env)} is no finite task: it is none of shapegym.envs, carries no tables (unwrapped.P), and none were "
            "registered (register_tables)."
        )
        if not states:
            raise TabulationError(none)
        checked("states", Count, states, TabulationError)
        try:
            task, seen, names, notes = search_task(env, states)
        except TabulationError as error:
            raise TabulationError(f"{none} {error}") from error
        model = _model_of_others(env, task, seen, _Lookup(seen), names, notes)
    if (size := model.task.n_states**2 * model.task.n_actions) > _MOST_NUMBERS:
        raise TabulationError(
            f"{name_of(env)} has {model.task.n_states:,} states: a table of them would hold {size:.1e} numbers, and at most "
            f"{_MOST_NUMBERS:.1e} are taken. Audit a smaller form of the task, or rollouts."
        )
    return model


def first_action(space: Space[Any]) -> int:
    """The number of the first action, which tables have at 0."""
    return int(space.start) if isinstance(space, Discrete) else 0


def _model_of_ours(env: gym.Env, dynamics: Dynamics, task: FiniteTask) -> FiniteModel:
    return FiniteModel(
        task,
        dynamics.observe_states(),
        dynamics.states_of,
        env.observation_space,
        env.action_space,
        dynamics.declared,
        dynamics.action_names,
    )


def _model_of_others(
    env: gym.Env,
    task: FiniteTask,
    seen: NDArray[Any],
    states_of: Callable[[Any], NDArray[np.int64]],
    names: tuple[str, ...],
    notes: tuple[str, ...],
) -> FiniteModel:
    features = env.get_wrapper_attr("features") if env.has_wrapper_attr("features") else {}
    return FiniteModel(task, seen, states_of, env.observation_space, env.action_space, features, names, notes)


class _Lookup:
    """States by what is seen of them; of several that look alike, the first."""

    def __init__(self, seen: NDArray[Any]) -> None:
        self._dtype = seen.dtype
        self._state = {row.tobytes(): state for state, row in reversed(list(enumerate(seen)))}

    def __call__(self, observations: Any) -> NDArray[np.int64]:
        rows = np.ascontiguousarray(observations, dtype=self._dtype)
        return np.array([self._state[row.tobytes()] for row in rows], dtype=np.int64)


def _numbers(observations: Any) -> NDArray[np.int64]:
    return np.asarray(observations, dtype=np.int64)
