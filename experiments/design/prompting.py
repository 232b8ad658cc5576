"""What models are told: templates in files that people can edit.

A folder of one's own replaces the templates that it has; the others are those of the package. A design keeps a copy of all of them,
so that it can be replayed whatever becomes of the files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template

from shapegym.experiments.errors import DesignError
from shapegym.experiments.runs.run_folder import write_text
from shapegym.shaping.errors import suggest
from shapegym.shaping.limited_files import read_text

FIELDS: Mapping[str, tuple[str, ...]] = {
    "system": (),
    "signs": (),
    "task": ("task", "stub", "reads", "advice"),
    "repair": ("findings",),
    "improve": ("steps", "evidence"),
    "feedback": ("steps", "evidence", "feedback"),
    "mutate": ("steps", "evidence"),
    "cross": ("steps", "first", "second", "evidence", "other_evidence"),
    "analyse": ("task", "steps", "evidence"),
}
"""The templates, and what each may name with a dollar sign."""


@dataclass(frozen=True)
class Prompts:
    """The text of every template, by name."""

    texts: Mapping[str, str]

    @classmethod
    def read(cls, folder: Path | None = None) -> Prompts:
        """Return the templates of the package, those of a folder in their place.

        Raises:
            DesignError: if the folder has a file that is no template, or a template names what it is not told.
        """
        package = Path(str(resources.files("shapegym.experiments.design") / "prompts"))
        files = {name: package / f"{name}.md" for name in FIELDS}
        if folder is not None:
            if not folder.is_dir():
                raise DesignError(
                    f"--prompts takes a folder of templates, and {folder} is none. Copy {package} and edit it."
                )
            own = {path.stem: path for path in sorted(folder.glob("*.md"))}
            if unknown := sorted(own.keys() - FIELDS.keys()):
                raise DesignError(f"{own[unknown[0]]} is no template.{suggest(unknown[0], FIELDS)}")
            files |= own
        return cls({name: _checked(name, path) for name, path in files.items()})

    def write(self, folder: Path) -> None:
        """Keep them all in a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in self.texts.items():
            write_text(folder / f"{name}.md", text)

    def say(self, name: str, **fields: str) -> str:
        """Return a template with what it names filled in."""
        return Template(self.texts[name]).substitute(fields)


def _checked(name: str, path: Path) -> str:
    text = read_text(path, DesignError, "template")
    template = Template(text)
    if not template.is_valid():
        raise DesignError(f"{path} has a dollar sign that names nothing: write $$ for one that is meant so.")
    if unknown := sorted(set(template.get_identifiers()) - set(FIELDS[name])):
        raise DesignError(f"{path} names ${unknown[0]}.{suggest(unknown[0], FIELDS[name])}")
    return text
