"""Runs whose reward asks somebody: the answers are in the run folder, and a repetition asks nobody."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from shapegym.experiments.errors import RunError
from shapegym.experiments.runs import run_folder
from shapegym.experiments.runs.request import RunConfig
from shapegym.experiments.runs.run import train
from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.errors import AnnotationError
from shapegym.shaping.promises import Replay
from shapegym.shaping.transitions import Experience, Spec, State, Transitions
from shapegym.shaping.types import NODES, Term

MODULE = '''
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from shapegym.shaping.evaluation.annotators import ScriptedAnnotator
from shapegym.shaping.promises import Replay
from shapegym.shaping.types import Term


@dataclass(frozen=True)
class JudgedCell(Term):
    """What somebody said of the state: asked once for each, 0 until the answer has come."""

    asks: ClassVar[bool] = True
    replay: ClassVar[Replay] = Replay.FROZEN

    @property
    def reads(self):
        return ("state",)

    def annotator(self):
        return ScriptedAnnotator(lambda cell: cell / 100, latency=2)

    def init(self, spec):
        return {"worth": np.zeros(100), "asked": np.zeros(100, dtype=bool)}

    def questions(self, transitions, state):
        new = [int(cell) for cell in np.unique(transitions.next_features["state"]) if not state["asked"][cell]]
        state["asked"][new] = True
        return new

    def answered(self, question, answer, state):
        state["worth"][question] = answer

    def measure(self, transitions, state, *inputs):
        return state["worth"][np.asarray(transitions.next_features["state"])]
'''
SMALL: dict[str, Any] = {
    "settings": {"num_envs": 2, "n_steps": 16, "batch_size": 32, "n_epochs": 1},
    "eval_episodes": 2,
}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "judges_of_cells.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    reward = {"sum": ["task_reward", "judged_cell"]}
    yield RunConfig(
        "shapegym/Corridor-v0", 256, reward=reward, checkpoint_every=64, imports=["judges_of_cells"], **SMALL
    )
    NODES.pop("judged_cell", None)
    sys.modules.pop("judges_of_cells", None)


def repeated(config: RunConfig, folder: Path, scratch: Path) -> None:
    train(config, scratch, answers_of=folder)
    assert (scratch / run_folder.RESULT).read_bytes() == (folder / run_folder.RESULT).read_bytes()
    assert not (scratch / run_folder.ANSWERS).exists()


def test_a_run_is_repeated_from_its_answers(config: RunConfig, tmp_path: Path) -> None:
    train(config, tmp_path / "run")
    log = (tmp_path / "run" / run_folder.ANSWERS).read_text(encoding="utf-8").splitlines()
    assert len(log) >= 4
    repeated(config, tmp_path / "run", tmp_path / "again")


def test_an_interrupted_run_goes_on_and_is_repeated_as_a_whole(config: RunConfig, tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    def stop(step: int, _: Any) -> None:
        if step >= 160:
            raise Killed

    with pytest.raises(Killed):
        train(config, tmp_path / "run", progress=stop)
    train(config, tmp_path / "run", resume=True)
    repeated(config, tmp_path / "run", tmp_path / "again")


def test_a_log_of_another_run_is_refused(config: RunConfig, tmp_path: Path) -> None:
    train(config, tmp_path / "run")
    log = tmp_path / "run" / run_folder.ANSWERS
    log.write_text("".join(log.read_text(encoding="utf-8").splitlines(keepends=True)[1:]), encoding="utf-8")
    with pytest.raises(AnnotationError, match=r"answers\.jsonl"):
        train(config, tmp_path / "again", answers_of=tmp_path / "run")


@pytest.fixture
def fitted() -> Iterator[Term]:
    """A term that counts its fits, which is none of the project's."""

    @dataclass(frozen=True)
    class Fitted(Term):
        learned: ClassVar[bool] = True
        replay: ClassVar[Replay] = Replay.FROZEN

        def init(self, spec: Spec) -> State:
            return {"fits": 0}

        def fit(self, experience: Experience, state: State, *inputs: np.ndarray) -> dict[str, float]:
            state["fits"] += 1
            return {}

        def measure(self, transitions: Transitions, state: State, *inputs: np.ndarray) -> np.ndarray:
            return np.full(transitions.num_lanes, float(state["fits"]))

    yield Fitted()
    NODES.pop("fitted")


def test_steps_between_fits_are_part_of_the_request(tmp_path: Path, fitted: Term) -> None:
    assert "learn_every" not in RunConfig("a", 1).as_data()
    assert RunConfig("a", 1, learn_every=32).as_data()["learn_every"] == 32
    with pytest.raises(RunError, match="learn_every must be an integer of at least 1 or None, got 0"):
        RunConfig("a", 1, learn_every=0)
    settings = {"num_envs": 1, "learning_starts": 10, "buffer_size": 100}
    config = RunConfig(
        "shapegym/Corridor-v0",
        40,
        "DQN",
        reward=TaskReward() + fitted,
        settings=settings,
        learn_every=16,
        checkpoint_every=20,
        eval_episodes=1,
    )
    train(config, tmp_path / "run")
    assert "learn_every: 16" in (tmp_path / "run" / run_folder.CONFIG).read_text(encoding="utf-8")
    assert RunConfig.from_folder(tmp_path / "run").learn_every == 16
