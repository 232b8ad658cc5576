"""Lanes that share a world."""

from __future__ import annotations

import numpy as np

from shapegym.shaping.errors import WorldError
from shapegym.shaping.transitions import Transitions


def require_common_ends(worlds: np.ndarray, transitions: Transitions) -> None:
    """Check that of no world some lanes end at this step while others go on, for terms that look at worlds.

    Args:
        worlds: the world of each lane, (B,) int from 0.
        transitions: of a step.

    Raises:
        WorldError: if they do; says which, and what to do.
    """
    active = transitions.active
    ended = (transitions.terminated | transitions.truncated) & active
    living, ending = (np.bincount(worlds, weights=rows) for rows in (active, ended))
    apart = (ending > 0) & (ending < living)
    if apart.any():
        lanes = np.flatnonzero(worlds == int(np.argmax(apart))).tolist()
        raise WorldError(
            f"Lanes {lanes} share a world, but only {np.flatnonzero(ended).tolist()} ended at global step {transitions.clock}. The "
            "reward compares agents of a world, which must end together: let agents that are done wait for the others (SuperSuit's "
            "black_death_v3), or leave terms such as TeamMean out."
        )
