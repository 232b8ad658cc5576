"""The designs in ``experiments/results/design`` replay: programs, findings, choices and results, to the last bit.

What came of training is taken from the files here, because trainings of a whole design take minutes, and of the larger designs what
the critic said; the slow tests repeat these.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from shapegym.experiments.design.folder import read_design, versions_of
from shapegym.experiments.design.replay import begin_replay, differences
from shapegym.experiments.design.session import Session
from shapegym.experiments.runs import run_folder
from shapegym.shaping.programs.critic import Criticism, Finding

FOLDER = Path(__file__).parents[2] / "experiments/results/design"
DESIGNS = sorted(path.parent.name for path in FOLDER.glob("*/design.json"))
SLOW = [name for name in DESIGNS if name.startswith("door_key") or not name.endswith("model")]
"""The critic has more to gather for a grid world, and the grammar asks it oftener."""
PATIENT = [pytest.mark.slow, pytest.mark.timeout(3_600)]


def _with_tuples(data: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}


class Remembered:
    """Says what the critic said when a design was recorded."""

    def __init__(self, folder: Path) -> None:
        form, self._said = TypeAdapter(tuple[Finding, ...]), {}
        for path in folder.glob("candidates/*/*/findings.json"):
            text = path.read_text().replace('"pays": null', '"pays": NaN')  # which JSON has not
            for attempt in json.loads(text, object_hook=_with_tuples)["attempts"]:
                found = form.validate_python(attempt["findings"])
                self._said[attempt["source"]] = Criticism(found, attempt.get("guidance"))

    def criticise(self, source: str) -> Criticism:
        return self._said[source]


def replayed(
    name: str, place: Path, *, train: bool = False, remembered: bool = False
) -> dict[str, list[str]]:
    recorded = read_design(FOLDER / name)
    session = Session(begin_replay(recorded, place), None, recorded=None if train else recorded.path)
    if remembered:
        session.designer.critic = Remembered(recorded.path)
    session.run(lambda _: None)
    return differences(recorded.path, place)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=PATIENT if name in SLOW else []) for name in DESIGNS]
)
def test_a_recorded_design_replays(name, tmp_path):
    assert differences(FOLDER / name, FOLDER / name) == {}
    assert replayed(name, tmp_path / "again") == {}


@pytest.mark.parametrize("name", SLOW)
def test_what_was_written_and_chosen_replays(name, tmp_path):
    assert replayed(name, tmp_path / "again", remembered=True) == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", DESIGNS)
def test_its_trainings_repeat(name, tmp_path):
    if versions_of(FOLDER / name) != run_folder.versions():
        pytest.skip("It was recorded with other versions, or on another kind of machine.")
    assert replayed(name, tmp_path / "again", train=True) == {}


def test_there_are_designs_of_a_model_and_of_the_grammar():
    proposers = [
        json.loads((FOLDER / name / "design.json").read_text())["brief"]["proposer"] for name in DESIGNS
    ]
    assert any("model" in each for each in proposers)
    assert any("grammar" in each for each in proposers)
