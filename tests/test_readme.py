"""The examples of the README and of the pages run: each page, in order, as one program."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import gymnasium as gym
import pytest

from shapegym.agents.algorithms import registry
from shapegym.agents.algorithms.registry import algorithms
from shapegym.shaping.files.reward_files import loads
from shapegym.shaping.types import NODES

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    *(
        ROOT / "docs" / f"{page}.md"
        for page in (
            "guide",
            "surfaces",
            "environments",
            "comparisons",
            "alarms",
            "audits",
            "beacons",
            "blending",
            "exploration",
            "extending",
            "gates",
            "goal-similarity",
            "guards",
            "hackable",
            "occupancy",
            "oni",
            "programs",
        )
    ),
]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


@pytest.fixture(autouse=True)
def _forget_what_pages_define():
    """Parts that a page defines must not join the suites that run over every registered one."""
    algorithms()
    tables = (NODES, registry._registered, gym.registry)
    before = [dict(table) for table in tables]
    yield
    for table, entries in zip(tables, before, strict=True):
        table.clear()
        table.update(entries)


@pytest.mark.filterwarnings("ignore::UserWarning")  # examples leave SB3's advice on batch sizes aside
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_examples_run(page, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # where examples leave their files
    module = ModuleType("page")  # dataclasses look their module up
    monkeypatch.setitem(sys.modules, "page", module)
    found = blocks(page, "python")
    assert found
    for source in found:
        exec(compile(source, str(page), "exec", dont_inherit=True), module.__dict__)


def test_yaml_examples_load():
    for page in PAGES:
        for source in blocks(page, "yaml"):
            loads(source)


def test_links_lead_somewhere():
    for page in (*PAGES, ROOT / "docs" / "architecture.md", ROOT / "CONTRIBUTING.md"):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
