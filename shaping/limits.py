"""Limits as data: what a field takes stands in its annotation, and one function reads it, for constructors and reward files alike.

    @dataclass(frozen=True)
    class Fading(Limited):
        weight: NonNegative = 1.0
        metric: Literal["success", "task_return"] = "success"

    Fading(weight=-1)   # ExpressionError: Fading: weight must be a finite number >= 0, got -1.

Annotations are Python's (numbers are finite; a bool is no number), `annotated_types` for ranges and lengths, and `Via` for fields
that are read by a function, such as a selector; a text among the limits is what messages say that the field takes. Limits between
several fields are checked in ``__post_init__``.
"""

from __future__ import annotations

import math
import operator
import re
import sys
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, get_args, get_origin

import numpy as np
from annotated_types import Ge, Gt, Le, Lt, MinLen

from shapegym.shaping.errors import ExpressionError, suggest
from shapegym.shaping.written import in_short

Positive: TypeAlias = Annotated[float, Gt(0)]
NonNegative: TypeAlias = Annotated[float, Ge(0)]
Fraction: TypeAlias = Annotated[float, Ge(0), Le(1)]
Share: TypeAlias = Annotated[float, Gt(0), Le(1)]
Count: TypeAlias = Annotated[int, Ge(1)]
Natural: TypeAlias = Annotated[int, Ge(0)]
Seed: TypeAlias = Annotated[int, Ge(0), Lt(2**63), "an integer in [0, 2**63)"]


class Infinite:
    """Annotation of a number that may be infinite."""


Extended: TypeAlias = Annotated[float, Infinite]


@dataclass(frozen=True)
class Via:
    """Annotation of a field that ``read`` turns into what the node keeps; its `ExpressionError` says what is wrong.

    Attributes:
        read: gets a value of the annotated type; raises what should be said of others.
        keep: whether the field keeps what ``read`` returns, or what was given.
    """

    read: Callable[[Any], Any]
    keep: bool = True


class FromFile:
    """Annotation of a text that reward files may leave to a file beside them: ``{file: NAME}`` in its node."""


class Unfit(ValueError):
    """A value that a field does not take."""


