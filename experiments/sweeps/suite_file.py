"""Suite files as text: what stands where, and errors that name file, line and key."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from shapegym.agents.errors import AgentError
from shapegym.experiments.errors import RunError
from shapegym.shaping.errors import ShapingError, suggest
from shapegym.shaping.files.marked_yaml import KeyPath, Place, located, read_yaml_file

_PYDANTIC = re.compile(r"^\w+ should | or instance of \w+$|\.$")
"""What its messages say beside what a value should do."""


@dataclass(frozen=True)
class Origin:
    """Where a suite was read from."""

    path: Path  # of the file
    places: Mapping[KeyPath, Place | tuple[()]]  # line and column of every key and list item; none in data

    @classmethod
    def of_data(cls, data: Any, name: str = "suite") -> Origin:
        """That of data which no file holds."""
        return cls(Path(name), dict.fromkeys(_paths(data), ()))

    def error(self, path: KeyPath, message: str) -> RunError:
        """Return the error for what stands at ``path``, or would stand there."""
        return RunError(located(self.path, self.places, path, message))

    @contextmanager
    def at(self, *path: str | int) -> Iterator[None]:
        """Tell where the file asks for what goes wrong within the block."""
        try:
            yield
        except (RunError, AgentError, ShapingError) as error:
            raise self.error(path, str(error)) from error


def _paths(data: Any, at: KeyPath = ()) -> Iterator[KeyPath]:
    yield at
    items = data.items() if isinstance(data, Mapping) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield from _paths(value, (*at, key))


def read_suite(path: Path) -> tuple[Any, Origin]:
    """Return the data of a suite file.

    Raises:
        RunError: if it cannot be read, or is not the YAML of `shapegym.shaping.files.marked_yaml`.
    """
    data, places = read_yaml_file(path, "suite file", RunError)
    return data, Origin(path, places)


def explain(
    error: ValidationError, origin: Origin, fields_at: Callable[[KeyPath], Collection[str]]
) -> RunError:
    """Return one thing that pydantic found wrong, in our words.

    Args:
        error: what it found.
        origin: of the data.
        fields_at: the keys that the mapping at a path takes.
    """
    found = error.errors(include_url=False)
    unknown = (item for item in found if item["type"] == "extra_forbidden")
    first = next(unknown, found[0])  # what is missing is often what has the unknown name
    path: KeyPath = tuple(first["loc"])
    if first["type"] == "extra_forbidden":
        return origin.error(
            path, f"There is no key {path[-1]!r}.{suggest(str(path[-1]), fields_at(path[:-1]))}"
        )
    if first["type"] == "missing":
        return origin.error(path[:-1], f"The key {path[-1]!r} is missing.")
    while path not in origin.places:  # pydantic adds which alternative of a union it tried
        path = path[:-1]
    tried = [item for item in found if tuple(item["loc"][: len(path)]) == path]
    wanted = dict.fromkeys(_PYDANTIC.sub("", item["msg"]) for item in tried)
    return origin.error(path, f"should {', or '.join(wanted)}; got {first['input']!r}.")
