"""Expressions as plain data, and back: the reward files.

    reward:
      sum:
        - task_reward
        - potential: {phi: {distance: {of: features.agent_pos, to: features.goal_pos}}, gamma: 0.99, name: nearer}
        - scale: {by: 0.1, of: {count_bonus: {key: features.agent_pos, scope: episode}}}

A node is a mapping with one key, its registered name, over its fields. Without fields the name alone will do, a text or list or
number in place of the fields is the first of them, and a number in place of an expression is a constant. What a field takes is
what the node's dataclass says; `node_help` lists it.
"""

from __future__ import annotations

import math
import os
from dataclasses import Field, is_dataclass
from functools import cache, reduce
from operator import or_
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args, get_origin

import numpy as np
import pydantic

from shapegym.shaping.algebra import lift
from shapegym.shaping.errors import ExpressionError, RewardFileError, ShapingError, suggest
from shapegym.shaping.files.atomic_file import replacing
from shapegym.shaping.files.marked_yaml import KeyPath, YamlError, read_yaml, write_yaml
from shapegym.shaping.files.schema import (
    family,
    fields_of,
    hints_of,
    is_required,
    kind_of,
    members,
    node_help,
    spelled,
)
from shapegym.shaping.terms.states import STATE_FUNCTIONS, StateFunction, as_state_function
from shapegym.shaping.types import NODES, Expression, snake_case

__all__ = ["Data", "dump_reward", "dumps", "from_data", "load_reward", "loads", "node_help", "to_data"]

Data: TypeAlias = Any
"""Mappings, lists, texts, numbers, booleans and None: what YAML and JSON hold."""


def to_data(expression: Expression) -> Data:
    """Return the expression as plain data, every field written out, so that a default that changes one day changes no old file.

    Raises:
        ExpressionError: if a field holds something that is not plain, such as a function.
    """
    return _encode(expression, type(expression).__name__)


def from_data(data: Data) -> Expression:
    """Return the expression that ``data`` describes, the inverse of `to_data`.

    Raises:
        RewardFileError: if it describes none; says where and what would fit.
    """
    try:
        return _decode(Expression, data, ())
    except _Misfit as misfit:
        raise RewardFileError(f"{_dotted(misfit.path)}{misfit.message}") from misfit.__cause__
    except RecursionError:
        raise RewardFileError("Nested too deeply.") from None


def dumps(expression: Expression) -> str:
    """Return the text of a reward file."""
    return write_yaml({"reward": to_data(expression)})


def loads(text: str, source: str = "<text>") -> Expression:
    """Return the expression that the text of a reward file describes; errors name ``source``.

    Raises:
        RewardFileError: if it describes none; says line, column, key and what would fit.
    """
    try:
        data, places = read_yaml(text)
    except YamlError as error:
        raise RewardFileError(f"{source}:{error.place[0]}:{error.place[1]}: {error.message}") from None
    try:
        if not isinstance(data, dict) or list(data) != ["reward"]:
            found = "nothing" if data is None else ", ".join(data) if isinstance(data, dict) else repr(data)
            raise _Misfit(
                f"A reward file has one key at the top, 'reward', over an expression; this one has {found}.",
                (),
            )
        return _decode(Expression, data["reward"], ("reward",))
    except _Misfit as misfit:
        path = misfit.path
        while path not in places:
            path = path[:-1]
        line, column = places[path]
        raise RewardFileError(
            f"{source}:{line}:{column}: {_dotted(misfit.path)}{misfit.message}"
        ) from misfit.__cause__
    except RecursionError:
        raise RewardFileError(f"{source}: Nested too deeply.") from None


def load_reward(path: str | os.PathLike[str]) -> Expression:
    """Read a reward file. See `loads`."""
    try:
        text = Path(path).read_bytes().decode()
    except OSError as error:
        raise RewardFileError(f"The reward file {path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise RewardFileError(
            f"The reward file {path} is not UTF-8 text (byte {error.start}); save it as UTF-8."
        ) from error
    return loads(text, str(path))


def dump_reward(expression: Expression, path: str | os.PathLike[str]) -> None:
    """Write a reward file, whole or not at all.

    Raises:
        RewardFileError: if it cannot be written.
    """
    text = dumps(expression)
    try:
        with replacing(path) as file:
            file.write(text.encode())
    except OSError as error:
        raise RewardFileError(
            f"The reward file {path} cannot be written: {error.strerror or error}."
        ) from error


class _Misfit(Exception):
    """Data that does not fit, and where."""

    def __init__(self, message: str, path: KeyPath) -> None:
        super().__init__(message)
        self.message = message
        self.path = path


# ---------------------------------------------------------------------- writing


def _encode(value: Any, where: str) -> Data:
    if is_dataclass(value) and not isinstance(value, type):
        name = snake_case(type(value).__name__)
        body = {
            field.name: _encode(getattr(value, field.name), f"{where}.{field.name}")
            for field in fields_of(type(value))
        }
        if isinstance(value, Expression) and value.name is not None:
            body["name"] = value.name
        if not body:
            return name
        only = next(iter(body.values()))
        return {name: only if len(body) == 1 and isinstance(only, (list, str, int, float)) else body}
    if isinstance(value, (tuple, list)):
        return [_encode(item, f"{where}[{position}]") for position, item in enumerate(value)]
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise ExpressionError(
        f"{where} is {value!r} ({type(value).__name__}), which cannot be written as plain data."
    )


