"""The folder of a design, which is data at each stage.

======================  ==============================================================================
``design.json``         the brief and its digest, the examples that are shown, the versions
``prompts/``            the templates as they were
``exchanges.jsonl``     every question to the designer and its answer, as they happened
``mends.jsonl``         every program that was given to the grammar to change a part of, and what it made of it
``candidates/N/K/``     of round N: ``program.py``, ``findings.json`` (every attempt, what the critic says), ``outcome.json``
``sweeps/N/``           the training runs of a round, a sweep folder
``rounds.jsonl``        a line for each round: what was asked for, what came of it, the best so far
``best.py``             the best program so far
``report.md``           all of it for people
======================  ==============================================================================

It is written such that whatever kills the design leaves files that are whole; beginning again in the folder goes on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from shapegym.experiments.design.brief import Brief
from shapegym.experiments.design.designer import Precedent
from shapegym.experiments.design.prompting import Prompts
from shapegym.experiments.errors import DesignError, unless_refused
from shapegym.experiments.inside import require_own
from shapegym.experiments.plain import plain
from shapegym.experiments.runs import run_folder
from shapegym.shaping.asking.transcript import EXCHANGES
from shapegym.shaping.limited_files import read_object

DESIGN, PROMPTS, MENDS = "design.json", "prompts", "mends.jsonl"

Examples = Sequence[Precedent]


@dataclass(frozen=True)
class DesignFolder:
    """A design on the disk."""

    path: Path
    brief: Brief
    prompts: Prompts
    examples: Examples

    @property
    def exchanges(self) -> Path:
        """The file of its transcript."""
        return self.path / EXCHANGES

    @property
    def mends(self) -> Path:
        """The file of what the grammar was asked to mend."""
        return self.path / MENDS


def is_design(path: Path) -> bool:
    """Whether a design has begun in a folder."""
    return (path / DESIGN).is_file()


def read_design(path: Path) -> DesignFolder:
    """Return the design of a folder.

    Raises:
        DesignError: if there is none, or it was edited.
    """
    if not is_design(path):
        raise DesignError(f"{path} holds no design: it has no {DESIGN}.")
    data = read_object(path / DESIGN, DesignError, "design")
    try:
        brief = Brief.from_data(data["brief"])
        examples = tuple(
            Precedent(**{key: str(value) for key, value in each.items()}) for each in data["examples"]
        )
        digest = data["digest"]
    except (KeyError, TypeError, ValueError) as error:
        raise DesignError(f"{path / DESIGN} is no design: {error!r}.") from None
    if digest != brief.digest:
        raise DesignError(
            f"{path / DESIGN} was edited: its brief is not the one that its digest names. Begin a new design."
        )
    return DesignFolder(path, brief, Prompts.read(path / PROMPTS), examples)


def begin_design(path: Path, brief: Brief, prompts: Prompts, examples: Examples) -> DesignFolder:
    """Begin a design in a new folder, or go on with the same one.

    Raises:
        DesignError: if the folder holds something else.
    """
    if is_design(path):
        found = read_design(path)
        if found.brief != brief:
            raise DesignError(
                f"{path} is another design ({_difference(found.brief, brief)}). Go on with it by --resume, or give "
                "another folder by --out."
            )
        return found
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise DesignError(f"{path} is not empty, and no design. Give another folder by --out.")
    path.mkdir(parents=True, exist_ok=True)
    prompts.write(path / PROMPTS)
    data = {
        "brief": brief.as_data(),
        "digest": brief.digest,
        "examples": [asdict(each) for each in examples],
        "versions": run_folder.versions(),
    }
    run_folder.write_text(path / DESIGN, json.dumps(plain(data), indent=1) + "\n")  # last: now it is one
    return read_design(path)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Keep a design to this process.

    Raises:
        DesignError: if another one has it.
        RunError: if the disk is full, or the folder may not be written.
    """
    require_own(path, below=False)
    with unless_refused(f"The design in {path}"), run_folder.alone(path):
        yield


def versions_of(path: Path) -> dict[str, Any]:
    """Return the versions that a design was made with."""
    return dict(read_object(path / DESIGN, DesignError, "design").get("versions", {}))


def _difference(then: Brief, now: Brief) -> str:
    before, after = then.as_data(), now.as_data()
    name = next((key for key in before if before[key] != after[key]), "nothing")
    return f"its {name} is {before.get(name)!r}"[:200]
