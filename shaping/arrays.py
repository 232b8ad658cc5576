"""Arrays of NumPy and torch, and trees of them.

A tree is an array, or nested dicts and tuples of arrays: a batch of Dict observations, the features of a step, a state. Gymnasium's
Dict and Tuple spaces count as trees of spaces, so that a space can lead through its members.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from types import ModuleType
from typing import Any, TypeAlias

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from shapegym.shaping.transitions import Array, Transitions

Tree: TypeAlias = Any
"""An array, or a dict or tuple of trees."""


def array_namespace(value: Array) -> ModuleType:
    """Return the module whose functions apply to ``value``: torch for its tensors, else numpy."""
    return sys.modules["torch"] if type(value).__module__.startswith("torch") else np


def as_plain(values: Array) -> np.ndarray:
    """Return a contiguous NumPy view of a tensor or array: what is decided from it is not differentiated."""
    if array_namespace(values) is not np:
        values = values.detach().cpu().numpy()
    return np.ascontiguousarray(values, dtype=np.float64)


def like(factors: np.ndarray, values: Array) -> Array:
    """Return ``factors`` as an array or tensor that combines with ``values``."""
    xp = array_namespace(values)
    return factors if xp is np else xp.as_tensor(factors, dtype=values.dtype, device=values.device)


# ---------------------------------------------------------------------- trees


def tree_map(function: Callable[..., Any], tree: Tree, *others: Tree) -> Tree:
    """Return the tree of ``function(leaf, *leaves of the others at the same place)``; keys that only others have are left out."""
    if isinstance(tree, Mapping):
        return {
            key: tree_map(function, entry, *(other[key] for other in others)) for key, entry in tree.items()
        }
    if isinstance(tree, (tuple, spaces.Tuple)):
        return tuple(tree_map(function, *entries) for entries in zip(tree, *others, strict=True))
    return function(tree, *others)


def tree_take(tree: Tree, rows: Any) -> Tree:
    """Return ``leaf[rows]`` of every leaf: a row, a slice, rows by number or by mask."""
    return tree_map(lambda leaf: leaf[rows], tree)


def tree_join(join: Callable[[Sequence[Any]], Any], trees: Sequence[Tree]) -> Tree:
    """Return one tree of ``join([leaf of each tree])`` (`np.concatenate`, `np.stack`), with the keys that all trees have."""
    first = trees[0]
    if isinstance(first, Mapping):
        shared = [key for key in first if all(key in tree for tree in trees)]
        return {key: tree_join(join, [tree[key] for tree in trees]) for key in shared}
    if isinstance(first, tuple):
        return tuple(tree_join(join, entries) for entries in zip(*trees, strict=True))
    return join(trees)


def tree_write(tree: Tree, rows: Any, values: Tree) -> None:
    """``leaf[rows] = value`` for every leaf, in place; keys that only ``values`` has are left out."""
    if isinstance(tree, np.ndarray):
        tree[rows] = values
    else:
        for key in tree if isinstance(tree, dict) else range(len(tree)):
            tree_write(tree[key], rows, values[key])


ROWS = tuple(item.name for item in fields(Transitions) if item.name != "clock")
"""Names of the trees that transitions are made of."""


def map_rows(function: Callable[..., Any], steps: Transitions) -> Transitions:
    """Return transitions with ``function(leaf)`` for each of their arrays."""
    rows = {name: tree_map(function, getattr(steps, name)) for name in ROWS}
    return Transitions(**rows, clock=steps.clock)


def join_rows(join: Callable[[Sequence[Any]], Any], steps: Sequence[Transitions]) -> Transitions:
    """Return one `Transitions` of many, as `tree_join` does."""
    return Transitions(**{name: tree_join(join, [getattr(step, name) for step in steps]) for name in ROWS})


def tree_equal(left: Tree, right: Tree) -> bool:
    """Whether two trees have the same form and equal leaves; NaN equals NaN in arrays."""
    if isinstance(left, Mapping):
        return left.keys() == right.keys() and all(
            tree_equal(value, right[key]) for key, value in left.items()
        )
    if isinstance(left, tuple):
        return len(left) == len(right) and all(map(tree_equal, left, right))
    if isinstance(left, np.ndarray):
        return np.array_equal(left, right, equal_nan=left.dtype.kind == "f")
    return bool(left == right)


def flatten(tree: Mapping[Any, Any], path: tuple[Any, ...] = ()) -> dict[tuple[Any, ...], Any]:
    """Return what nested dicts hold by the keys that lead there, below ``path``. An empty dict is held; it leads nowhere."""
    leaves: dict[tuple[Any, ...], Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            leaves |= flatten(value, (*path, key))
        else:
            leaves[*path, key] = value
    return leaves


def nest(leaves: Mapping[tuple[Any, ...], Any]) -> dict[Any, Any]:
    """Return the nested dicts that `flatten` laid out."""
    tree: dict[Any, Any] = {}
    for (*folders, key), leaf in leaves.items():
        place = tree
        for folder in folders:
            place = place.setdefault(folder, {})
        place[key] = leaf
    return tree


# ---------------------------------------------------------------------- members of a space


def allocate(space: gym.Space, rows: int) -> Tree:
    """Return room for ``rows`` members of ``space``: arrays of its dtypes, of objects for text and the like."""

    def leaf(entry: gym.Space) -> np.ndarray:
        if isinstance(entry, (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)):
            return np.zeros((rows, *(entry.shape or ())), dtype=entry.dtype)
        return np.full(rows, None, dtype=object)

    return tree_map(leaf, space)


def stack_members(space: gym.Space, members: Sequence[Any]) -> Tree:
    """Return members of ``space`` as rows."""
    rows = allocate(space, len(members))
    for row, member in enumerate(members):
        tree_write(rows, row, member)
    return rows
