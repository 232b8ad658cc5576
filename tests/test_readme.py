"""The README's examples run, in order, as one program."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from shapegym.shaping.config import loads

README = Path(__file__).parents[1] / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```$", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


@pytest.mark.filterwarnings("ignore::UserWarning")  # examples leave SB3's advice on batch sizes aside
def test_python_examples_run():
    names: dict[str, object] = {}
    found = blocks("python")
    assert len(found) >= 7
    for source in found:
        exec(compile(source, str(README), "exec"), names)


def test_yaml_examples_load():
    for source in blocks("yaml"):
        loads(source)


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#:]+)\)", README.read_text(encoding="utf-8")):
        assert (README.parent / target).exists(), target
