"""What comes of training is read from files of runs; programs are tried behind the wall before they are compiled here."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pretend_design import SEEN, Picky, pretended

from shapegym.experiments.design import training
from shapegym.experiments.design.brief import Brief
from shapegym.experiments.design.candidate import Ask, Attempt, Candidate
from shapegym.experiments.design.failing import Ending, in_words
from shapegym.experiments.design.loop import as_json
from shapegym.experiments.design.outcome import Outcome, outcome_of
from shapegym.experiments.design.preset import load_preset
from shapegym.experiments.design.training import RecordedTrainer, SweepTrainer
from shapegym.experiments.errors import DesignError
from shapegym.experiments.sweeps.results import ResultRow
from shapegym.shaping.programs.abstraction import Abstraction, Feature
from shapegym.shaping.programs.wall import Outcome as Tried

GOOD = "def compute_reward(before, after, action):\n    a = after.x\n    return a, {'a': a}\n"


def candidate(source: str = GOOD) -> Candidate:
    return Candidate(1, 0, Ask("new"), (Attempt(source, findings=Picky().criticise(source).findings),))


def row(success: float | None, seed: int = 0) -> ResultRow:
    return ResultRow(
        f"task/c0/{seed}",
        "task",
        "c0",
        "task/c0",
        seed,
        0,
        {},
        "d",
        1000,
        success,
        0.5,
        10.0,
        20,
        None,
        None,
        {},
        {},
        {},
    )


def folder(path: Path, successes: list[float | None], practised: bool | None = None) -> Path:
    path.mkdir()
    steps = [100 * (number + 1) for number in range(len(successes))]
    evaluations = [
        {
            "step": step,
            "episodes": 20,
            "success_rate": success,
            "mean_return": success or 0.25,
            "mean_length": 9.0,
        }
        for step, success in zip(steps, successes, strict=True)
    ]
    episodes = [
        {"step": step, "lane": 0, "length": 9, "task_return": 0.0, "shaped_return": 1.0, "success": practised and step == 100,
         "parts": {"task_reward": 0.0, "reward_program": 2.0 * step}, "logged": {"reward_program/near": 1.0 * step}}
        for step in steps
    ]  # fmt: skip
    for name, rows in (("evaluations.jsonl", evaluations), ("episodes.jsonl", episodes)):
        (path / name).write_text("".join(json.dumps(each) + "\n" for each in rows))
    return path


def test_the_last_evaluations_count_and_not_the_best_moment(tmp_path):
    place = folder(tmp_path / "a", [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.1, 0.2, 0.3, 0.4])
    found = outcome_of([row(0.5)], [place], ["- x."], ["runs/a"])
    assert found.success[0] == pytest.approx(np.mean([0.2, 0.3, 0.4, 0.5]))
    assert found.success[1] < found.success[0] < found.success[2]
    assert found.courses["success"].values == (
        0.0,
        0.0,
        1.0,
        0.0,
        0.0,
        0.0,
        0.1,
        0.2,
        0.3,
        pytest.approx(0.45),
    )
    assert found.frames == 1000
    assert Outcome.from_data(json.loads(as_json(found.as_data()))) == found


def test_what_no_evaluation_tells_apart_is_told_by_success_while_it_learned(tmp_path):
    never, once = (
        outcome_of([row(0.0)], [folder(tmp_path / name, [0.0] * 4, practised)], [], [])
        for name, practised in (("a", False), ("b", True))
    )
    assert (never.practice, once.practice) == (0.0, 0.25)
    assert never.score < once.score
    assert never.score[:2] == once.score[:2]


def test_parts_are_told_by_their_own_names(tmp_path):
    found = outcome_of([row(0.5)], [folder(tmp_path / "a", [0.0, 0.5])], [], [])
    (name,) = (each for each in found.courses if "paid" in each)
    assert name == "near (paid an episode)"
    assert found.courses[name].high == 200.0
    assert "- near (paid an episode): [" in found.in_words()


def test_tasks_that_do_not_tell_success_are_judged_by_their_return(tmp_path):
    runs = [folder(tmp_path / name, [None, None]) for name in "ab"]
    found = outcome_of([row(None), row(None, 1)], runs, [], [])
    assert found.success is None
    assert found.score == (
        0.0,
        pytest.approx(0.5),
        0.0,
    )  # of runs this short the final evaluation is all there is
    assert "success" not in found.courses


def test_what_the_wall_stops_is_not_trained_and_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "behind_wall", lambda job: Tried(failure="It took more than 10 s."))
    monkeypatch.setattr(training, "sweep", lambda *_, **__: pytest.fail("trained"))
    brief = Brief("shapegym/Corridor-v0", load_preset("eureka"), 100, proposer={"model": "m"})
    (judged,) = SweepTrainer(tmp_path, brief, SEEN).train(1, [candidate()])
    assert (judged.outcome, judged.trouble) == (None, "It took more than 10 s.")


@pytest.mark.parametrize(
    "source", [GOOD, "def potential(state):\n    a = state.pos[0]\n    return a, {'a': a}\n"]
)
def test_what_the_wall_is_given_fits_the_program(tmp_path, monkeypatch, source):
    jobs: list[Any] = []
    monkeypatch.setattr(training, "behind_wall", lambda job: jobs.append(job) or Tried())
    monkeypatch.setattr(SweepTrainer, "_trained", lambda self, number, candidates: candidates)
    brief = Brief("shapegym/Corridor-v0", load_preset("eureka"), 100, proposer={"model": "m"})
    SweepTrainer(tmp_path, brief, SEEN).train(1, [candidate(source)])
    ((read, values),) = jobs[0].columns.items()
    assert values.shape[:2] == (8, 64)
    assert read in (("after", "x"), ("state", "pos"))


def test_recorded_outcomes_are_those_of_the_same_program(tmp_path):
    place = tmp_path / "candidates/1/0"
    place.mkdir(parents=True)
    (place / "outcome.json").write_text(
        as_json({"source": GOOD, "trouble": "", "outcome": pretended(GOOD).as_data()})
    )
    (found,) = RecordedTrainer(tmp_path).train(1, [candidate()])
    assert found.outcome == pretended(GOOD)
    with pytest.raises(DesignError, match="another program"):
        RecordedTrainer(tmp_path).train(1, [candidate(GOOD.replace("after.x", "before.x"))])
    (place / "outcome.json").write_text(as_json({"source": GOOD, "outcome": {"success": 1}}))
    with pytest.raises(DesignError, match="no outcome"):
        RecordedTrainer(tmp_path).train(1, [candidate()])


def test_failures_in_words_say_what_they_have_in_common():
    seen = Abstraction(
        "",
        (
            Feature("has_key", 0, "truth"),
            Feature("carrying", 0, "whole", 0, 9, codes=((0, "nothing"), (5, "a key"))),
            Feature("height", 0, "number", 0, 1),
            Feature("pos", 2, "number", 0, 9),
        ),
        Feature("action", 0, "whole", 0, 2, codes=((0, "left"), (2, "forward"))),
    )
    values = {
        "has_key": np.zeros(20, bool),
        "carrying": np.zeros(20, np.int64),
        "height": np.full(20, 0.25),
        "pos": np.tile([3.0, 1.0], (20, 1)),
    }
    stuck = Ending(False, 100, values, [0] * 15 + [2] * 5, frozenset({"has_key"}))
    text = "\n".join(in_words([stuck, stuck, replace(stuck, solved=True)], seen))
    assert "2 of 3 episodes that were watched failed, after 100 steps mostly" in text
    assert "- has_key was true in 0 of 2 (at some time before: 2)." in text
    assert "- carrying was 0 (nothing) in 2 of 2." in text
    assert (
        "- height was 0.25 on average, from 0.25 to 0.25. It did not change in the last 20 steps of 2."
        in text
    )
    assert "- pos was (3, 1) on average." in text
    assert "0 (left), 2 (forward): 75%, 25% of them." in text
    assert in_words([replace(stuck, solved=True)], seen) == ()