class Limited:
    """Mixin of frozen dataclasses whose annotations are checked when they are made."""

    misfit: ClassVar[type[Exception]] = ExpressionError
    """What a value raises that a field does not take."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.__repr__ = cls.__repr__  # type: ignore[method-assign]  # its own, so `dataclass` writes no longer one

    def __repr__(self) -> str:
        return in_short(self)

    def __post_init__(self) -> None:
        for name, (hint, required) in _limits_of(type(self)).items():  # type: ignore[arg-type]  # a class can be hashed
            value = getattr(self, name)
            if value is None and required:
                raise self.misfit(f"{type(self).__name__} needs {name}: {spelled(hint)}.")
            fitted = checked(f"{type(self).__name__}: {name}", hint, value, self.misfit)
            if fitted is not value:
                object.__setattr__(self, name, fitted)


def checked(what: str, hint: Any, value: Any, misfit: type[Exception] = ExpressionError) -> Any:
    """Return ``value`` as a field or argument annotated with ``hint`` keeps it: for functions, which have no `Limited`.

    Raises:
        misfit: if it takes no such value; begins with ``what``, such as ``"normalize: clip"``.
    """
    try:
        return fit(hint, value)
    except Unfit as unfit:
        raise misfit(f"{what} {unfit}") from None


def fit(hint: Any, value: Any) -> Any:
    """Return ``value`` as a field annotated with ``hint`` keeps it.

    Raises:
        Unfit: if it takes no such value; says what it takes.
        ShapingError: from the function of a `Via`.
    """
    fitted = _fit(hint, value)
    if fitted is _MISFIT:
        choices = [
            str(choice)
            for member in map(bare, members(hint))
            if get_origin(member) is Literal
            for choice in get_args(member)
        ]
        near = suggest(value, choices).partition(" Known:")[0] if choices and isinstance(value, str) else ""
        raise Unfit(f"must be {spelled(hint)}, got {value!r}.{near}")
    return fitted


def takes(hint: Any, value: Any) -> bool:
    """Whether a field annotated with ``hint`` takes ``value``."""
    return _fit(hint, value) is not _MISFIT


def _fit(hint: Any, value: Any) -> Any:
    """As `fit`, or `_MISFIT`."""
    origin = get_origin(hint)
    if origin is Annotated:
        base, *limits = get_args(hint)
        via = next((limit for limit in limits if isinstance(limit, Via)), None)
        if via is not None and (fitted := _fit(base, value)) is not _MISFIT:
            read = via.read(fitted)
            return read if via.keep else fitted
        fitted = _number(value, infinite=True) if Infinite in limits else _fit(base, value)
        return fitted if fitted is not _MISFIT and all(within(fitted, limit) for limit in limits) else _MISFIT
    if len(alternatives := members(hint)) > 1:
        found = (_fit(member, value) for member in alternatives)
        return next((fitted for fitted in found if fitted is not _MISFIT), _MISFIT)
    if origin is Literal:
        return (
            value
            if any(value == choice and type(value) is type(choice) for choice in get_args(hint))
            else _MISFIT
        )
    if origin is tuple:
        return _items(get_args(hint), value)
    if hint is float:
        return _number(value)
    if hint is int:
        value = value.item() if isinstance(value, np.integer) else value
        return value if isinstance(value, int) and not isinstance(value, bool) else _MISFIT
    if hint is Any or hint is None:
        return value if hint is Any or value is None else _MISFIT
    return value if isinstance(value, origin or hint) else _MISFIT


_MISFIT: Any = object()


def _number(value: Any, *, infinite: bool = False) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return _MISFIT
    finite = abs(value) <= sys.float_info.max  # neither NaN nor a whole number that no float holds
    return value if finite or (infinite and value in (math.inf, -math.inf)) else _MISFIT


def _items(hints: tuple[Any, ...], value: Any) -> Any:
    """A tuple, from any list or array of fitting items; the tuple that was given if it is one already."""
    if not isinstance(value, (tuple, list, np.ndarray)):
        return _MISFIT
    if hints[-1] is Ellipsis:
        hints = (hints[0],) * len(value)
    items = [_fit(hint, item) for hint, item in zip(hints, value, strict=False)]
    if len(value) != len(hints) or _MISFIT in items:
        return _MISFIT
    same = isinstance(value, tuple) and all(new is old for new, old in zip(items, value, strict=True))
    return value if same else tuple(items)


def within(value: Any, limit: Any) -> bool:
    """Whether a value keeps a limit of `annotated_types`; what is none limits nothing."""
    if isinstance(limit, MinLen):
        return len(value) >= limit.min_length
    return type(limit) not in _RANGES or bool(_RANGES[type(limit)][1](value, _end(limit)))


_RANGES: dict[type, tuple[str, Callable[[Any, Any], bool]]] = {
    Ge: (">=", operator.ge),
    Gt: (">", operator.gt),
    Le: ("<=", operator.le),
    Lt: ("<", operator.lt),
}


def _end(limit: Any) -> Any:
    """The number of a limit such as ``Ge(ge=0)``."""
    return getattr(limit, type(limit).__name__.lower())


def spelled(hint: Any) -> str:
    """Return what an annotation takes, in words."""
    if get_origin(hint) is Annotated:
        return _spelled_limits(*get_args(hint))
    origin = get_origin(hint)
    if len(members(hint)) > 1:
        return " or ".join(spelled("None" if member is type(None) else member) for member in members(hint))
    if origin is Literal:
        return _one_of([repr(choice) for choice in get_args(hint)])
    if origin is tuple:
        items = [item for item in get_args(hint) if item is not Ellipsis]
        many = len(items) < len(get_args(hint))
        return f"a tuple of {_plural(items[0])}" if many else f"({', '.join(map(spelled, items))})"
    return str(
        _WORDS.get(origin or hint) or getattr(hint, "in_words", None) or getattr(hint, "__name__", hint)
    )


_WORDS: dict[Any, str] = {
    float: "a finite number",
    int: "an integer",
    str: "a text",
    bool: "true or false",
    Mapping: "a mapping",
}


def _spelled_limits(base: Any, *limits: Any) -> str:
    if said := next((limit for limit in limits if isinstance(limit, str)), ""):
        return said
    words = "a number" if Infinite in limits else spelled(base)
    ranges: list[Any] = [limit for limit in limits if type(limit) in _RANGES]
    if base is int and [type(limit) for limit in ranges] == [Ge]:
        return f"an integer of at least {ranges[0].ge}"
    if len(ranges) == 2:
        low, high = ((_end(limit), type(limit)) for limit in ranges)
        return f"{words} in {'(' if low[1] is Gt else '['}{low[0]}, {high[0]}{')' if high[1] is Lt else ']'}"
    if any(isinstance(limit, MinLen) for limit in limits):
        least = next(limit.min_length for limit in limits if isinstance(limit, MinLen))
        return words.replace(
            "a tuple of", "a non-empty tuple of" if least == 1 else f"a tuple of at least {least}"
        )
    return words + "".join(f" {_RANGES[type(limit)][0]} {_end(limit)}" for limit in ranges)


def _one_of(choices: list[str]) -> str:
    return choices[0] if len(choices) == 1 else f"{', '.join(choices[:-1])} or {choices[-1]}"


def _plural(hint: Any) -> str:
    """Several of what `spelled` says of one."""
    return " or ".join(_plural_words(spelled(member)) for member in members(hint))


def _plural_words(words: str) -> str:
    if words.startswith(("(", "'")):
        return words
    noun, *rest = re.split(r"(?= of | such as | in | [<>])", re.sub("^an? ", "", words), maxsplit=1)
    return "".join((noun, "s", *rest))


def members(hint: Any) -> tuple[Any, ...]:
    """Return the alternatives of a union; any other annotation is the only one."""
    return get_args(hint) if get_origin(hint) in (typing.Union, types.UnionType) else (hint,)


def bare(hint: Any) -> Any:
    """Return an annotation without its limits."""
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def fields_of(node: type) -> tuple[Field[Any], ...]:
    """Return the fields that make the node what it is, in order; its name is none of them."""
    return tuple(item for item in fields(node) if item.init and item.name != "name")


@cache
def hints_of(node: type) -> dict[str, Any]:
    """Return the annotation of each field, with names resolved and limits kept; anything goes where a name is out of reach."""
    try:
        return typing.get_type_hints(node, include_extras=True)
    except NameError:  # of a class in a function, or imported for type checkers only
        homes = {
            name: base for base in reversed(node.__mro__) for name in vars(base).get("__annotations__", ())
        }
        return {item.name: _hint_of(item, homes[item.name]) for item in fields(node)}


def _hint_of(item: Field[Any], home: type) -> Any:
    one: Any = types.SimpleNamespace(__annotations__={item.name: item.type})
    try:
        return typing.get_type_hints(one, vars(sys.modules[home.__module__]), include_extras=True)[item.name]
    except NameError:
        return Any


def is_required(item: Field[Any]) -> bool:
    """Whether a field must be given."""
    return item.default is MISSING and item.default_factory is MISSING


@cache
def _limits_of(node: type) -> dict[str, tuple[Any, bool]]:
    """The annotation of each field, and whether None stands for one that was left out."""
    hints = hints_of(node)
    return {
        item.name: (hints[item.name], is_required(item) and type(None) not in members(hints[item.name]))
        for item in fields_of(node)
    }
