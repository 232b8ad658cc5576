"""Checks of what an environment is made with: its time limit and its render mode."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.wrappers import TimeLimit

from shapegym.envs.dynamics import Dynamics

_ENDLESS = np.iinfo(np.int64).max


def episode_limit(dynamics: Dynamics, asked: int | None) -> int:
    """Steps after which episodes are truncated.

    Raises:
        ValueError: No limit, or a longer one than rewards allow.
    """
    if asked is not None and (
        isinstance(asked, bool) or not isinstance(asked, int) or (asked < 1 and asked != -1)
    ):
        raise ValueError(
            f"max_episode_steps must be an integer from 1 on, -1 for no limit, or None, got {asked!r}"
        )
    if dynamics.pays_by_limit and asked is not None and asked > dynamics.max_steps:
        raise ValueError(
            f"{dynamics.fingerprint}: its rewards count on its limit of {dynamics.max_steps} steps, so max_episode_steps="
            f"{asked} cannot prolong it; say max_steps={asked}, which changes both"
        )
    if asked is None or (asked == -1 and dynamics.pays_by_limit):
        return dynamics.max_steps
    return _ENDLESS if asked == -1 else asked


def longest(dynamics: Dynamics, limit: int) -> int | None:
    """Steps of an episode that is truncated after ``limit`` steps, at most; None for no end."""
    steps = min(limit, dynamics.max_steps) if dynamics.deadline else limit
    return None if steps == _ENDLESS else steps


def give_own_limit(env: gym.Env[Any, Any], id_limit: int, own_limit: int) -> bool:
    """Let episodes last as long as an environment's arguments say, where nobody asked for another limit. Call it from `reset`.

    Returns whether there is a wrapper with a limit.

    `gymnasium.make` wraps the limit of the id around an environment, whatever its arguments (``size``, ``max_steps``) make of it,
    and tells it nothing; the wrapper can be found only where it calls.
    """
    frame = inspect.currentframe()
    while frame is not None:
        caller = frame.f_locals.get("self")
        if isinstance(caller, TimeLimit) and caller.unwrapped is env:
            if caller._max_episode_steps == id_limit:
                caller._max_episode_steps, caller._cached_spec = own_limit, None
            return True
        frame = frame.f_back
    return False


def render_mode_of(mode: str | None, offered: Sequence[str], dynamics: Dynamics) -> str | None:
    """Return a render mode that is offered, or None.

    Raises:
        TypeError: A render mode for a task that has no picture.
        ValueError: Another one.
    """
    if mode is not None and not dynamics.render_modes:
        # Stable-Baselines3 asks every environment for pictures, and takes this type for "there are none".
        raise TypeError(f"{dynamics.fingerprint} has no picture: make it without render_mode")
    if mode is not None and mode not in offered:
        raise ValueError(f"render_mode must be one of {tuple(offered)} or None here, got {mode!r}")
    return mode
