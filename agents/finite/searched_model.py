"""The finite task of an environment that carries no tables and leaves nothing to chance, by a search that sees all of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from shapegym.agents.errors import TabulationError
from shapegym.agents.finite.marks import Marks, marks_of
from shapegym.agents.finite.search import Searched, search
from shapegym.agents.finite.wrappers import name_of
from shapegym.envs.finite_task import FiniteTask
from shapegym.envs.foreign.toy_tables import ENDLESS, time_limit
from shapegym.envs.outcomes import finite_task, with_features
from shapegym.shaping.arrays import stack_members

_STARTS = 50
"""Episodes that are begun to see where they start."""


def search_task(
    env: gym.Env, states: int
) -> tuple[FiniteTask, NDArray[Any], tuple[str, ...], tuple[str, ...]]:
    """Return the task of an environment, what agents see of its states, names of actions, and notes.

    Args:
        env: with discrete actions; it has snapshots or can be copied.
        states: that are searched at most.

    Raises:
        TabulationError: it cannot be searched, the search did not see all of it, or its steps draw random numbers.
    """
    marks = marks_of(env)
    if isinstance(
        env.observation_space,
        gym.spaces.Dict | gym.spaces.Tuple | gym.spaces.Text | gym.spaces.Sequence | gym.spaces.Graph,
    ):
        raise TabulationError(
            f"{name_of(env)} shows {env.observation_space}; tables take observations that are one array."
        )
    found = search(marks, states, starts=_STARTS, chance=False)
    if found.flaw:
        raise TabulationError(f"A search does not tell all of {name_of(env)}: {found.flaw}.")
    seen = np.asarray(stack_members(env.observation_space, [obs for obs, _ in found.seen]))
    notes = [f"Searched: all of {len(found.seen)} states."]
    if len(found.starts) > 1:
        notes.append(f"Where episodes start was seen in {_STARTS} of them.")
    task = _task(name_of(env), marks, found, time_limit(env) or ENDLESS)
    return with_features(task, _features(env, found)), seen, marks.action_names, tuple(notes)


def _task(name: str, marks: Marks, found: Searched, limit: int) -> FiniteTask:
    edges = {(edge.source, edge.action): edge for edge in found.edges}

    def outcomes(state: int, action: int) -> list[tuple[float, int, float, bool]]:
        edge = edges[state, marks.actions[action]]
        return [(1.0, edge.target, edge.reward, edge.terminated)]

    def tell(state: int, action: int, outcome: Any) -> tuple[bool, int]:
        info = edges[state, marks.actions[action]].info
        solved = info.get("success", info.get("is_success", outcome.terminated and outcome.reward > 0))
        return bool(solved), int(info.get("event", 0))

    return finite_task(
        name,
        outcomes,
        actions=len(marks.actions),
        start={state: count / _STARTS for state, count in found.starts.items()},
        states=range(len(found.seen)),
        captions=marks.captions,
        tell=tell,
        max_steps=limit,
    )


def _features(env: gym.Env, found: Searched) -> Mapping[str, NDArray[Any]]:
    """Features of states, by their infos; those of steps are told by the edges."""
    declared = env.get_wrapper_attr("features") if env.has_wrapper_attr("features") else {}
    return {
        name: np.array([info[name] for _, info in found.seen], space.dtype)
        for name, space in declared.items()
        if name not in ("success", "event") and all(name in info for _, info in found.seen)
    }