# ---------------------------------------------------------------------- reading


def _decode(hint: Any, data: Data, path: KeyPath) -> Any:
    """Return ``data`` as the annotation ``hint`` wants it."""
    alternatives = members(hint)
    nodes = family(hint)
    if nodes and (isinstance(data, dict) or (isinstance(data, str) and data in nodes)):
        return _decode_node(nodes, data, path)
    if StateFunction in alternatives and isinstance(data, str):
        return _build(path, as_state_function, data)
    if Expression in alternatives and isinstance(data, (int, float)) and not isinstance(data, bool):
        return _build(path, lift, data)
    if isinstance(data, list):
        for member in alternatives:
            if get_origin(member) is tuple:
                return _decode_items(get_args(member), data, path)
        if Expression in alternatives:
            raise _Misfit(
                "Here belongs one expression, not a list. To add them up, write {sum: [...]}.", path
            )
    if nodes and isinstance(data, str) and str not in alternatives:
        return _decode_node(nodes, data, path)
    return _decode_leaf(hint, data, path)


def _decode_node(nodes: dict[str, type], data: dict[str, Data] | str, path: KeyPath) -> Any:
    if isinstance(data, dict) and len(data) != 1:
        raise _Misfit(
            f"A node is one key, its name, over its fields; here are {len(data)} keys: {', '.join(map(str, data))}.",
            path,
        )
    name, body = (data, None) if isinstance(data, str) else next(iter(data.items()))
    path = (*path, name) if isinstance(data, dict) else path
    if name not in nodes:
        other = NODES.get(name) or STATE_FUNCTIONS.get(name)
        what = f"is a {kind_of(other)}, which does not fit here" if other else "is not known here"
        raise _Misfit(f"{name!r} {what}.{suggest(str(name), nodes)}", path)
    node = nodes[name]
    takes = {field.name: field for field in fields_of(node)}
    if body is None or isinstance(body, dict):
        return _build_node(
            node, takes, {key: (value, (*path, key)) for key, value in (body or {}).items()}, path
        )
    if not takes:
        raise _Misfit(f"{name!r} has no fields, got {body!r}.", path)
    return _build_node(node, takes, {next(iter(takes)): (body, path)}, path)


def _build_node(
    node: type, takes: dict[str, Field[Any]], body: dict[str, tuple[Data, KeyPath]], path: KeyPath
) -> Any:
    """Return the node from its fields, each with the place where it is written."""
    spelling = snake_case(node.__name__)
    allowed = (*takes, "name") if issubclass(node, Expression) else tuple(takes)
    for key, (_, place) in body.items():
        if key not in allowed:
            inner = next((name for name in takes if key in family(hints_of(node)[name])), None)
            hint = (
                suggest(str(key), allowed)
                if inner is None
                else f" A node goes under its field: {{{inner}: {{{key}: ...}}}}."
            )
            raise _Misfit(f"{spelling!r} has no field {key!r}.{hint}", place)
    for key, field in takes.items():
        if key not in body and is_required(node, field):
            raise _Misfit(f"{spelling!r} needs the field {key!r}: {spelled(hints_of(node)[key])}.", path)
    hints = hints_of(node)
    values = {key: _decode(hints[key], value, place) for key, (value, place) in body.items()}
    name = values.pop("name", None)
    built = _build(path, node, **values)
    return built if name is None else _build(body["name"][1], built.named, name)


def _decode_items(items: tuple[Any, ...], data: list[Data], path: KeyPath) -> tuple[Any, ...]:
    if items[-1] is Ellipsis:
        items = (items[0],) * len(data)
    if len(items) != len(data):
        raise _Misfit(f"Here belong {len(items)} items, not {len(data)}.", path)
    return tuple(
        _decode(hint, item, (*path, position))
        for position, (hint, item) in enumerate(zip(items, data, strict=True))
    )


def _decode_leaf(hint: Any, data: Data, path: KeyPath) -> Any:
    if not _fits(hint, data):
        choices = [
            str(choice)
            for member in members(hint)
            if get_origin(member) is Literal
            for choice in get_args(member)
        ]
        near = suggest(data, choices) if choices and isinstance(data, str) else ""
        raise _Misfit(f"Expected {spelled(hint)}, got {data!r}.{near}", path)
    if isinstance(data, float) and math.isnan(data):
        raise _Misfit("NaN is no value of a field.", path)
    return data


def _fits(hint: Any, data: Data) -> bool:
    """Whether a plain value fits, strictly: a text is no number and a number no flag. Nodes and lists have been read by now."""
    plain = [member for member in members(hint) if get_origin(member) is not tuple and not family(member)]
    try:
        if plain:
            _adapter(reduce(or_, plain)).validate_python(data)
    except (pydantic.ValidationError, OverflowError):
        return False
    return bool(plain)


@cache
def _adapter(hint: Any) -> pydantic.TypeAdapter[Any]:
    return pydantic.TypeAdapter(hint, config=pydantic.ConfigDict(strict=True))


def _build(path: KeyPath, make: Any, *args: Any, **kwargs: Any) -> Any:
    try:
        return make(*args, **kwargs)
    except (ShapingError, TypeError, ValueError, OverflowError) as error:
        raise _Misfit(str(error), path) from error


def _dotted(path: KeyPath) -> str:
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).lstrip(".")
    return f"{text}: " if text else ""
