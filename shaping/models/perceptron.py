"""A perceptron with two hidden layers whose weights, and Adam's moments of them, are plain arrays.

Small networks that judge single transitions need no more: a forward pass that is the same to the last bit for one row and for a
million (`shapegym.shaping.kernels.perceptron`), a gradient of a sum of losses, and one step of Adam (Kingma & Ba 2015).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from shapegym.shaping.kernels.perceptron import SLOPE, perceive
from shapegym.shaping.transitions import State

Array = NDArray[np.float64]

_NAMES = ("w1", "b1", "w2", "b2", "w3", "b3")
_BETAS = (0.9, 0.999)
_EPSILON = 1e-8


def fresh(width: int, hidden: int, rng: np.random.Generator) -> State:
    """Return weights for rows of ``width`` numbers, and zero moments.

    Hidden weights are uniform as He et al. 2015 scale them for LeakyReLU; the output's are 0, so that an untrained network says 0.
    """

    def uniform(fan_in: int) -> Array:
        bound = np.sqrt(6.0 / ((1.0 + SLOPE**2) * fan_in))
        return rng.uniform(-bound, bound, (fan_in, hidden))

    weights = {
        "w1": uniform(width),
        "b1": np.zeros(hidden),
        "w2": uniform(hidden),
        "b2": np.zeros(hidden),
        "w3": np.zeros(hidden),
        "b3": np.zeros(1),
    }
    return {
        "weights": weights,
        "mean": {name: np.zeros_like(values) for name, values in weights.items()},
        "square": {name: np.zeros_like(values) for name, values in weights.items()},
        "updates": 0,
    }


def outputs(rows: Array, state: State) -> Array:
    """Return what the network says of each row (B, n): (B,)."""
    w1, b1, w2, b2, w3, b3 = (state["weights"][name] for name in _NAMES)
    out, scratch = np.empty(len(rows)), np.empty((2, len(b1)))
    perceive(rows, w1, b1, w2, b2, w3, float(b3[0]), scratch[0], scratch[1], out)
    return out


def gradient(rows: Array, weights: State, slope_of: Callable[[Array], Array]) -> dict[str, Array]:
    """Return the gradient of a loss L(y_1 .. y_B) in the weights.

    Args:
        rows: x, (B, n).
        weights: of the network.
        slope_of: from the outputs y (B,) to dL/dy (B,).
    """
    before1 = rows @ weights["w1"] + weights["b1"]
    after1 = np.where(before1 > 0, before1, SLOPE * before1)
    before2 = after1 @ weights["w2"] + weights["b2"]
    after2 = np.where(before2 > 0, before2, SLOPE * before2)
    slope = slope_of(after2 @ weights["w3"] + weights["b3"])
    back2 = np.outer(slope, weights["w3"]) * np.where(before2 > 0, 1.0, SLOPE)
    back1 = (back2 @ weights["w2"].T) * np.where(before1 > 0, 1.0, SLOPE)
    return {
        "w1": rows.T @ back1,
        "b1": back1.sum(axis=0),
        "w2": after1.T @ back2,
        "b2": back2.sum(axis=0),
        "w3": after2.T @ slope,
        "b3": slope.sum(keepdims=True),
    }


def descend(state: State, gradients: dict[str, Array], learning_rate: float) -> None:
    """Make one step of Adam, in place."""
    state["updates"] += 1
    first, second = (1.0 - beta ** state["updates"] for beta in _BETAS)
    for name, slope in gradients.items():
        mean, square = state["mean"][name], state["square"][name]
        mean += (1.0 - _BETAS[0]) * (slope - mean)
        square += (1.0 - _BETAS[1]) * (slope**2 - square)
        state["weights"][name] -= learning_rate * (mean / first) / (np.sqrt(square / second) + _EPSILON)
