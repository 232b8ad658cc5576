"""Kernels of potential-based shaping."""

from __future__ import annotations

import numpy as np

from shapegym.shaping.kernels._jit import jit


@jit
def potential_difference(
    phi_t: np.ndarray, phi_tp1: np.ndarray, terminated: np.ndarray, gamma: float, out: np.ndarray
) -> None:
    """F_t = gamma * Phi(s_{t+1}) - Phi(s_t) with Phi = 0 in a terminal state; all (B,)."""
    for lane in range(out.shape[0]):
        successor = 0.0 if terminated[lane] else gamma * phi_tp1[lane]
        out[lane] = successor - phi_t[lane]
