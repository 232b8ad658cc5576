"""The study of ONI: what it says of made-up runs, what its suite compares, numbered captions, and what a language model said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from shapegym.agents.environments import make_vec_env
from shapegym.experiments.studies.claims import StudyRequest
from shapegym.experiments.studies.index import load_study
from shapegym.experiments.studies.papers import oni
from shapegym.experiments.sweeps.plan import Job
from shapegym.experiments.sweeps.results import ResultRow
from shapegym.experiments.sweeps.suite import load_suite
from shapegym.shaping.evaluation.annotators import Question
from shapegym.texts import decode

RESULTS = Path(__file__).parents[2] / "experiments/results"
NUMBERED = "shapegym.experiments.studies.numbered_captions:shapegym/NumberedDoorKey-8x8-v0"


@pytest.fixture(autouse=True)
def _in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])


def _row(task: str, strategy: str, seed: int, solved_at: int, steps: int = 1000) -> ResultRow:
    at = [*range(100, steps + 1, 100)]
    rates = [float(step >= solved_at) for step in at]
    plain = {"mean_return": rates[-1], "mean_length": 1.0, "episodes": 1, "first_success": None}
    return ResultRow(
        id=f"{task}/{strategy}/{seed}",
        task=task,
        strategy=strategy,
        entry=f"{task}/{strategy}",
        seed=seed,
        stage=0,
        variant={},
        digest="",
        steps=steps,
        success_rate=rates[-1],
        shaped_return=None,
        parts={},
        curve={"step": at, "success_rate": rates},
        versions={},
        **plain,
    )


@pytest.mark.parametrize(
    ("solved_at", "steps", "holds"), [(900, 1000, True), (1100, 1000, False), (900, 1100, False)]
)
def test_a_third_of_the_steps_is_what_counts(solved_at: int, steps: int, holds: bool) -> None:
    rows = [_row("doorkey8", "sparse", seed, 900, 3000) for seed in range(3)]
    rows += [_row("doorkey8_third", "retrieval", seed, solved_at, steps) for seed in range(3)]
    (claim,) = oni.findings(tuple(rows)).claims
    assert claim.holds is holds


def test_success_must_not_rise_with_noise_and_a_classifier_must_be_clearly_ahead() -> None:
    def found(clean: int, ten: int, thirty: int, table: int) -> list[bool]:
        rows = []
        for seed in range(3):
            for strategy, at in (("retrieval", clean), ("wrong_10", ten), ("wrong_30", thirty)):
                rows.append(_row("key_corridor_third", strategy, seed, at))
            rows.append(_row("key_corridor_numbered", "retrieval", seed, table))
            rows.append(_row("key_corridor_numbered", "classification", seed, 500))
        return [claim.holds for claim in oni.findings(tuple(rows)).claims]

    assert found(300, 300, 2000, 2000) == [True, True]
    assert found(2000, 300, 300, 300) == [False, False]


def test_ppo_alone_has_the_settings_of_the_suite_exploration_and_three_times_the_steps() -> None:
    ours, theirs = load_suite(oni.suite()), load_suite("exploration")
    for task, third in oni.BASELINES.items():
        alone, there = (suite.request(task, "sparse", 0) for suite in (ours, theirs))
        assert (alone.env, alone.settings) == (there.env, there.settings)
        assert alone.steps >= 3 * ours.request(third, "retrieval", 0).steps
    paid = theirs.strategies("key_corridor_s3r3")["oni"]["sum"][1]["scale"]
    assert paid["by"] == oni.WEIGHT
    asked = paid["of"]["product"][0]["model_output"]["model"]["retrieval"]["by"]
    assert asked["oracle"]["labels"] == [[pattern, 1.0] for pattern in oni.HELPFUL]
    digests = [
        Job("", "", suite.request("key_corridor_s3r3", "sparse", 0)).digest for suite in (ours, theirs)
    ]
    assert digests[0] == digests[1], "so its rows are the same"


def test_recorded_rows_are_of_what_the_suite_asks_for() -> None:
    suite, rows = load_suite(oni.suite()), (RESULTS / "oni/results.jsonl").read_text().splitlines()
    entries = {*suite.entries()}
    for row in map(json.loads, rows):
        assert (row["task"], row["strategy"]) in entries
        job = Job(row["task"], row["strategy"], suite.request(row["task"], row["strategy"], row["seed"]))
        assert job.digest == row["digest"], row["id"]


@pytest.mark.parametrize("model", oni.MODELS)
def test_what_a_model_said_replays(model: str) -> None:
    """Every caption is asked about again, and its answer comes from the transcript."""
    for task in oni.GOALS:
        labels = oni.labels_of(task, model)
        annotator = oni.told(task, model).open()
        questions = [Question("oni", number, {"caption": caption}) for number, caption in enumerate(labels)]
        came = {answer.question: answer for answer in annotator._answer_all(questions)}
        assert [came[each.id].payload for each in questions] == [*labels.values()]
        assert len(labels) > 20


def test_numbered_captions_are_the_captions_with_a_number_and_nothing_else_changes() -> None:
    plain = make_vec_env("shapegym/MiniGrid-DoorKey-8x8-v0", 3, seed=1, features=["caption"])
    numbered = make_vec_env(NUMBERED, 3, seed=1, observation="flat")
    np.testing.assert_array_equal(plain.reset(), numbered.reset())
    rng, seen = np.random.default_rng(0), set[str]()
    for _ in range(700):  # past the end of episodes
        actions = rng.integers(7, size=3)
        steps = plain.step(actions), numbered.step(actions)
        np.testing.assert_array_equal(steps[0][0], steps[1][0])
        said = [decode(venv.last_step.next_features["caption"]) for venv in (plain, numbered)]
        told = decode(numbered.last_step.next_features["numbered_caption"])
        assert said[0] == said[1] == [text.rpartition(" (")[0] for text in told]
        seen |= {*told}
    assert len(seen) > 1500


@pytest.mark.slow
def test_the_quick_form_runs_and_goes_on_where_it_was(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    study = load_study("oni")
    said: list[str] = []
    request = StudyRequest(seeds=(100,), quick=True, say=said.append)
    first, again = study.run(request), study.run(request)
    assert first == again
    assert "13 of 13 runs" in said[-1]
