"""A perceptron with two hidden layers, number by number. Imports nothing of the project."""

from __future__ import annotations

from typing import Any


def leaky(x: float) -> float:
    return x if x > 0 else 0.01 * x


def perceptron(row: list[float], weights: dict[str, Any]) -> float:
    for w, b in (("w1", "b1"), ("w2", "b2")):
        row = [
            leaky(weights[b][j] + sum(x * weights[w][i][j] for i, x in enumerate(row)))
            for j in range(len(weights[b]))
        ]
    return float(weights["b3"][0] + sum(x * weights["w3"][i] for i, x in enumerate(row)))
