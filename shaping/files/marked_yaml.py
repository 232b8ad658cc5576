"""YAML as plain data, with the place of everything in it.

A strict and safe part of YAML: mappings, lists, texts, numbers, true, false and null, spelt as YAML 1.2's core schema has them (so
``on`` is a text and ``1e-3`` a number). Tags, aliases, repeated keys and keys that are not text are errors, so a file can neither
run code nor grow when read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import yaml

from shapegym.shaping.errors import said_as
from shapegym.shaping.limited_files import DEEPEST, MIB, PathLike, in_words, read_text

Place: TypeAlias = tuple[int, int]
"""Line and column, from 1."""

KeyPath: TypeAlias = tuple[str | int, ...]
"""How to reach a value from the top: keys and list positions."""


LARGEST_YAML = MIB
"""Bytes of a file."""
MOST_VALUES = 50_000
"""In a file: mappings, lists, texts, numbers."""


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
_PLAIN = {kind: re.compile(pattern) for kind, pattern, _, _ in _SCALARS}
_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_FRAME = (yaml.StreamStartEvent, yaml.StreamEndEvent, yaml.DocumentStartEvent, yaml.DocumentEndEvent)


class _Writer(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(writer: yaml.SafeDumper, text: str) -> yaml.Node:
    return writer.represent_scalar(f"{_TAG}str", text, style="|" if "\n" in text else None)


_Writer.add_representer(str, _text)
_Writer.yaml_implicit_resolvers = {}  # without YAML 1.1's: on, 010, 1:30, 2001-01-01
for _name, _pattern, _starts, _ in _SCALARS:
    _Writer.add_implicit_resolver(_TAG + _name, re.compile(f"^({_pattern})$"), _starts)


def read_yaml_file(path: PathLike, what: str, misfit: type[Exception]) -> tuple[Any, dict[KeyPath, Place]]:
    """Return the data of a YAML file and their places, as `read_yaml`; ``misfit`` says why ``what`` cannot be read, and where."""
    with said_as(misfit, YamlError, f"{path}:", ""):
        return read_yaml(read_text(path, misfit, what, limit=LARGEST_YAML))


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
    if len(text) > LARGEST_YAML:
        raise YamlError(f"Too long: at most {in_words(LARGEST_YAML)} are read.", (1, 1))
    places: dict[KeyPath, Place] = {(): (1, 1)}
    try:
        events = yaml.parse(text, Loader=_PARSER)
        documents = [_data(event, events, (), places) for event in events if not isinstance(event, _FRAME)]
    except yaml.MarkedYAMLError as error:
        place = _place(error.problem_mark or error.context_mark)
        raise YamlError(f"Not YAML: {error.problem or error.context}.", place) from None
    except yaml.reader.ReaderError as error:
        raise YamlError(f"Not YAML: the character {error.character!r} is not allowed.", (1, 1)) from None
    except UnicodeEncodeError as error:  # half of a surrogate pair
        raise YamlError(f"Not YAML: {error}.", (1, 1)) from None
    if len(documents) > 1:
        raise YamlError("Not YAML: a second document begins.", (1, 1))
    return documents[0] if documents else None, places


def write_yaml(data: Any) -> str:
    """Return plain data as the YAML that `read_yaml` reads."""
    return yaml.dump(data, Dumper=_Writer, sort_keys=False, allow_unicode=True, width=100)


def _data(
    event: yaml.Event, events: Iterator[yaml.Event], path: KeyPath, places: dict[KeyPath, Place]
) -> Any:
    """Return what begins with ``event``. Events come one by one, so what is refused costs nothing more."""
    anchor, tag, place = getattr(event, "anchor", None), getattr(event, "tag", None), _place(event.start_mark)
    if anchor is not None:
        raise YamlError(f"Anchors and aliases (&{anchor}, *{anchor}) are not read: write it out.", place)
    if len(path) > DEEPEST:
        raise YamlError(f"Nested too deeply: at most {DEEPEST} levels are read.", place)
    if len(places) > MOST_VALUES:
        raise YamlError(f"Too much: at most {MOST_VALUES:,} values are read.", place)
    if isinstance(event, yaml.SequenceStartEvent) and tag in (None, "!", f"{_TAG}seq"):
        return _items(events, path, places)
    if isinstance(event, yaml.MappingStartEvent) and tag in (None, "!", f"{_TAG}map"):
        return _mapping(events, path, places)
    if isinstance(event, yaml.ScalarEvent):
        kind = _kind(event) if tag in (None, "!") else tag.removeprefix(_TAG)
        if kind in _READ:
            try:
                return _READ[kind](event.value)
            except ValueError as error:
                raise YamlError(f"Not a number: {error}.", place) from None
    raise YamlError(f"The tag {tag!r} is not allowed.", place)


def _kind(event: yaml.ScalarEvent) -> str:
    plain = event.implicit[0]
    return next((kind for kind, pattern in _PLAIN.items() if plain and pattern.fullmatch(event.value)), "str")


def _items(events: Iterator[yaml.Event], path: KeyPath, places: dict[KeyPath, Place]) -> list[Any]:
    items: list[Any] = []
    while not isinstance(event := next(events), yaml.SequenceEndEvent):
        there = (*path, len(items))
        places[there] = _place(event.start_mark)
        items.append(_data(event, events, there, places))
    return items


def _mapping(events: Iterator[yaml.Event], path: KeyPath, places: dict[KeyPath, Place]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    while not isinstance(key := next(events), yaml.MappingEndEvent):
        place = _place(key.start_mark)
        if not isinstance(key, yaml.ScalarEvent):
            raise YamlError("A key must be a text.", place)
        there = (*path, key.value)
        if key.value in data:
            raise YamlError(f"The key {key.value!r} is repeated (first in line {places[there][0]}).", place)
        places[there] = place
        data[key.value] = _data(next(events), events, there, places)
    return data


def _place(mark: Any) -> Place:
    return (1, 1) if mark is None else (mark.line + 1, mark.column + 1)
