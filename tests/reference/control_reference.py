"""Plain transcriptions of the control tasks' dynamics, one lane at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def mountain_car(position: float, velocity: float, push: float) -> tuple[float, float]:
    """Sutton and Barto (2018), example 10.1, for a push in units of speed."""
    velocity = velocity + push - 0.0025 * math.cos(3 * position)
    velocity = max(-0.07, min(0.07, velocity))
    position = max(-1.2, min(0.6, position + velocity))
    return position, (0.0 if position == -1.2 and velocity < 0 else velocity)


def acrobot(state: Sequence[float], torque: float, dt: float) -> np.ndarray:
    """Sutton and Barto (1998), section 11.3, by Runge-Kutta; state (theta_1, theta_2, speeds), angles unwrapped."""
    m, length, centre, inertia, g = 1.0, 1.0, 0.5, 1.0, 9.8

    def derivative(s: np.ndarray) -> np.ndarray:
        t1, t2, w1, w2 = s
        d1 = m * centre**2 + m * (length**2 + centre**2 + 2 * length * centre * np.cos(t2)) + 2 * inertia
        d2 = m * (centre**2 + length * centre * np.cos(t2)) + inertia
        phi2 = m * centre * g * np.cos(t1 + t2 - np.pi / 2)
        phi1 = -m * length * centre * w2**2 * np.sin(t2) - 2 * m * length * centre * w2 * w1 * np.sin(t2)
        phi1 += (m * centre + m * length) * g * np.cos(t1 - np.pi / 2) + phi2
        a2 = torque + d2 / d1 * phi1 - m * length * centre * w1**2 * np.sin(t2) - phi2
        a2 /= m * centre**2 + inertia - d2**2 / d1
        return np.array([w1, w2, -(d2 * a2 + phi1) / d1, a2])

    s = np.asarray(state, float)
    k1 = derivative(s)
    k2 = derivative(s + dt / 2 * k1)
    k3 = derivative(s + dt / 2 * k2)
    k4 = derivative(s + dt * k3)
    s = s + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    s[2] = np.clip(s[2], -4 * np.pi, 4 * np.pi)
    s[3] = np.clip(s[3], -9 * np.pi, 9 * np.pi)
    return s


def cartpole(state: Sequence[float], force: float, dt: float) -> np.ndarray:
    """Barto, Sutton and Anderson (1983), appendix, without friction; semi-implicit Euler, angle unwrapped."""
    x, v, theta, w = state
    cart, pole, half, g = 1.0, 0.1, 0.5, 9.8
    total = cart + pole
    push = -force - pole * half * w**2 * np.sin(theta)
    alpha = g * np.sin(theta) + np.cos(theta) * push / total
    alpha /= half * (4 / 3 - pole * np.cos(theta) ** 2 / total)
    a = (force + pole * half * (w**2 * np.sin(theta) - alpha * np.cos(theta))) / total
    v, w = np.clip(v + dt * a, -20, 20), np.clip(w + dt * alpha, -10 * np.pi, 10 * np.pi)
    return np.array([x + dt * v, v, theta + dt * w, w])


def slide(rows: Sequence[str], start: Sequence[float], move: Sequence[float], parts: int) -> np.ndarray:
    """Move a point through a maze of text in many small parts; an axis that meets a wall is given up."""
    point, left = np.array(start, float), np.array(move, float)
    for _ in range(parts):
        for axis in (0, 1):
            moved = point.copy()
            moved[axis] += left[axis] / parts
            if rows[int(moved[1])][int(moved[0])] == "#":
                left[axis] = 0.0
            else:
                point = moved
    return point
