"""Dotted names: how ``features.reward.angle`` leads into an info that nests, and what there is to be named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def path_in(tree: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    """Return the keys that lead to ``name``: itself if it is a key, else its parts between dots; None if nothing is there."""
    if name in tree.keys():  # noqa: SIM118  a Dict space says of its members that they are in it
        return (name,)
    head, dot, rest = name.partition(".")
    if not dot or not isinstance(inner := tree.get(head), Mapping):
        return None
    path = path_in(inner, rest)
    return None if path is None else (head, *path)


def value_in(tree: Mapping[str, Any], name: str) -> Any:
    """Return what stands under a dotted name, or None."""
    path = path_in(tree, name)
    value: Any = tree
    for key in path or ():
        value = value[key]
    return None if path is None else value


def names_in(tree: Mapping[str, Any]) -> Iterator[str]:
    """Yield the dotted name of everything that is no mapping itself; keys that begin with _ (Gymnasium's masks) are left out."""
    for key, value in tree.items():
        if isinstance(key, str) and not key.startswith("_"):
            inner = list(names_in(value)) if isinstance(value, Mapping) else []
            yield from (f"{key}.{name}" for name in inner) if inner else (key,)
