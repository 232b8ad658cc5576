"""The library: reward programs that were written for this project's own tasks, as examples of how it is done.

They lie in `library/`, a file each, with an index. They are texts to be read by `read_program` and never imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files

import yaml

from shapegym.shaping.errors import ShapingError, suggest


class LibraryError(ShapingError, ValueError):
    """No reference program has such a name."""


@dataclass(frozen=True)
class Reference:
    """A program of the library.

    Attributes:
        name: its name, and its file's.
        env: id of the task that it was written for.
        family: what programs for the same task share, whatever its size.
        about: what it shows, in a few words.
        about_tasks: patterns of the ids of all tasks of the family.
        source: its text.
    """

    name: str
    env: str
    family: str
    about: str
    about_tasks: tuple[str, ...]
    source: str


@cache
def references() -> tuple[Reference, ...]:
    """Return all programs of the library, in the order of its index."""
    folder = files(__package__) / "library"
    index = yaml.safe_load((folder / "library.yaml").read_text(encoding="utf-8"))
    return tuple(
        Reference(
            name,
            **entry,
            about_tasks=tuple(index["families"][entry["family"]]),
            source=(folder / f"{name}.py").read_text(encoding="utf-8"),
        )
        for name, entry in index["programs"].items()
    )


def reference(name: str) -> Reference:
    """Return the program of a name.

    Raises:
        LibraryError: there is none.
    """
    known = {each.name: each for each in references()}
    if name not in known:
        raise LibraryError(f"There is no reference program {name!r}.{suggest(name, known)}")
    return known[name]


def examples_for(env: str, count: int = 2) -> tuple[Reference, ...]:
    """Return programs to learn from for a task: of other families than its own, a reward and a potential in turn."""
    others = [
        each for each in references() if not any(fnmatchcase(env, pattern) for pattern in each.about_tasks)
    ]
    chosen: list[Reference] = []
    for place in range(count):
        form = "compute_reward" if place % 2 == 0 else "potential"
        taken = {each.family for each in chosen}
        fitting = (each for each in others if each.family not in taken and f"def {form}(" in each.source)
        chosen += [each for each in [next(fitting, None)] if each is not None]
    return tuple(chosen)
