"""What a language model is asked about captions, and how its answer is read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from string import Template

from shapegym.shaping.annotate.labellers import Kind, Payload
from shapegym.shaping.errors import AnnotationError
from shapegym.shaping.limited_files import read_text

WORDS: Mapping[Kind, Mapping[str, float]] = {
    "label": {"FOO": 1.0, "BAR": 0.0},
    "compare": {"FOO": 1.0, "BAR": 0.0, "BAZ": 0.5},
}
"""What a model is told to say, and what it means. Words that mean nothing else are said by nobody who only talks (ONI)."""

FIELDS: Mapping[Kind, tuple[str, ...]] = {"label": ("caption",), "compare": ("first", "second")}
"""What templates may name with a dollar sign, beside ``$task``."""


@cache
def template_of(kind: Kind, own: str = "") -> Template:
    """Return a template, one's own text or that of the package.

    Raises:
        AnnotationError: if it names something else than it is told, or not what it must.
    """
    package = Path(str(resources.files("shapegym.shaping.annotate") / "prompts" / f"{kind}.md"))
    template = Template(own or read_text(package, AnnotationError, "template"))
    named = set(template.get_identifiers()) if template.is_valid() else set()
    if not {*FIELDS[kind]} <= named <= {"task", *FIELDS[kind]}:
        fields = " and ".join(f"${name}" for name in FIELDS[kind])
        raise AnnotationError(
            f"A prompt that asks to {kind} names {fields}, may name $task, and writes $$ for a dollar sign; this one does not: "
            f"{template.template!r:.200}"
        )
    return template


def prompt_for(kind: Kind, payload: Payload, task: str, own: str = "") -> str:
    """Return what is asked: captions in quotes, on one line each."""
    said = {name: json.dumps(payload[name], ensure_ascii=False) for name in FIELDS[kind]}
    return template_of(kind, own).safe_substitute(said, task=task)


def read_answer(kind: Kind, text: str) -> float | None:
    """Return what an answer means; None if it has none of the words, or several of them."""
    words = WORDS[kind]
    said = {word for word in re.findall(r"[A-Za-z]+", text.upper()) if word in words}
    return words[said.pop()] if len(said) == 1 else None


def require_prompt(text: str) -> None:
    """Raise `AnnotationError` if a prompt is a template of neither kind of question."""
    if "$caption" in text or "${caption}" in text:
        template_of("label", text)
    else:
        template_of("compare", text)
