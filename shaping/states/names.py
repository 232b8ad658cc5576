"""Dotted names: how ``features.reward.angle`` leads into an info that nests, and what there is to be named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def path_in(tree: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    """Return the keys that lead to ``name``: itself if it is a key, else its parts between dots; None if nothing is there.

    Keys may hold dots of their own: the shortest head that leads on is taken.
    """
    if name in tree.keys():  # noqa: SIM118  a Dict space says of its members that they are in it
        return (name,)
    words = name.split(".")
    for length in range(1, len(words)):
        head, rest = ".".join(words[:length]), ".".join(words[length:])
        if isinstance(inner := tree.get(head), Mapping) and (path := path_in(inner, rest)) is not None:
            return (head, *path)
    return None


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
