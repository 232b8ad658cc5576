"""The kernels that run every finite task: inverse-CDF sampling of start states and of branches."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapegym.envs._jit import jit


@jit
def _branch(cumulative: NDArray[np.float64], u: float) -> int:
    """The first k with u < cumulative[k]; cumulative (K,) ends at exactly 1."""
    k = 0
    while u >= cumulative[k]:
        k += 1
    return k


@jit
def reset_lanes(
    state: NDArray[np.int64],
    noise: NDArray[np.float64],
    mask: NDArray[np.bool_],
    start_cumulative: NDArray[np.float64],
) -> None:
    """Draw s_0 for the lanes in `mask`; noise (B, 1), or (B, 0) for a certain start."""
    for lane in range(state.shape[0]):
        if mask[lane]:
            u = noise[lane, 0] if noise.shape[1] > 0 else 0.0
            state[lane] = np.searchsorted(start_cumulative, u, side="right")


@jit
def step_lanes(
    state: NDArray[np.int64],
    actions: NDArray[np.int64],
    noise: NDArray[np.float64],
    active: NDArray[np.bool_],
    next_state: NDArray[np.int64],
    cumulative: NDArray[np.float64],
    reward: NDArray[np.float64],
    success: NDArray[np.bool_],
    event: NDArray[np.int64],
    terminal: NDArray[np.bool_],
    reward_out: NDArray[np.float64],
    terminated_out: NDArray[np.bool_],
    success_out: NDArray[np.bool_],
    event_out: NDArray[np.int64],
) -> None:
    """s_{t+1} ~ P(. | s_t, a_t) for the active lanes; noise (B, 1), or (B, 0) for a deterministic task."""
    for lane in range(state.shape[0]):
        if active[lane]:
            s, a = state[lane], actions[lane]
            k = _branch(cumulative[s, a], noise[lane, 0]) if noise.shape[1] > 0 else 0
            state[lane] = next_state[s, a, k]
            reward_out[lane] = reward[s, a, k]
            success_out[lane] = success[s, a, k]
            event_out[lane] = event[s, a, k]
            terminated_out[lane] = terminal[state[lane]]


@jit
def one_hot_lanes(state: NDArray[np.int64], out: NDArray[Any]) -> None:
    """out[lane] = unit vector of state[lane]; out (B, S)."""
    out[:] = 0.0
    for lane in range(state.shape[0]):
        out[lane, state[lane]] = 1.0
