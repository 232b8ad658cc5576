"""Actions as columns of numbers."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from shapegym.shaping.errors import ObservationError


def choices_of(space: gym.Space, reader: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how many values each entry of a discrete action has, and the first of them; empty for actions that are numbers.

    Raises:
        ObservationError: if an action is neither an array of numbers nor of choices; begins with ``reader``.
    """
    if isinstance(space, gym.spaces.Discrete):
        return np.array([space.n]), np.array([space.start])
    if isinstance(space, gym.spaces.MultiDiscrete):
        return space.nvec.reshape(-1).astype(np.int64), space.start.reshape(-1).astype(np.int64)
    if isinstance(space, (gym.spaces.Box, gym.spaces.MultiBinary)):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    raise ObservationError(
        f"{reader} cannot read actions of {space}: they must be Discrete, MultiDiscrete, MultiBinary or a Box."
    )


def action_columns(
    action: np.ndarray, choices: NDArray[np.int64], origin: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return an indicator of each value of each entry, (B, sum of choices), or numbers as they are."""
    rows = action.reshape(len(action), -1)
    if not len(choices):
        return rows.astype(np.float64)
    return np.hstack([np.eye(n)[rows[:, i].astype(np.int64) - origin[i]] for i, n in enumerate(choices)])
