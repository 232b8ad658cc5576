"""What reward files can hold, read from the dataclasses themselves: which nodes there are, and what each of their fields takes."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import Field, dataclass, is_dataclass
from typing import Any, get_args, get_origin

from shapegym.shaping.discovery import load_plugins, walk_package
from shapegym.shaping.limits import bare, fields_of, hints_of, is_required, members, spelled
from shapegym.shaping.states.functions import STATE_FUNCTIONS, StateFunction
from shapegym.shaping.types import NODES, Combinator, Model, Node, Term, snake_case

ROOMS = (
    "states",
    "similarity",
    "terms",
    "combinators",
    "weights",
    "models",
    "intrinsic",
    "programs",
    "annotate",
)
"""Packages of `shapegym.shaping` in which nodes and state functions live."""


def know_all_nodes() -> None:
    """Register the nodes of this project and of installed plugins, if that has not happened yet."""
    for room in ROOMS:
        walk_package(f"shapegym.shaping.{room}")
    load_plugins()


@dataclass(frozen=True, slots=True)
class FieldHelp:
    """A field of a node: its name, what it takes in words, and its default as Python writes it (None if it must be given)."""

    name: str
    type: str
    default: str | None


@dataclass(frozen=True, slots=True)
class NodeHelp:
    """What a reward file can hold under one name.

    Attributes:
        name: as files spell it.
        kind: "term", "combinator", "model", "state function" or "option" (of a field of the others).
        documentation: all of it.
        fields: in order; the first may be given alone.
    """

    name: str
    kind: str
    documentation: str
    fields: tuple[FieldHelp, ...]

    @property
    def summary(self) -> str:
        """First line of its documentation."""
        return self.documentation.partition("\n")[0]

    def __str__(self) -> str:
        shown = ", ".join(
            f"{item.name}: {item.type}" + (f" = {item.default}" if item.default else "")
            for item in self.fields
        )
        return f"{self.name}({shown})  # {self.kind}: {self.summary}"


def node_help() -> tuple[NodeHelp, ...]:
    """Return everything that a reward file can hold, by kind and name."""
    know_all_nodes()
    nodes: set[type] = {*NODES.values(), *STATE_FUNCTIONS.values(), *options().values()}
    listing = [
        NodeHelp(
            snake_case(node.__name__),
            kind_of(node),
            inspect.getdoc(node) or "",
            tuple(
                FieldHelp(item.name, spelled(hints_of(node)[item.name]), _shown_default(item))
                for item in fields_of(node)
            ),
        )
        for node in nodes
    ]
    return tuple(sorted(listing, key=lambda node: (node.kind, node.name)))


def options() -> dict[str, type]:
    """Return what fields of nodes and state functions take beside each other, by name."""
    nodes: set[Any] = {*NODES.values(), *STATE_FUNCTIONS.values()}
    hints = (hint for node in nodes for hint in hints_of(node).values())
    found = (family(taken) for hint in hints for taken in (hint, *_items(hint)))
    return {name: taken for each in found for name, taken in each.items() if taken not in nodes}


def alternatives(hint: Any) -> tuple[Any, ...]:
    """Return what an annotation takes, without limits."""
    return tuple(bare(inner) for member in members(bare(hint)) for inner in members(bare(member)))


def family(hint: Any) -> dict[str, type]:
    """Return the nodes that fit a field annotated with ``hint``, by name; none if it takes plain values only."""
    found: dict[str, type] = {}
    for member in alternatives(hint):
        if isinstance(member, type) and is_dataclass(member):
            found |= {
                snake_case(node.__name__): node for node in _registered(member) if issubclass(node, member)
            }
    return found


def _items(hint: Any) -> list[Any]:
    """What a list stands for, where a field takes one."""
    return [item for taken in alternatives(hint) if get_origin(taken) is tuple for item in get_args(taken)]


def kind_of(node: type) -> str:
    """Return what a node is, in words."""
    kinds = {Term: "term", Combinator: "combinator", Model: "model", StateFunction: "state function"}
    return next((kind for base, kind in kinds.items() if issubclass(node, base)), "option")


def _registered(member: type) -> Iterable[type]:
    if issubclass(member, Node):
        return NODES.values()
    return STATE_FUNCTIONS.values() if issubclass(member, StateFunction) else _concrete(member)


def _concrete(node: type) -> list[type]:
    """The dataclass itself, if it can be built, and everything derived from it."""
    derived: list[type] = node.__subclasses__()
    return [
        *([] if inspect.isabstract(node) else [node]),
        *(found for child in derived for found in _concrete(child)),
    ]


def _shown_default(item: Field[Any]) -> str | None:
    if is_required(item):
        return None
    return str(item.default) if isinstance(item.default, Node) else repr(item.default)
