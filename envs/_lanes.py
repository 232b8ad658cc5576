"""Kernels of the shell: random streams, episode clocks and range checks, one loop over lanes each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapegym.envs._jit import jit

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_S11, _S27, _S30, _S31 = np.uint64(11), np.uint64(27), np.uint64(30), np.uint64(31)
_TO_UNIT = 2.0**-53


def seed_stream(seed: int | None) -> np.uint64:
    """First state of a lane's random stream; None takes fresh entropy from the operating system."""
    return np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]


@jit
def draw_uniform(streams: NDArray[np.uint64], mask: NDArray[np.bool_], out: NDArray[np.float64]) -> None:
    """Fill the rows in `mask` with uniforms in [0, 1) and advance only these lanes' streams (SplitMix64).

    Source: Steele, Lea and Flood (2014), "Fast splittable pseudorandom number generators", figure 17.

    Args:
        streams: (B,) uint64, advanced in place.
        mask: (B,) bool.
        out: (B, K) float64.
    """
    for lane in range(out.shape[0]):
        if mask[lane]:
            z = streams[lane]
            for k in range(out.shape[1]):
                z += _GAMMA
                mixed = (z ^ (z >> _S30)) * _MIX_1
                mixed = (mixed ^ (mixed >> _S27)) * _MIX_2
                mixed ^= mixed >> _S31
                out[lane, k] = (mixed >> _S11) * _TO_UNIT
            streams[lane] = z


@jit
def clear_outcome(
    reward: NDArray[np.float64],
    terminated: NDArray[np.bool_],
    success: NDArray[np.bool_],
    event: NDArray[np.int64],
) -> None:
    """Set a step's results to nothing."""
    for lane in range(reward.shape[0]):
        reward[lane] = 0.0
        terminated[lane] = success[lane] = False
        event[lane] = 0


@jit
def begin_episodes(
    mask: NDArray[np.bool_],
    elapsed: NDArray[np.int64],
    done: NDArray[np.bool_],
    success: NDArray[np.bool_],
    event: NDArray[np.int64],
) -> None:
    """Start the clocks of the lanes in `mask`."""
    for lane in range(mask.shape[0]):
        if mask[lane]:
            elapsed[lane] = 0
            done[lane] = False
            success[lane] = False
            event[lane] = 0


@jit
def end_step(
    active: NDArray[np.bool_],
    max_steps: int,
    truncates_terminal: bool,
    terminated: NDArray[np.bool_],
    truncated: NDArray[np.bool_],
    elapsed: NDArray[np.int64],
    done: NDArray[np.bool_],
) -> int:
    """Advance the clocks, truncate what ran out of time, and count the lanes whose episode ended.

    A step that reaches a terminal state at the time limit is terminated and not truncated, as its value is
    known, unless `truncates_terminal`.
    """
    ended = 0
    for lane in range(active.shape[0]):
        truncated[lane] = False
        done[lane] = False
        if active[lane]:
            elapsed[lane] += 1
            truncated[lane] = elapsed[lane] >= max_steps and (truncates_terminal or not terminated[lane])
            if terminated[lane] or truncated[lane]:
                done[lane] = True
                ended += 1
    return ended


@jit
def first_invalid_index(actions: NDArray[np.int64], start: int, stop: int, active: NDArray[np.bool_]) -> int:
    """First active lane whose action is outside start .. stop - 1, or -1."""
    for lane in range(actions.shape[0]):
        if active[lane] and not (start <= actions[lane] < stop):
            return lane
    return -1


@jit
def first_out_of_box(
    actions: NDArray[Any], low: NDArray[Any], high: NDArray[Any], active: NDArray[np.bool_]
) -> int:
    """First active lane with an entry of `actions` (B, D) outside low .. high (nan included), or -1."""
    for lane in range(actions.shape[0]):
        if active[lane]:
            for d in range(actions.shape[1]):
                if not (low[d] <= actions[lane, d] <= high[d]):
                    return lane
    return -1
