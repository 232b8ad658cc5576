"""Kernels of finite decision processes that are kept as lists: what acting best is worth.

States have groups of outcomes, one for each action: groups ``first_group[s] .. first_group[s + 1] - 1`` are those of state s, and
outcomes ``first_edge[g] .. first_edge[g + 1] - 1`` those of group g. ``pay`` (G,) is what a group pays on average, ``target`` (E,)
where an outcome leads, and ``weight`` (E,) its probability times the discount, 0 where the episode ends.
"""

from __future__ import annotations

import math

import numpy as np

from shapegym.shaping.kernels._jit import jit


@jit
def group_value(
    group: int,
    first_edge: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray,
    pay: np.ndarray,
    values: np.ndarray,
) -> float:
    """What an action is worth, if values (S,) are what states are worth."""
    worth = pay[group]
    for edge in range(first_edge[group], first_edge[group + 1]):
        if weight[edge] != 0.0:
            worth += weight[edge] * values[target[edge]]
    return worth


_FOLLOWED = 100


@jit
def solve(
    first_group: np.ndarray,
    first_edge: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray,
    pay: np.ndarray,
    allowed: np.ndarray,
    tolerance: float,
    most: int,
    values: np.ndarray,
) -> int:
    """Improve ``values`` (S,) in place until no sweep changes one by more than ``tolerance``; returns the sweeps.

    Groups that are not ``allowed`` (G,) are left out; a state without any is worth 0. Modified policy iteration (Puterman & Shin
    1978): after each sweep over all groups, at most `_FOLLOWED` over those that it chose; all in place (Gauss-Seidel).
    """
    chosen = np.full(values.shape[0], -1)
    for sweep in range(most):
        change = 0.0
        for state in range(values.shape[0] - 1, -1, -1):
            best = -math.inf
            for group in range(first_group[state], first_group[state + 1]):
                if allowed[group]:
                    worth = group_value(group, first_edge, target, weight, pay, values)
                    if worth > best:
                        best, chosen[state] = worth, group
            if best > -math.inf:
                change = max(change, abs(best - values[state]))
                values[state] = best
        if change <= tolerance:
            return sweep + 1
        for _ in range(_FOLLOWED):
            change = 0.0
            for state in range(values.shape[0] - 1, -1, -1):
                if chosen[state] >= 0:
                    worth = group_value(chosen[state], first_edge, target, weight, pay, values)
                    change = max(change, abs(worth - values[state]))
                    values[state] = worth
            if change <= tolerance:
                break
    return most


@jit
def follow(
    first_group: np.ndarray,
    first_edge: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray,
    pay: np.ndarray,
    allowed: np.ndarray,
    tolerance: float,
    most: int,
    values: np.ndarray,
) -> int:
    """The same of an agent that takes each of the ``allowed`` groups of a state as often."""
    for sweep in range(most):
        change = 0.0
        for state in range(values.shape[0] - 1, -1, -1):
            total, many = 0.0, 0
            for group in range(first_group[state], first_group[state + 1]):
                if allowed[group]:
                    total += group_value(group, first_edge, target, weight, pay, values)
                    many += 1
            if many > 0:
                change = max(change, abs(total / many - values[state]))
                values[state] = total / many
        if change <= tolerance:
            return sweep + 1
    return most
