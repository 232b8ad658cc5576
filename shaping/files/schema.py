"""What reward files can hold, read from the dataclasses themselves: which nodes there are, and what each of their fields takes."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Iterable
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import cache
from typing import Any, Literal, get_args, get_origin

# Importing a family registers its nodes.
import shapegym.shaping.combinators.advice
import shapegym.shaping.combinators.bounds
import shapegym.shaping.combinators.elementwise
import shapegym.shaping.combinators.gate
import shapegym.shaping.combinators.groups
import shapegym.shaping.combinators.means
import shapegym.shaping.combinators.renorm
import shapegym.shaping.terms.counts
import shapegym.shaping.terms.distance
import shapegym.shaping.terms.events
import shapegym.shaping.terms.goals
import shapegym.shaping.terms.occupancy
import shapegym.shaping.terms.potential
import shapegym.shaping.weights.bandit
import shapegym.shaping.weights.blend
import shapegym.shaping.weights.multipliers
import shapegym.shaping.weights.normalize
import shapegym.shaping.weights.schedules
import shapegym.shaping.weights.trust  # noqa: F401
from shapegym.shaping.terms.states import STATE_FUNCTIONS, StateFunction
from shapegym.shaping.types import NODES, Combinator, Expression, Term, snake_case


@dataclass(frozen=True, slots=True)
class FieldHelp:
    """A field of a node: its name, type and default (None if it must be given), as Python writes them."""

    name: str
    type: str
    default: str | None


@dataclass(frozen=True, slots=True)
class NodeHelp:
    """What a reward file can hold under one name.

    Attributes:
        name: as files spell it.
        kind: "term", "combinator", "state function" or "option" (of a field of the others).
        summary: first line of its documentation.
        fields: in order; the first may be given alone.
    """

    name: str
    kind: str
    summary: str
    fields: tuple[FieldHelp, ...]

    def __str__(self) -> str:
        shown = ", ".join(
            f"{item.name}: {item.type}" + (f" = {item.default}" if item.default else "")
            for item in self.fields
        )
        return f"{self.name}({shown})  # {self.kind}: {self.summary}"


def node_help() -> tuple[NodeHelp, ...]:
    """Return everything that a reward file can hold, by kind and name."""
    nodes: set[type] = {*NODES.values(), *STATE_FUNCTIONS.values()}
    for node in tuple(nodes):
        for hint in hints_of(node).values():
            nodes.update(family(hint).values())
    listing = [
        NodeHelp(
            snake_case(node.__name__),
            kind_of(node),
            (inspect.getdoc(node) or "").partition("\n")[0],
            tuple(
                FieldHelp(item.name, str(item.type), _shown_default(node, item)) for item in fields_of(node)
            ),
        )
        for node in nodes
    ]
    return tuple(sorted(listing, key=lambda node: (node.kind, node.name)))


def fields_of(node: type) -> tuple[Field[Any], ...]:
    """Return the fields that make the node what it is, in order; its name is none of them."""
    return tuple(item for item in fields(node) if item.init and item.name != "name")


@cache
def hints_of(node: type) -> dict[str, Any]:
    """Return the annotation of each field, with names resolved."""
    return typing.get_type_hints(node)


def members(hint: Any) -> tuple[Any, ...]:
    """Return the alternatives of a union; any other annotation is the only one."""
    return get_args(hint) if get_origin(hint) in (typing.Union, types.UnionType) else (hint,)


def family(hint: Any) -> dict[str, type]:
    """Return the nodes that fit a field annotated with ``hint``, by name; none if it takes plain values only."""
    found: dict[str, type] = {}
    for member in members(hint):
        if isinstance(member, type) and is_dataclass(member):
            found |= {
                snake_case(node.__name__): node for node in _registered(member) if issubclass(node, member)
            }
    return found


def kind_of(node: type) -> str:
    """Return what a node is, in words."""
    kinds = {Term: "term", Combinator: "combinator", StateFunction: "state function"}
    return next((kind for base, kind in kinds.items() if issubclass(node, base)), "option")


def is_required(node: type, item: Field[Any]) -> bool:
    """Whether a field must be given.

    A field after one with a default needs a default too: None, where the type has no None, and an empty text stand for none.
    """
    if item.default is MISSING:
        return item.default_factory is MISSING
    return item.default == "" or (
        item.default is None and type(None) not in members(hints_of(node)[item.name])
    )


def spelled(hint: Any) -> str:
    """Return what an annotation takes, in words."""
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(map(repr, get_args(hint)))
    if isinstance(hint, type) and not get_args(hint):
        return "null" if hint is type(None) else hint.__name__
    if len(members(hint)) > 1:
        return " or ".join(map(spelled, members(hint)))
    if get_origin(hint) is tuple:
        return "a list of " + " and ".join(spelled(item) for item in get_args(hint) if item is not Ellipsis)
    return str(hint)


def _registered(member: type) -> Iterable[type]:
    if issubclass(member, Expression):
        return NODES.values()
    return STATE_FUNCTIONS.values() if issubclass(member, StateFunction) else _concrete(member)


def _concrete(node: type) -> list[type]:
    """The dataclass itself, if it can be built, and everything derived from it."""
    derived: list[type] = node.__subclasses__()
    return [
        *([] if inspect.isabstract(node) else [node]),
        *(found for child in derived for found in _concrete(child)),
    ]


def _shown_default(node: type, item: Field[Any]) -> str | None:
    if is_required(node, item):
        return None
    return str(item.default) if isinstance(item.default, Expression) else repr(item.default)
