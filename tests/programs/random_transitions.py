"""An abstraction of all kinds of features, and random transitions of it."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from shapegym.shaping.programs.abstraction import abstraction_from

ABSTRACTION = abstraction_from(
    {
        "pos": spaces.Box(-3.0, 3.0, (2,)),
        "goal": spaces.Box(-3.0, 3.0, (2,)),
        "has_key": spaces.Box(0, 1, (), bool),
        "event": spaces.Discrete(4),
        "speed": spaces.Box(-2.0, 2.0, ()),
    },
    spaces.Discrete(3),
    spaces.Box(-1.0, 1.0, (3,)),
)


def random_columns(rng: np.random.Generator, lanes: int) -> dict[tuple[str, str], np.ndarray]:
    """Return transitions, among them corners: zeros, the ends of ranges, equal positions."""
    columns: dict[tuple[str, str], np.ndarray] = {("action", "action"): rng.integers(0, 3, lanes)}
    for side in ("before", "after", "state"):
        whole, between = rng.integers(-3, 4, (lanes, 2)), rng.uniform(-3, 3, (lanes, 2))
        pos = np.where(rng.random((lanes, 2)) < 0.3, whole, between)
        columns |= {
            (side, "pos"): pos.astype(np.float32),
            (side, "goal"): np.where(rng.random((lanes, 1)) < 0.2, pos, rng.integers(-3, 4, (lanes, 2))),
            (side, "has_key"): rng.random(lanes) < 0.5,
            (side, "event"): rng.integers(0, 4, lanes),
            (side, "speed"): np.where(rng.random(lanes) < 0.2, 0.0, rng.uniform(-2, 2, lanes)),
            (side, "obs"): rng.uniform(-1, 1, (lanes, 3)).astype(np.float32),
        }
    return columns
