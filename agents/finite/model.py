"""What is known exactly of an environment: its finite task, and what an agent sees and is told in each state of it.

Tables come from the tasks of shapegym.envs, from the model that an environment carries (``unwrapped.P``), or from a function that
was registered for its id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import Space
from numpy.typing import NDArray

from shapegym.agents.errors import TabulationError
from shapegym.envs.finite_task import FiniteTask
from shapegym.envs.foreign.ready_features import adapt_features
from shapegym.envs.foreign.toy_tables import has_tables, read_tables
from shapegym.envs.native import dynamics_of
from shapegym.envs.outcomes import OutcomeError, Outcomes
from shapegym.shaping.errors import said_as

TRANSPARENT = frozenset(
    {
        "Autoreset",
        "FeatureAdapter",
        "HumanRendering",
        "Monitor",
        "OrderEnforcing",
        "PassiveEnvChecker",
        "RecordEpisodeStatistics",
        "RecordVideo",
        "RenderCollection",
        "TimeLimit",
    }
)
"""Wrappers that leave alone what a step shows and pays."""

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


def model_of(env: str | gym.Env) -> FiniteModel:
    """Return what is known exactly of an environment, or of an id.

    Raises:
        TabulationError: it is no finite task, its tables describe none, or a wrapper changes what a step shows or pays.
    """
    env = gym.make(env) if isinstance(env, str) else env
    name = env.spec.id if env.spec else str(env)
    dynamics = dynamics_of(env)
    told = _TOLD.get(name)
    if (dynamics is None or dynamics.finite is None) and told is None and not has_tables(env):
        raise TabulationError(
            f"{name} is no finite task: it is none of shapegym.envs, carries no tables (unwrapped.P), and none were registered "
            "(register_tables)."
        )
    _require_transparent(env, name)
    if dynamics is not None and dynamics.finite is not None:
        model = FiniteModel(
            dynamics.finite,
            dynamics.observe_states(),
            dynamics.states_of,
            env.observation_space,
            env.action_space,
            dynamics.declared,
            dynamics.action_names,
        )
    else:
        with suppress(TypeError):  # no ready set of features knows it
            env = adapt_features(env)
        with said_as(TabulationError, OutcomeError, "", ""):
            tables = read_tables(env, None if told is None else told(env.unwrapped))
        model = FiniteModel(
            tables.task,
            tables.origin,
            _numbers,
            env.observation_space,
            env.action_space,
            env.get_wrapper_attr("features") if env.has_wrapper_attr("features") else {},
            tables.action_names,
            tables.notes,
        )
    if (size := model.task.n_states**2 * model.task.n_actions) > _MOST_NUMBERS:
        raise TabulationError(
            f"{name} has {model.task.n_states:,} states: a table of them would hold {size:.1e} numbers, and at most "
            f"{_MOST_NUMBERS:.1e} are taken. Audit a smaller form of the task, or rollouts."
        )
    return model


def _numbers(observations: Any) -> NDArray[np.int64]:
    return np.asarray(observations, dtype=np.int64)


def _require_transparent(env: gym.Env, name: str) -> None:
    """Check that no wrapper changes what a step shows or pays.

    Raises:
        TabulationError: one may.
    """
    while isinstance(env, gym.Wrapper):
        if (wrapper := type(env).__name__) not in TRANSPARENT:
            raise TabulationError(
                f"{name} in {wrapper}: the wrapper may show other observations, take other actions or pay other rewards than the "
                "task's tables say. Tabulate the task without that wrapper."
            )
        env = env.env
