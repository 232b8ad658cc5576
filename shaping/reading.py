"""What nodes and state functions read of a state: said once, in the annotation of the field that names it.

A field annotated `Selects` or `Phi` (`shapegym.shaping.states`) is all that a node needs: which features it reads, and whether an
environment can be read so, follow from the annotation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

from shapegym.shaping.limits import Limited, Via, fields_of, hints_of, members, takes
from shapegym.shaping.transitions import Spec

WHOLE = ""
"""All of an observation, among the entries that are read."""


@dataclass(frozen=True, kw_only=True)
class Reads(Via):
    """Annotation of a field whose value reads a state.

    Attributes:
        features: names the features that a value reads.
        of_step: names what a value reads that describes the step and not a state (`action`, `terminated`).
        entries: names the entries of a Dict observation that a value reads; `WHOLE` is all of any observation.
        check: raises a `ShapingError` if a value cannot be read in an environment.
    """

    features: Callable[[Any], tuple[str, ...]]
    of_step: Callable[[Any], tuple[str, ...]] = lambda value: ()
    entries: Callable[[Any], tuple[str, ...]] = lambda value: (WHOLE,)
    check: Callable[[Any, Spec], object] = lambda value, spec: None


class Reading(Limited):
    """Mixin of what fields hold that reads a state: state functions and their kernels."""

    @property
    def reads(self) -> tuple[str, ...]:
        """Features that it reads."""
        return features_of(self)

    @property
    def of_step(self) -> tuple[str, ...]:
        """What it reads that describes the step and not a state."""
        return of_step_in(self)

    @property
    def entries(self) -> tuple[str, ...]:
        """Entries of the observation that it reads: all, unless its fields say which."""
        return entries_of(self) if any(_readings(self)) else (WHOLE,)

    def check(self, spec: Spec) -> None:
        """Raise a `ShapingError` if it cannot be evaluated on this environment."""
        require_readable(self, spec)


def features_of(node: Any) -> tuple[str, ...]:
    """Return the features that the fields of a node or state function read, in order."""
    return tuple(dict.fromkeys(name for mark, value in _readings(node) for name in mark.features(value)))


def of_step_in(node: Any) -> tuple[str, ...]:
    """Return what the fields of a node or state function read that describes the step: `action`, `terminated`, ..."""
    return tuple(dict.fromkeys(name for mark, value in _readings(node) for name in mark.of_step(value)))


def entries_of(node: Any) -> tuple[str, ...]:
    """Return the entries of the observation that the fields of a node or state function read, or `WHOLE`."""
    return tuple(dict.fromkeys(name for mark, value in _readings(node) for name in mark.entries(value)))


def require_readable(node: Any, spec: Spec) -> None:
    """Raise a `ShapingError` if a field of a node or state function cannot be read in an environment."""
    for mark, value in _readings(node):
        mark.check(value, spec)


ITSELF = Reads(
    lambda value: value,
    features=lambda value: value.reads,
    of_step=lambda value: value.of_step,
    entries=lambda value: value.entries,
    check=lambda value, spec: value.check(spec),
)
"""How a `Reading` is read."""


def _readings(node: Any) -> Iterator[tuple[Reads, Any]]:
    kind: Any = type(node)
    hints = hints_of(kind)
    for item in fields_of(kind):
        yield from _marked(hints[item.name], getattr(node, item.name))


def _marked(hint: Any, value: Any) -> Iterator[tuple[Reads, Any]]:
    for member in members(hint):
        base, *limits = get_args(member) if get_origin(member) is Annotated else (member,)
        mark = next((limit for limit in limits if isinstance(limit, Reads)), None)
        if mark is not None:
            yield from ((mark, value),) if takes(base, value) else ()
        elif get_origin(base) is tuple and isinstance(value, tuple):
            yield from (found for entry in value for found in _marked(get_args(base)[0], entry))
        elif isinstance(value, Reading) and takes(base, value):
            yield ITSELF, value
