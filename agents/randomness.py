"""The global random streams that Stable-Baselines3 draws from, as plain values."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import gymnasium as gym
import numpy as np
import torch


def capture_randomness(*spaces: gym.Space) -> dict[str, Any]:
    """Return the state of Python's, NumPy's and torch's (CPU) global streams and of the spaces' own."""
    version, words, gauss = random.getstate()
    return {
        "python": {"version": version, "words": np.array(words, dtype=np.uint64), "gauss": gauss},
        "numpy": np.random.get_state(legacy=False),  # noqa: NPY002  # SB3 uses the global stream
        "torch": torch.get_rng_state().numpy().copy(),
        "spaces": [space.np_random.bit_generator.state for space in spaces],
    }


def restore_randomness(state: Mapping[str, Any], *spaces: gym.Space) -> None:
    """Continue all streams where `capture_randomness` found them; as many spaces as there."""
    python = state["python"]
    random.setstate((python["version"], tuple(python["words"].tolist()), python["gauss"]))
    np.random.set_state(state["numpy"])  # noqa: NPY002
    torch.set_rng_state(torch.from_numpy(np.array(state["torch"], dtype=np.uint8)))
    for space, stream in zip(spaces, state["spaces"], strict=True):
        space.np_random.bit_generator.state = stream


@contextmanager
def isolated_randomness(seed: int, *spaces: gym.Space) -> Iterator[None]:
    """Run the block on streams seeded with ``seed`` and put the old ones back: nothing outside notices."""
    before = capture_randomness(*spaces)
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    torch.manual_seed(seed)
    for space in spaces:
        space.seed(seed)
    try:
        yield
    finally:
        restore_randomness(before, *spaces)
