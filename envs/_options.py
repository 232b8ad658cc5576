"""Checks of what an environment is made with: its time limit and its render mode."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

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
