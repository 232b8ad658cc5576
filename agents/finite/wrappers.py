"""Wrappers that leave alone what a step shows and pays, and others."""

from __future__ import annotations

import gymnasium as gym

from shapegym.agents.errors import TabulationError

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
"""Names of wrappers that change neither observations, actions nor rewards."""


def require_transparent(env: gym.Env) -> None:
    """Check that no wrapper changes what a step shows or pays.

    Raises:
        TabulationError: one may.
    """
    name = name_of(env)
    while isinstance(env, gym.Wrapper):
        if (wrapper := type(env).__name__) not in TRANSPARENT:
            raise TabulationError(
                f"{name} in {wrapper}: the wrapper may show other observations, take other actions or pay other rewards than the "
                "task's tables say. Tabulate the task without that wrapper."
            )
        env = env.env


def name_of(env: gym.Env) -> str:
    """Return the environment's id, or what it prints as."""
    return env.spec.id if env.spec else str(env)
