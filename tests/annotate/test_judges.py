"""Models over captions: what they ask, what they make of answers, and when it counts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from captioned import SAID, Talking, engine_for, pay, stream, texts

from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.annotate.classification import Classification
from shapegym.shaping.annotate.labellers import Labeller, Oracle, Recorded
from shapegym.shaping.annotate.oni import JUDGES, oni
from shapegym.shaping.annotate.ranking import Ranking
from shapegym.shaping.annotate.retrieval import Retrieval
from shapegym.shaping.combinators.logged import Logged
from shapegym.shaping.errors import AnnotationError, ExpressionError, ObservationError
from shapegym.shaping.evaluation.annotators import Annotator, Answer, Question, ScriptedAnnotator
from shapegym.shaping.evaluation.answer_log import AnswerLog
from shapegym.shaping.evaluation.answers import Correspondence, annotator_of
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.files.reward_files import dump_reward, load_reward
from shapegym.shaping.files.state_files import load_engine, save_engine
from shapegym.shaping.terms.output import ModelOutput
from shapegym.shaping.testing import check_expression

ORACLE = Oracle((("*key", 1.0), ("*door", 0.5)))
ABLE: dict[str, Any] = {"embedding": 8, "channels": 16, "hidden": 16, "learning_rate": 3e-3}
SMALL: dict[str, Any] = {"embedding": 4, "channels": 4, "hidden": 8, "learning_rate": 1e-2, "updates": 4}


def asked(log: AnswerLog) -> list[Any]:
    return [item.payload for _, item in log.rest(0) if isinstance(item, Question)]


@pytest.mark.parametrize("variant", JUDGES)
def test_the_product_keeps_the_contract_on_captions(variant: Any) -> None:
    settings = SMALL if variant != "retrieval" else {}
    check_expression(TaskReward() + oni(ORACLE, variant, **settings), Talking, steps=24)


def test_retrieval_is_the_label_over_the_count_in_plain_loops() -> None:
    """Unseen captions pay nothing, a label counts from the step in which it comes, and N is that of the episode."""
    latency, weight = 3, 0.4
    spec, steps = stream(40)
    paid = pay(engine_for(oni(Oracle(ORACLE.labels, latency=latency)), spec), steps)
    known: dict[str, int] = {}  # caption -> step at which its answer is there
    counts = [Counter[str]() for _ in range(2)]
    for t, (step, said) in enumerate(zip(steps, texts(steps), strict=True)):
        for lane, caption in enumerate(said):
            if step.first[lane]:
                counts[lane] = Counter()
            counts[lane][caption] += 1
            label = ORACLE.label(caption) if caption and known.get(caption, t + 1) <= t else 0.0
            assert paid[t, lane] == pytest.approx(weight * label / counts[lane][caption] ** 3)
            if caption:
                known.setdefault(caption, t + latency + 1)
    assert paid.any()


def test_every_caption_is_asked_about_once_and_empty_ones_never() -> None:
    spec, steps = stream(60)
    answers = Correspondence(Oracle(ORACLE.labels, latency=20).open())
    pay(engine_for(oni(ORACLE), spec, answers), steps)
    payloads = asked(answers.log)
    assert sorted(each["caption"] for each in payloads) == sorted(text for text in SAID if text)


@pytest.mark.parametrize("variant", ["retrieval", "classification"])
def test_a_rollout_is_paid_by_the_labels_that_are_there_at_its_end(variant: Any) -> None:
    spec, steps = stream(30)
    engine = RewardEngine(
        ModelOutput(JUDGES[variant](ORACLE, **(SMALL if variant == "classification" else {}))),
        spec,
        learn_every=None,
    )
    for step in steps:
        assert not engine.measure(step).any()  # it waits
    block = engine.learn()
    if variant == "retrieval":
        wanted = [[ORACLE.label(caption) if caption else 0.0 for caption in said] for said in texts(steps)]
        np.testing.assert_array_equal(block[0], wanted)
    assert engine.fitted[f"{variant}/answers"] == sum(map(bool, SAID))


def test_a_stored_step_is_worth_what_the_labels_say_when_it_is_used() -> None:
    spec, steps = stream(12)
    engine = engine_for(ModelOutput(Retrieval(Oracle(ORACLE.labels, latency=5))), spec)
    said = texts(steps)
    place = next(t for t, each in enumerate(said) if "you pick up the key" in each)
    assert engine.moves
    first = engine.measure(steps[0]).copy()
    early = engine.remeasure(steps[place], first)
    for step in steps[1:]:
        engine.measure(step)
    late = engine.remeasure(steps[place], first)
    lane = said[place].index("you pick up the key")
    assert early[0, lane] == 0.0
    assert late[0, lane] == 1.0


def test_what_was_not_answered_is_asked_again_when_its_time_has_come() -> None:
    """An annotator that fails at first: captions are asked about again after `patience` steps, and not before."""

    class Failing(ScriptedAnnotator):
        def poll(self) -> list[Answer]:
            answers = super().poll()
            return [Answer(each.question, error="no") for each in answers] if self.polls < 10 else answers

    spec, steps = stream(60)
    answers = Correspondence(Failing(ORACLE.answer))
    engine = engine_for(ModelOutput(Retrieval(ORACLE, patience=40)), spec, answers)
    with pytest.warns(RuntimeWarning, match="was not answered: no"):
        pay(engine, steps)
    often = Counter(each["caption"] for each in asked(answers.log))
    assert set(often.values()) == {2}
    book = engine.memories[0].book  # type: ignore[attr-defined]
    assert {entry[0].decode(): label for entry, label in book.answers.items()} == {
        text: ORACLE.label(text) for text in SAID if text
    }


@pytest.mark.parametrize("answer", ["FOO", None, True, 2.0, -0.5])
def test_an_answer_that_is_no_label_counts_as_none(answer: Any) -> None:
    spec, steps = stream(20)
    engine = engine_for(
        ModelOutput(Retrieval(ORACLE)), spec, Correspondence(ScriptedAnnotator(lambda _: answer))
    )
    with pytest.warns(RuntimeWarning, match="an answer is a number in"):
        assert not pay(engine, steps).any()


def test_bytes_that_are_no_utf8_and_captions_that_are_cut() -> None:
    script = (b"\xff\xfe key", "x" * 40, "für die Tür", b"a\0b key")
    spec, steps = stream(20, script=script)
    oracle = Oracle((("*key", 1.0), ("*x", 1.0), ("*Tür", 1.0)))
    answers = Correspondence(oracle.open())
    paid = pay(engine_for(ModelOutput(Retrieval(oracle)), spec, answers), steps)
    assert paid[-4:].all()
    assert {each["caption"] for each in asked(answers.log)} == {
        "\ufffd\ufffd key",
        "x" * 24,
        "für die Tür",
        "a\0b key",
    }


def test_labels_are_bounded_and_the_newest_are_kept() -> None:
    script = tuple(f"caption {number}" for number in range(50))
    spec, steps = stream(60, script=script)
    engine = engine_for(ModelOutput(Retrieval(ORACLE, capacity=10)), spec)
    pay(engine, steps)
    book = engine.memories[0].book  # type: ignore[attr-defined]
    assert len(book.answers) == 10
    newest = [said for each in texts(steps)[-12:-1] for said in each]
    assert {entry[0].decode() for entry in book.answers} <= set(newest)


def test_a_classifier_reads_what_nobody_labelled_and_a_table_does_not() -> None:
    """Captions with a number that varies: a later one was never labelled, but is like others that were."""
    script = tuple(f"{verb} {n}" for n in range(40) for verb in ("you take key", "you walk"))
    spec, steps = stream(80, lanes=1, script=script)
    oracle = Oracle((("*key*", 1.0),))
    found = {}
    for judge in (Retrieval(oracle), Classification(oracle, **{**ABLE, "updates": 150})):
        engine = RewardEngine(ModelOutput(judge), spec, learn_every=None)
        for step in steps[:40]:
            engine.measure(step)
        engine.learn()
        memory: Any = engine.memories[0]
        new = steps[60:]
        said = np.concatenate([judge.evaluate(step, memory)["worth"] for step in new])
        wanted = np.array(["key" in caption for each in texts(new) for caption in each])
        found[type(judge).__name__] = np.mean(said == wanted), said.any()
    assert found["Retrieval"] == (0.5, False)
    assert found["Classification"][0] > 0.95


def ranked(labels: tuple[tuple[str, float], ...], tmp_path: Path, **settings: Any) -> tuple[Any, Any, Any]:
    """A ranking, its memory and the steps, after one long rollout."""
    spec, steps = stream(150)
    judge = Ranking(Oracle(labels), **{**ABLE, "updates": 150, **settings})
    engine = RewardEngine(
        ModelOutput(judge),
        spec,
        learn_every=None,
        answers=Correspondence(judge.by.open(), AnswerLog(tmp_path / "a.jsonl")),
    )
    for step in steps:
        engine.measure(step)
    engine.learn()
    return judge, engine.memories[0], steps


def test_a_ranking_pays_better_captions_more_brought_to_unit_scale_and_cut_below(tmp_path: Path) -> None:
    judge, memory, steps = ranked((("*key", 1.0), ("*door", 0.5)), tmp_path)
    said = [caption for each in texts(steps) for caption in each]
    worth = np.concatenate([judge.evaluate(step, memory)["worth"] for step in steps])
    by_caption = {caption: worth[said.index(caption)] for caption in SAID}
    assert by_caption["you pick up the key"] > by_caption["you open the door"] > 0
    assert by_caption[""] == 0
    raw = judge._raw(memory, [caption.encode() for caption in said if caption])
    z = (raw - raw.mean()) / raw.std()  # the reference: all that was judged, at once
    np.testing.assert_allclose(
        worth[[bool(caption) for caption in said]], np.where(z > judge.floor, z, 0.0), atol=1e-6
    )
    assert min(worth) >= judge.floor


def test_no_two_captions_are_compared_twice_and_ties_are_halves(tmp_path: Path) -> None:
    ranked((("*key", 1.0),), tmp_path)
    pairs = [frozenset(each.values()) for each in asked(AnswerLog(tmp_path / "a.jsonl"))]
    assert len(pairs) == len(set(pairs)) == 10  # five captions
    rows = [item.payload for _, item in AnswerLog(tmp_path / "a.jsonl").rest(0) if isinstance(item, Answer)]
    assert set(rows) <= {0.0, 0.5, 1.0}
    assert rows.count(0.5) == 6


def record_answers(path: Path, rows: list[tuple[Any, Any]]) -> Path:
    log = AnswerLog(path)
    for number, (payload, answer) in enumerate(rows):
        question = Question("oni", number, payload)
        log.append(2 * number, [(number, question), (number, Answer(question.id, answer))])
    return path


def test_answers_that_contradict_each_other_come_to_the_same_worth(tmp_path: Path) -> None:
    pairs = [
        ("you walk", "you turn left"),
        ("you pick up the key", "you walk"),
        ("you pick up the key", "you turn left"),
    ]
    rows = [({"first": a, "second": b}, 1.0) for a, b in [pairs[0], pairs[0][::-1], *pairs[1:]]]
    judge = Ranking(Recorded(str(record_answers(tmp_path / "a.jsonl", rows))), epochs=150, **ABLE)
    memory = judge.init(stream(2)[0])
    better, walk, left = judge._raw(memory, [b"you pick up the key", b"you walk", b"you turn left"])
    assert abs(walk - left) < 0.2 < better - walk


@pytest.mark.parametrize("variant", ["classification", "ranking"])
def test_labels_first_and_then_training_asks_nobody_and_learns_no_more(variant: Any, tmp_path: Path) -> None:
    """Motif: a run that asks leaves the labels in its log, and a later one has a model of them that stays as it is."""
    spec, steps = stream(200)
    path = tmp_path / "answers.jsonl"
    first = TaskReward() + Logged(oni(ORACLE, variant, **SMALL))
    assert not pay(engine_for(first, spec, Correspondence(ORACLE.open(), AnswerLog(path))), steps).any()
    reward = oni(Recorded(str(path)), variant, epochs=150, **ABLE)
    engine = engine_for(reward, spec)
    assert not engine.waits
    before = engine.memories[0].state_dict()
    paid = pay(engine, steps)
    np.testing.assert_equal(engine.memories[0].state_dict(), before)
    said = texts(steps)
    assert paid[0].any() or paid[1].any() or paid[2].any()  # from the first key on, nothing is waited for
    lanes = [(t, lane) for t in range(200) for lane in range(2) if said[t][lane] == "you pick up the key"]
    assert all(paid[t, lane] > 0 for t, lane in lanes)


def test_recorded_answers_that_are_not_there_are_missed_at_once(tmp_path: Path) -> None:
    spec, _ = stream(2)
    with pytest.raises(AnnotationError, match="no recorded answers"):
        engine_for(oni(Recorded(str(tmp_path / "none.jsonl"))), spec)


@pytest.mark.parametrize("variant", JUDGES)
def test_a_state_that_is_saved_while_questions_are_under_way_goes_on(variant: Any, tmp_path: Path) -> None:
    settings = SMALL if variant != "retrieval" else {}
    reward = oni(Oracle(ORACLE.labels, latency=7), variant, **settings)
    spec, steps = stream(80)

    def engine(name: str) -> RewardEngine:
        answers = Correspondence(Oracle(ORACLE.labels, latency=7).open(), AnswerLog(tmp_path / name))
        return RewardEngine(reward, spec, answers=answers, learn_every=16)

    whole = pay(engine("whole.jsonl"), steps)
    stopped = engine("log.jsonl")
    pay(stopped, steps[:30])
    save_engine(stopped, tmp_path / "state.npz")
    pay(stopped, steps[30:])
    resumed = engine("log.jsonl")
    load_engine(resumed, tmp_path / "state.npz")
    np.testing.assert_array_equal(pay(resumed, steps[30:]), whole[30:])


@pytest.mark.parametrize("key", ["lengths", "texts", "kinds", "values"])
def test_a_book_that_was_altered_is_refused(key: str) -> None:
    spec, steps = stream(20)
    judge = Retrieval(ORACLE)
    engine = engine_for(ModelOutput(judge), spec)
    pay(engine, steps)
    state = engine.memories[0].state_dict()
    state["book"][key] = state["book"][key][:-1]
    with pytest.raises(ValueError, match="no book"):
        judge.init(spec).load_state_dict(state)


@pytest.mark.parametrize("variant", JUDGES)
def test_a_reward_file_spells_all_of_it(variant: Any, tmp_path: Path) -> None:
    oracle = Oracle(ORACLE.labels, 0.1, latency=3, noise=0.1, outages=((5, 9),))
    reward = TaskReward() + oni(oracle, variant, patience=5)
    dump_reward(reward, tmp_path / "oni.yaml")
    assert load_reward(tmp_path / "oni.yaml") == reward


def test_what_an_oracle_takes() -> None:
    with pytest.raises(ExpressionError, match="labels"):
        Oracle(())
    with pytest.raises(ExpressionError, match="labels"):
        Oracle((("*", 2.0),))


def test_noise_is_the_share_of_labels_that_are_wrong() -> None:
    oracle = Oracle((("*key", 1.0),), noise=0.3)
    helper = oracle.open()
    helper.submit([Question("oni", n, {"caption": "a key" if n % 2 else "a wall"}) for n in range(2000)])
    wrong = [answer.payload != int(answer.question.partition("/")[2]) % 2 for answer in helper.poll()]
    assert 0.26 < np.mean(wrong) < 0.34


def test_what_is_no_caption_is_refused() -> None:
    spec, _ = stream(2)
    with pytest.raises(ObservationError, match="a row of bytes"):
        engine_for(oni(ORACLE, of="obs"), spec)


class Silent(Labeller):
    """Says nothing of whom it asks."""

    def open(self) -> None:
        return None


def test_two_models_with_annotators_of_their_own_are_answered_each_by_its_own() -> None:
    spec, steps = stream(30)
    other = Oracle((("you walk", 1.0),), latency=2)
    engine = engine_for(ModelOutput(Retrieval(ORACLE)) + ModelOutput(Retrieval(other)), spec)
    paid = pay(engine, steps)
    said = texts(steps)
    late = [(t, lane) for t in range(15, 30) for lane in range(2)]
    assert all(
        paid[t, n] == (ORACLE.label(said[t][n]) + other.label(said[t][n]) if said[t][n] else 0)
        for t, n in late
    )
    silent = {"a": Retrieval(ORACLE), "b": Retrieval(other), "c": Retrieval(Silent())}
    with pytest.raises(AnnotationError, match="'c' asks"):
        annotator_of(silent)


def test_one_annotator_that_fails_does_not_stop_the_others() -> None:
    from shapegym.shaping.evaluation.annotators import Switchboard

    good, bad = ScriptedAnnotator(lambda _: 1), ScriptedAnnotator(lambda _: 1, outages=[range(2)])

    class Full(Annotator):
        def submit(self, questions: Any) -> None:
            raise RuntimeError("full")

        def poll(self) -> list[Answer]:
            return []

    board = Switchboard({"a": bad, "b": good, "c": Full()})
    board.submit([Question(name, 0, None) for name in "abc"])
    came = {each.question: each for each in board.poll()}
    assert set(came) == {"b/0", "c/0"}
    assert came["c/0"].error == "RuntimeError: full"
    with pytest.raises(ConnectionError):
        board.poll()
    assert [each.question for each in board.poll()] == ["a/0"]
