"""YAML as plain data, with the place of everything in it.

A strict and safe part of YAML: mappings, lists, texts, numbers, true, false and null, spelt as YAML 1.2's core schema has them (so
``on`` is a text and ``1e-3`` a number). Tags, aliases, repeated keys and keys that are not text are errors, so a file can neither
run code nor grow when read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from shapegym.shaping.errors import said_as

Place: TypeAlias = tuple[int, int]
"""Line and column, from 1."""

KeyPath: TypeAlias = tuple[str | int, ...]
"""How to reach a value from the top: keys and list positions."""


class YamlError(ValueError):
    """A text that is not the YAML described above."""

    def __init__(self, message: str, place: Place) -> None:
        super().__init__(f"{place[0]}:{place[1]}: {message}")
        self.message = message


_TAG = "tag:yaml.org,2002:"
_FLOAT = r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan"
_SCALARS: tuple[tuple[str, str, list[str], Callable[[str], Any]], ...] = (
    ("null", r"~|null|", ["~", "n", ""], lambda _: None),
    ("bool", r"true|false", list("tf"), lambda text: text == "true"),
    ("int", r"[-+]?[0-9]+", list("-+0123456789"), int),
    ("float", _FLOAT, list("-+.0123456789"), lambda text: float(re.sub(r"\.(inf|nan)", r"\1", text))),
)
"""Kinds: how they are spelt, begin, and are read."""
_READ: dict[str, Callable[[str], Any]] = {"str": str, **{kind: read for kind, _, _, read in _SCALARS}}


class _Reader(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "anchor", None) is not None:
            raise YamlError(
                f"Anchors and aliases (&{event.anchor}, *{event.anchor}) are not read: write it out.",
                _place(event.start_mark),
            )
        return super().compose_node(parent, index)


class _Writer(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


for _class in (_Reader, _Writer):
    _class.yaml_implicit_resolvers = {}  # without YAML 1.1's: on, 010, 1:30, 2001-01-01
    for _name, _pattern, _starts, _ in _SCALARS:
        _class.add_implicit_resolver(_TAG + _name, re.compile(f"^({_pattern})$"), _starts)


def read_text(path: str | os.PathLike[str], what: str, misfit: type[Exception]) -> str:
    """Return the text of a file; ``misfit`` says why ``what`` cannot be read, or that it is no UTF-8."""
    with said_as(misfit, OSError, f"The {what} {path} cannot be read: "):
        content = Path(path).read_bytes()
    with said_as(
        misfit, UnicodeDecodeError, f"The {what} {path} is not UTF-8 text (", "); save it as UTF-8."
    ):
        return content.decode()


def located(source: object, places: Mapping[KeyPath, tuple[int, ...]], path: KeyPath, message: str) -> str:
    """Return a message about what stands at ``path``, or would stand there: ``"file:line:column: key[0].key: message"``."""
    known = path
    while known not in places:
        known = known[:-1]
    return f"{':'.join(map(str, (source, *places[known])))}: {dotted(path)}{message}"


def dotted(path: KeyPath) -> str:
    """Return a path as messages begin with it, ``"key[0].key: "``; nothing for the whole."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).lstrip(".")
    return f"{text}: " if text else ""


def read_yaml(text: str) -> tuple[Any, dict[KeyPath, Place]]:
    """Return the data, and the place of each key and list item by its path; ``()`` is the whole.

    Raises:
        YamlError: if ``text`` is not the YAML described above.
    """
    places: dict[KeyPath, Place] = {(): (1, 1)}
    try:
        reader = _Reader(text)
        root = reader.get_single_node()
        data = None if root is None else _plain(root, (), places)
    except yaml.MarkedYAMLError as error:
        place = _place(error.problem_mark or error.context_mark)
        raise YamlError(f"Not YAML: {error.problem or error.context}.", place) from None
    except yaml.reader.ReaderError as error:
        raise YamlError(f"Not YAML: the character {error.character!r} is not allowed.", (1, 1)) from None
    except RecursionError:
        raise YamlError("Nested too deeply.", (1, 1)) from None
    return data, places


def write_yaml(data: Any) -> str:
    """Return plain data as the YAML that `read_yaml` reads."""
    return yaml.dump(data, Dumper=_Writer, sort_keys=False, allow_unicode=True, width=100)


def _plain(node: yaml.Node, path: KeyPath, places: dict[KeyPath, Place]) -> Any:
    kind = node.tag.removeprefix(_TAG)
    if isinstance(node, yaml.SequenceNode) and kind == "seq":
        for position, item in enumerate(node.value):
            places[*path, position] = _place(item.start_mark)
        return [_plain(item, (*path, position), places) for position, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode) and kind == "map":
        return _mapping(node, path, places)
    if isinstance(node, yaml.ScalarNode) and kind in _READ:
        try:
            return _READ[kind](node.value)
        except ValueError as error:
            raise YamlError(f"Not a number: {error}.", _place(node.start_mark)) from None
    raise YamlError(f"The tag {node.tag!r} is not allowed.", _place(node.start_mark))


def _mapping(node: yaml.MappingNode, path: KeyPath, places: dict[KeyPath, Place]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise YamlError("A key must be a text.", _place(key.start_mark))
        if key.value in data:
            raise YamlError(
                f"The key {key.value!r} is repeated (first in line {places[*path, key.value][0]}).",
                _place(key.start_mark),
            )
        places[*path, key.value] = _place(key.start_mark)
        data[key.value] = _plain(value, (*path, key.value), places)
    return data


def _place(mark: yaml.Mark | None) -> Place:
    return (1, 1) if mark is None else (mark.line + 1, mark.column + 1)
