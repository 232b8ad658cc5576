"""The study of goal similarity: its quick form has the shape of the whole, its parts are right, and it goes on where it stopped."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from shapegym.experiments.errors import RunError
from shapegym.experiments.pictured import yard
from shapegym.experiments.studies.claims import StudyRequest
from shapegym.experiments.studies.index import load_study
from shapegym.experiments.studies.papers.goal_similarity import distances, learning, sayings
from shapegym.shaping.audit.exact import starc
from shapegym.shaping.similarity.words import WordHash

DONE: list[int] = []


def squares(number: int) -> list[float]:
    DONE.append(number)
    return [float(number**2)]


def test_rows_are_kept_and_not_done_again(tmp_path: Path) -> None:
    request = StudyRequest((0,), rows=tmp_path / "rows.jsonl")
    DONE.clear()
    assert request.map_rows(squares, [1, 2]) == {1: [1.0], 2: [4.0]}
    with (tmp_path / "rows.jsonl").open("a") as file:
        file.write('{"of": "tes')  # a process was killed
    assert request.map_rows(squares, [1, 2, 3]) == {1: [1.0], 2: [4.0], 3: [9.0]}
    assert DONE == [1, 2, 3]
    (tmp_path / "rows.jsonl").write_text('{"of": "test_study_goal_similarity.squares"}\n')
    with pytest.raises(RunError, match="holds a row of no study"):
        request.map_rows(squares, [1])


def test_what_is_wanted_has_no_distance_from_itself_and_its_opposite_the_largest() -> None:
    assert distances.distance(3.0 * yard.WANTED + 1.0) == pytest.approx(0.0, abs=1e-9)
    assert distances.distance(-yard.WANTED) == pytest.approx(1.0)


def test_a_nuisance_that_nobody_can_change_has_no_distance() -> None:
    """Another light at each hour, beside the yard: two lights that change at random."""
    P, light = yard.transitions(), np.array([[0.7, 0.3], [0.2, 0.8]])
    both = np.einsum("sat,lm->slatm", P, light).reshape(100, 5, 100)
    wanted, dazzling = np.repeat(yard.WANTED, 2), np.tile([0.0, 3.0], 50)
    paid, true = (np.broadcast_to(each, both.shape) for each in (wanted + dazzling, wanted))
    assert starc(both, paid, true, 0.95) == pytest.approx(0.0, abs=1e-9)


def test_projection_beats_both_ends_on_the_nuisance_task() -> None:
    found = np.array([distances.synthetic(distances.Draw(seed, 0.5)) for seed in range(16)]).mean(axis=0)
    assert found[5] < found[0] - 0.005
    assert found[5] < found[-1] - 0.005


def test_a_planner_says_which_captions_are_progress() -> None:
    heard = {each.caption: each for each in sayings.listen("MiniGrid-DoorKey-5x5-v0", 0, 60)}
    assert heard["you reach the goal"].progress > 0.9
    assert heard["you pick up the yellow key"].progress > 0.5
    assert heard["you drop the yellow key"].progress < 0
    assert heard["you turn left"].progress == 0.0
    own = [each.progress for each in heard.values()]
    assert sayings.agreement(list(heard.values()), own) == pytest.approx(1.0)
    assert sayings.agreement(list(heard.values()), [-value for value in own]) == pytest.approx(-1.0)
    values = dict(zip(heard, sayings.likeness(list(heard.values()), WordHash(1024)), strict=True))
    assert values["you reach the goal"] > values["you turn left"] == pytest.approx(0.0, abs=0.2)


def test_steps_to_success() -> None:
    assert learning.steps_to([0.1, 0.8, 0.2, 1, 1, 1, 1, 1], 8000) == 2000
    assert learning.steps_to([0.0] * 8, 8000) == math.inf


@pytest.mark.slow
def test_the_quick_form_has_the_shape_of_the_whole() -> None:
    findings = load_study("goal-similarity").run(StudyRequest(seeds=(0,), quick=True))
    titles = [table.title.partition(":")[0] for table in findings.tables]
    assert titles[:2] == ["Synthetic encoders", "Trained encoders"]
    assert len(findings.claims) >= 4
