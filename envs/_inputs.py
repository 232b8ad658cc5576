"""Checks of what callers pass in - actions, seeds, reset masks - before anything moves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import Space, spaces
from numpy.typing import NDArray

from shapegym.envs._lanes import first_invalid_index, first_out_of_box

_ALONE = np.ones(1, np.bool_)


class ActionBuffer:
    """The actions of B lanes, copied into one writable C-contiguous buffer so that kernels compile once."""

    def __init__(self, space: Space[Any], lanes: int) -> None:
        """Allocate for `lanes` lanes of `space`.

        Raises:
            TypeError: `space` is neither Discrete nor a bounded Box.
        """
        self._start = self._stop = 0
        if isinstance(space, spaces.Discrete):
            self.values: NDArray[Any] = np.zeros(lanes, np.int64)
            self._start, self._stop = int(space.start), int(space.start + space.n)
        elif isinstance(space, spaces.Box) and space.is_bounded("both"):
            self.values = np.zeros((lanes, *space.shape), space.dtype)
            self._low, self._high = space.low.ravel(), space.high.ravel()
        else:
            raise TypeError(f"the action space must be Discrete or a bounded Box, got {space}")
        self._space = space

    def fill_one(self, action: Any) -> None:
        """`fill` for the action of a single lane.

        Raises:
            TypeError: `action` has the wrong kind of dtype.
            ValueError: `action` has the wrong shape, or is out of range.
        """
        if type(action) is int and self._start <= action < self._stop:
            self.values[0] = action
        else:
            self.fill(np.asarray(action)[np.newaxis], _ALONE)

    def fill(self, actions: Any, active: NDArray[np.bool_]) -> None:
        """Check the actions of the active lanes and take them over into `values`.

        Raises:
            TypeError: `actions` has the wrong kind of dtype.
            ValueError: `actions` has the wrong shape, or an entry is out of range.
        """
        given = np.asarray(actions)
        discrete = isinstance(self._space, spaces.Discrete)
        if given.dtype.kind not in ("iu" if discrete else "fiu") or (
            discrete and not np.can_cast(given.dtype, np.int64)
        ):
            wanted = "integers that fit int64" if discrete else "real numbers"
            raise TypeError(f"actions for {self._space} must be {wanted}, got dtype {given.dtype}")
        if given.shape != self.values.shape:
            raise ValueError(
                f"actions for {self._space} must have shape {self.values.shape}, got {given.shape}"
            )
        self.values[...] = given
        if isinstance(self._space, spaces.Discrete):
            lane = first_invalid_index(self.values, self._start, self._stop, active)
        else:
            lane = first_out_of_box(self.values.reshape(len(given), -1), self._low, self._high, active)
        if lane >= 0:
            raise ValueError(f"lane {lane}: action {given[lane]!r} is not in {self._space}")


def lane_seeds(seed: int | Sequence[int | None] | None, lanes: int) -> list[int | None]:
    """One seed (or None) for each lane; an int s gives s, s + 1, ...

    Raises:
        TypeError: A seed is no integer.
        ValueError: A seed is negative, or their number is not the number of lanes.
    """
    if seed is None:
        return [None] * lanes
    if isinstance(seed, int | np.integer) and not isinstance(seed, bool):
        given: list[Any] = [int(seed) + lane for lane in range(lanes)]
    elif isinstance(seed, Sequence | np.ndarray):
        given = list(seed)
    else:
        raise TypeError(f"seed must be an int, a sequence of ints or None, got {seed!r}")
    if len(given) != lanes:
        raise ValueError(f"expected {lanes} seeds, one a lane, got {len(given)}")
    for lane, value in enumerate(given):
        if value is None:
            continue
        if not isinstance(value, int | np.integer) or isinstance(value, bool):
            raise TypeError(f"lane {lane}: a seed must be an int or None, got {value!r}")
        if value < 0:
            raise ValueError(f"lane {lane}: a seed must not be negative, got {value}")
        given[lane] = int(value)
    return given


def reset_mask(options: dict[str, Any] | None, lanes: int) -> NDArray[np.bool_]:
    """The lanes to reset: `options["reset_mask"]`, or all.

    Raises:
        TypeError: The mask is no NumPy array of booleans.
        ValueError: The mask has the wrong shape or selects no lane, or there is another option.
    """
    if not options:
        return np.ones(lanes, np.bool_)
    unknown = sorted(set(options) - {"reset_mask"})
    if unknown:
        raise ValueError(f"unknown reset options {unknown}; the only one is 'reset_mask'")
    mask = options["reset_mask"]
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
        raise TypeError("options['reset_mask'] must be a NumPy array of dtype bool")
    if mask.shape != (lanes,) or not mask.any():
        raise ValueError(
            f"options['reset_mask'] must have shape ({lanes},) and select a lane, "
            f"got shape {mask.shape} with {int(mask.sum())} selected"
        )
    return mask.copy()
