"""Nodes that ask: the engine submits, never waits, hands out, saves what is pending, and repeats from the log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import shapegym as sg
from shapegym.agents.checkpoint import load_checkpoint, save_checkpoint
from shapegym.agents.environments import make_vec_env
from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.errors import AnnotationError
from shapegym.shaping.evaluation.annotators import Annotator, Question, ScriptedAnnotator
from shapegym.shaping.evaluation.answer_log import AnswerLog
from shapegym.shaping.evaluation.answers import Correspondence
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.files.state_files import load_engine, save_engine
from shapegym.shaping.promises import Replay
from shapegym.shaping.surfaces.wiring import engine_of
from shapegym.shaping.testing import ScriptedEnv, record
from shapegym.shaping.transitions import Transitions
from shapegym.shaping.types import NODES, Term

LATENCY = 3


@dataclass(frozen=True)
class Liked(Term):
    """Pays what somebody said of the events that were seen: 0 for those that nobody has judged yet."""

    asks: ClassVar[bool] = True
    replay: ClassVar[Replay] = Replay.FROZEN

    @property
    def reads(self) -> tuple[str, ...]:
        return ("event",)

    def init(self, spec: Any) -> dict[str, Any]:
        return {"worth": np.zeros(4), "asked": np.zeros(4, dtype=bool)}

    def questions(self, transitions: Transitions, state: dict[str, Any]) -> Sequence[Any]:
        seen = np.unique(np.asarray(transitions.next_features["event"])[transitions.active])
        new = [int(event) for event in seen if not state["asked"][event]]
        state["asked"][new] = True
        return [{"event": event} for event in new]

    def answered(self, question: Any, answer: Any, state: dict[str, Any]) -> None:
        state["worth"][question["event"]] = answer

    def measure(self, transitions: Transitions, state: dict[str, Any], *inputs: Any) -> np.ndarray:
        return state["worth"][np.asarray(transitions.next_features["event"])]


@dataclass(frozen=True)
class Judged(Liked):
    """The same with an annotator of its own."""

    def annotator(self) -> Annotator:
        return annotator()


NODES.pop("liked", None)
NODES.pop("judged", None)


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    NODES.update(liked=Liked, judged=Judged)
    yield
    del NODES["liked"], NODES["judged"]


def annotator(latency: int = LATENCY) -> ScriptedAnnotator:
    return ScriptedAnnotator(lambda payload: payload["event"] / 2, latency=latency)


def stream() -> Any:
    return record(TaskReward() + sg.Event("features.event"), ScriptedEnv, lanes=2, steps=40)


def bound(spec: Any, answers: Correspondence) -> RewardEngine:
    return RewardEngine(TaskReward() + Liked(), spec, pay_at_end=True, answers=answers)


def pay(engine: RewardEngine, steps: Sequence[Transitions]) -> list[np.ndarray]:
    return [engine.step(step)[0].copy() for step in steps]


def test_answers_count_from_when_they_come_and_nobody_waits() -> None:
    spec, steps = stream()
    engine = bound(spec, Correspondence(annotator()))
    told: dict[int, int] = {}
    for index, (step, shaped) in enumerate(zip(steps, pay(engine, steps), strict=True)):
        events = np.asarray(step.next_features["event"])
        for lane in np.flatnonzero(step.active):
            known = told.setdefault(int(events[lane]), index)
            paid = shaped[lane] - step.reward[lane]
            assert paid in (0.0, events[lane] / 2)
            if index == known:
                assert paid == 0.0
    assert engine.states[1]["worth"].tolist() == [0.0, 0.5, 1.0, 1.5]


def test_a_run_repeats_to_the_bit_from_its_log_without_anybody_to_ask(tmp_path: Path) -> None:
    spec, steps = stream()
    paid = pay(bound(spec, Correspondence(annotator(), AnswerLog(tmp_path / "answers.jsonl"))), steps)
    again = Correspondence(log=AnswerLog(tmp_path / "answers.jsonl"))
    np.testing.assert_array_equal(pay(bound(spec, again), steps), paid)
    assert not again.replaying
    with pytest.raises(AnnotationError, match="nobody to answer"):
        pay(bound(spec, Correspondence()), steps)


def test_a_resumed_run_asks_nothing_twice(tmp_path: Path) -> None:
    spec, steps = stream()
    through = pay(bound(spec, Correspondence(annotator(), AnswerLog(tmp_path / "whole.jsonl"))), steps)
    log = tmp_path / "answers.jsonl"
    stopped = bound(spec, Correspondence(annotator(), AnswerLog(log)))
    pay(stopped, steps[:5])
    save_engine(stopped, tmp_path / "state.npz")
    pay(stopped, steps[5:9])  # killed here: these answers stand in the log
    asked: list[Any] = []
    helper = annotator()
    submit = helper.submit
    helper.submit = lambda questions: (asked.extend(questions), submit(questions))[1]  # type: ignore[method-assign]
    resumed = bound(spec, Correspondence(helper, AnswerLog(log)))
    load_engine(resumed, tmp_path / "state.npz")
    np.testing.assert_array_equal(pay(resumed, steps[5:9]), through[5:9])
    pay(resumed, steps[9:])
    ids = [question.id for question in asked]
    assert len(ids) == len(set(ids))
    logged = [item.payload["event"] for _, item in AnswerLog(log).rest(0) if isinstance(item, Question)]
    assert sorted(logged) == [0, 1, 2, 3]  # each event once, over all of it


def test_a_node_may_name_its_annotator() -> None:
    spec, steps = stream()
    engine = RewardEngine(TaskReward() + Judged(), spec, pay_at_end=True)
    pay(engine, steps)
    assert engine.states[1]["worth"].tolist() == [0.0, 0.5, 1.0, 1.5]


def test_a_checkpoint_keeps_what_is_pending(tmp_path: Path) -> None:
    """A model that is wired to a reward which asks: saved, loaded in another process's stead, and repeated from the log."""
    from stable_baselines3 import PPO

    def begin(answers: Correspondence) -> Any:
        model = PPO(
            "MlpPolicy",
            make_vec_env("shapegym/KeyDoor-v0", 2, seed=0),
            n_steps=8,
            batch_size=8,
            n_epochs=1,
            seed=0,
        )
        return sg.wire(model, TaskReward() + Liked(), answers=answers)

    first = begin(Correspondence(annotator(), AnswerLog(tmp_path / "answers.jsonl")))
    first.learn(32)
    save_checkpoint(tmp_path / "checkpoint", first)
    answers = Correspondence(annotator(), AnswerLog(tmp_path / "answers.jsonl"))
    env = make_vec_env("shapegym/KeyDoor-v0", 2)
    second = load_checkpoint(tmp_path / "checkpoint", env, TaskReward() + Liked(), answers=answers)
    second.learn(32, reset_num_timesteps=False)
    again = begin(Correspondence(log=AnswerLog(tmp_path / "answers.jsonl")))
    for _ in range(2):
        again.learn(32, reset_num_timesteps=False)
    assert engine_of(again).states[1]["asked"].any()
    np.testing.assert_equal(engine_of(again).states[1], engine_of(second).states[1])
    for ours, theirs in zip(second.policy.parameters(), again.policy.parameters(), strict=True):
        np.testing.assert_array_equal(ours.detach(), theirs.detach())
