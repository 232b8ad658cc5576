"""Late answers: nothing is lost, nothing is asked twice that the log answers, and every repetition is the same to the bit."""

from __future__ import annotations

import json
import math
import os
import threading
import warnings
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.errors import AnnotationError
from shapegym.shaping.evaluation.annotators import (
    Annotator,
    Answer,
    Question,
    ScriptedAnnotator,
    ThreadedAnnotator,
)
from shapegym.shaping.evaluation.answer_log import AnswerLog
from shapegym.shaping.evaluation.answers import Correspondence
from shapegym.shaping.files.state_files import load_state, save_state

TASK = TaskReward()

# ---------------------------------------------------------------------- the replay law


class World(Annotator):
    """A world with a timetable: it answers question n of an asker from clock ``due[n]`` on, however often runs are killed.

    So a run that is resumed exactly gets each answer when the uninterrupted run got it, which a latency in polls would not give.
    """

    def __init__(self, due: list[int], known: set[str]) -> None:
        self.due = due
        self.clock = 0
        self.known = known
        self.waiting: dict[str, Question] = {}

    def submit(self, questions):
        for question in questions:
            assert question.id not in self.known, "asked although the log has the answer"
            assert question.id not in self.waiting, "asked twice"
            self.waiting[question.id] = question

    def poll(self):
        due = [q for q in self.waiting.values() if self.due[q.number % len(self.due)] <= self.clock]
        return [Answer(self.waiting.pop(q.id).id, [q.payload, q.number]) for q in reversed(due)]


@dataclass
class Run:
    """A run in small: what it asks depends on everything it was answered, so a repetition that errs once errs for ever."""

    letters: Correspondence
    total: int = 1
    asked: int = 0
    history: list[tuple[int, str, str]] = field(default_factory=list)

    def step(self, clock: int, before: int, after: int) -> None:
        if isinstance(self.letters.annotator, World):
            self.letters.annotator.clock = clock
        self._ask(clock, before)
        for question, answer in self.letters.take(clock):
            assert answer.question == question.id
            self.total = (31 * self.total + sum(answer.payload) + question.number) % 1009
            self.history.append((clock, question.id, json.dumps(answer.payload)))
        self._ask(clock, after)

    def _ask(self, clock: int, count: int) -> None:
        numbers = range(self.asked, self.asked + count)
        self.letters.ask(clock, [Question("judge", number, self.total) for number in numbers])
        self.asked += count

    def save(self, path) -> None:
        state = {"letters": self.letters.state_dict(), "total": self.total, "asked": self.asked}
        save_state(path, {**state, "history": json.dumps(self.history)}, expression=TASK, num_lanes=1)

    def load(self, path) -> None:
        state = load_state(path, expression=TASK, num_lanes=1)
        self.total, self.asked = state["total"], state["asked"]
        self.history = [tuple(row) for row in json.loads(state["history"])]
        self.letters.load_state_dict(state["letters"])


def reference(steps, due):
    """The uninterrupted run in plain loops, without anything of what is tested."""
    total, asked, waiting, history = 1, 0, [], []
    for clock, (before, after) in enumerate(steps):
        for count, late in ((before, False), (after, True)):
            if late:
                for number, payload in [one for one in waiting if due[one[0] % len(due)] <= clock]:
                    waiting.remove((number, payload))
                    total = (31 * total + payload + number + number) % 1009
                    history.append((clock, f"judge/{number}", json.dumps([payload, number])))
            waiting += [(number, total) for number in range(asked, asked + count)]
            asked += count
    return history, [f"judge/{number}" for number, _ in waiting]


def answered_in(path) -> set[str]:
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return {row["answered"] for row in map(json.loads, lines) if "answered" in row}


STEPS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=12)
DUE = st.lists(st.integers(0, 14), min_size=1, max_size=6)
EVENTS = st.lists(st.sampled_from(["save", "kill"]) | st.integers(1, 3), max_size=12)


def live(folder, steps, due, events, torn=0):
    """Live through the steps; every life after a kill goes on from the last save, with a log that lost its last bytes."""
    log, saved = folder / "answers.jsonl", folder / "saved.state"

    def begin():
        run = Run(Correspondence(World(due, answered_in(log)), AnswerLog(log)))
        if saved.exists():
            run.load(saved)
        return run

    run, clock, saved_at, safe = begin(), 0, 0, 0
    for event in [*events, len(steps)]:
        if event == "save":
            run.save(saved)
            saved_at, safe = clock, log.stat().st_size if log.exists() else 0
        elif event == "kill":
            if log.exists():
                log.write_bytes(log.read_bytes()[: max(safe, log.stat().st_size - torn)])
            clock, run = saved_at, begin()
        else:
            for clock in range(clock, min(clock + event, len(steps))):  # noqa: B020
                run.step(clock, *steps[clock])
            clock = min(clock + 1, len(steps))
    return run, log


def repeat(log, steps):
    """The same run again, from its log alone."""
    run = Run(Correspondence(log=AnswerLog(log)))
    for clock, (before, after) in enumerate(steps):
        run.step(clock, before, after)
    assert not run.letters.replaying
    return run


@given(STEPS, DUE, EVENTS)
def test_a_run_that_is_killed_and_resumed_is_the_uninterrupted_run(tmp_path_factory, steps, due, events):
    run, log = live(tmp_path_factory.mktemp("run"), steps, due, events)
    history, pending = reference(steps, due)
    assert run.history == history
    assert list(run.letters.pending) == pending
    again = repeat(log, steps)
    assert (again.history, again.total) == (run.history, run.total)
    assert again.letters.state_dict() == run.letters.state_dict()


@given(STEPS, DUE, EVENTS, st.integers(1, 200))
def test_a_log_that_lost_its_end_still_repeats(tmp_path_factory, steps, due, events, torn):
    """Then answers come again, possibly later; whatever happened after all is what the log says, and each comes once."""
    run, log = live(tmp_path_factory.mktemp("run"), steps, due, events, torn)
    again = repeat(log, steps)
    assert (again.history, again.total) == (run.history, run.total)
    ids = [key for _, key, _ in run.history]
    assert sorted([*ids, *run.letters.pending]) == sorted(f"judge/{number}" for number in range(run.asked))


def test_a_log_in_memory_replays_within_its_process():
    log = AnswerLog()
    run = Run(Correspondence(World([2, 1], set()), log))
    steps = [(1, 1), (0, 1), (2, 0), (0, 0)]
    for clock in (0, 1):
        run.step(clock, *steps[clock])
    middle, total, history = run.letters.state_dict(), run.total, list(run.history)
    for clock in (2, 3):
        run.step(clock, *steps[clock])
    again = Run(
        run.letters, total, 3, history
    )  # the same annotator: what it was told before it is not told again
    again.letters.load_state_dict(middle)
    for clock in (2, 3):
        again.step(clock, *steps[clock])
    assert (again.history, again.total) == (run.history, run.total)
    assert run.history == reference(steps, [2, 1])[0]


def test_an_annotator_is_told_a_question_once_however_often_states_are_loaded():
    script = ScriptedAnnotator(str, latency=4)
    letters = Correspondence(script)
    letters.ask(0, [Question("judge", 0, "a")])
    state = letters.state_dict()
    for _ in range(2):
        letters.load_state_dict(state)
        letters.take(1)
    assert [question.number for question in script.submitted] == [0]
    answers = [answer for clock in range(2, 9) for _, answer in letters.take(clock)]
    assert answers == [Answer("judge/0", "a")]


def test_another_process_goes_on_with_an_empty_log_in_memory():
    first = Correspondence(ScriptedAnnotator(str, latency=9))
    first.ask(0, [Question("judge", 0, "late")])
    second = Correspondence(ScriptedAnnotator(str))
    second.load_state_dict(first.state_dict())
    assert second.take(1) == [(Question("judge", 0, "late"), Answer("judge/0", "late"))]
    assert second.position == 2
    assert second.take(2) == []
    third = Correspondence(log=second.log)
    third.load_state_dict(first.state_dict())
    assert third.take(1) == [(Question("judge", 0, "late"), Answer("judge/0", "late"))]
    assert Correspondence(log=second.log).replaying is False  # the first process had that row


def test_a_clock_brings_answers_once():
    letters = Correspondence(ScriptedAnnotator(str))
    letters.ask(0, [Question("judge", 0, "a")])
    assert len(letters.take(0)) == 1
    letters.ask(0, [Question("judge", 1, "b")])
    assert letters.take(0) == []
    assert [question.number for question, _ in letters.take(1)] == [1]


# ---------------------------------------------------------------------- logs


def written(path, clocks=(3, 5)) -> str:
    """A log with three questions at clock 0, of which the first two are answered."""
    annotator = World([*clocks, 99], set())
    letters = Correspondence(annotator, AnswerLog(path))
    letters.ask(0, [Question("judge", number, {"text": f"é{number}"}) for number in range(3)])
    for clock in range(9):
        annotator.clock = clock
        letters.take(clock)
    return path.read_text()


def test_the_log_is_rows_that_people_read(tmp_path):
    rows = [json.loads(line) for line in written(tmp_path / "new" / "log.jsonl").splitlines()]
    assert rows == [
        {"clock": 0, "asked": "judge", "number": 0, "payload": {"text": "é0"}},
        {"clock": 0, "asked": "judge", "number": 1, "payload": {"text": "é1"}},
        {"clock": 0, "asked": "judge", "number": 2, "payload": {"text": "é2"}},
        {"clock": 3, "answered": "judge/0", "payload": [{"text": "é0"}, 0]},
        {"clock": 5, "answered": "judge/1", "payload": [{"text": "é1"}, 1]},
    ]


def test_a_state_is_saved_after_its_log(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr("os.fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    letters = Correspondence(ScriptedAnnotator(str), AnswerLog(tmp_path / "log.jsonl"))
    letters.state_dict()
    letters.ask(0, [Question("judge", 0, 1)])
    letters.state_dict()
    assert synced == [(tmp_path / "log.jsonl").stat().st_size]


def test_nothing_is_written_where_nothing_happens(tmp_path):
    letters = Correspondence(ScriptedAnnotator(str), AnswerLog(tmp_path / "new" / "log.jsonl"))
    letters.ask(0, [])
    letters.take(0)
    assert list(tmp_path.iterdir()) == []


def test_an_answer_is_in_the_log_before_anybody_has_it(tmp_path):
    path = tmp_path / "log.jsonl"
    letters = Correspondence(ScriptedAnnotator(str), AnswerLog(path))
    letters.ask(0, [Question("judge", 0, 1)])
    assert [item for _, item in AnswerLog(path).rest(0)] == [Question("judge", 0, 1)]
    log = path.rename(tmp_path / "elsewhere")
    path.mkdir()  # a log that cannot be written
    with pytest.raises(AnnotationError, match=r"log.jsonl cannot be written: "):
        letters.take(0)
    assert log.read_text().count("\n") == 1
    assert list(letters.pending) == ["judge/0"]


def test_an_unfinished_last_line_is_left_out_and_written_over(tmp_path):
    path = tmp_path / "log.jsonl"
    text = written(path)
    for cut in range(len(text.encode())):
        path.write_bytes(text.encode()[: len(text.encode()) - cut])
        whole = path.read_text().rpartition("\n")[0].count("\n") + ("\n" in path.read_text())
        assert len(AnswerLog(path).rest(0)) == whole
    path.write_text(text[:-5])
    before = path.read_bytes()
    log = AnswerLog(path)
    assert [clock for clock, _ in log.rest(0)] == [0, 0, 0, 3]
    assert path.read_bytes() == before  # reading a run's log does not change it
    log.append(4, [(7, Answer("judge/1", "again"))])
    assert log.rest(3) == [(3, Answer("judge/0", [{"text": "é0"}, 0])), (7, Answer("judge/1", "again"))]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[1]",
        "\x00",
        "[" * 100_000,
        "{}",
        '{"clock": 3, "asked": "judge", "number": "0", "payload": 1}',
        '{"clock": "3", "answered": "judge/0", "payload": 1}',
        '{"clock": 3, "answered": "judge/0"}',
        '{"clock": 3, "answered": "judge/0", "error": 1}',
    ],
)
def test_other_damage_is_named_with_file_and_line(tmp_path, line):
    path = tmp_path / "log.jsonl"
    lines = written(path).splitlines(keepends=True)
    path.write_text("".join([*lines[:3], line + "\n", *lines[4:]]))
    with pytest.raises(AnnotationError, match=r"log.jsonl, line 4, is "):
        Correspondence(log=AnswerLog(path))


def test_bytes_that_are_no_text_are_damage(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"clock": 0, "answered": "\xff", "payload": 1}\n')
    with pytest.raises(AnnotationError, match=r"log.jsonl, line 1, is not JSON"):
        AnswerLog(path).rest(0)


def test_a_log_shorter_than_the_state_is_refused_and_nothing_changes(tmp_path):
    path = tmp_path / "log.jsonl"
    written(path)
    letters = Correspondence(ScriptedAnnotator(str), AnswerLog(path))
    letters.ask(0, [Question("judge", number, {"text": f"é{number}"}) for number in range(3)])
    letters.take(3)
    state = letters.state_dict()
    assert state["position"] == 4
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:3]))
    other = Correspondence(ScriptedAnnotator(str), AnswerLog(path))
    with pytest.raises(AnnotationError, match="has 3 rows, but the state to go on from was saved after 4"):
        other.load_state_dict(state)
    assert (other.position, other.pending, other.replaying) == (0, {}, True)


def test_a_log_that_contradicts_the_run_is_an_error(tmp_path):
    path = tmp_path / "log.jsonl"
    written(path)
    questions = [Question("judge", number, {"text": f"é{number}"}) for number in range(3)]

    def begin():
        return Correspondence(ScriptedAnnotator(str), AnswerLog(path))

    with pytest.raises(AnnotationError, match=r"line 2 says .*u00e91.*the run asks .*another"):
        begin().ask(0, [questions[0], Question("judge", 1, {"text": "another"})])
    with pytest.raises(AnnotationError, match=r'line 1 says .*but here the run asks {"clock": 1, '):
        begin().ask(1, questions)
    with pytest.raises(AnnotationError, match=r"line 1 says .*asked.*the run is at clock 1"):
        begin().take(1)  # it asked nothing
    letters = begin()
    letters.ask(0, questions)
    with pytest.raises(AnnotationError, match=r"line 4 says .*answered.*the run asks"):
        letters.ask(2, [Question("judge", 3, None)])
    assert (letters.position, letters.replaying) == (3, True)
    letters.take(3)
    with pytest.raises(AnnotationError, match=r"line 5 says .*the run is at clock 6"):
        letters.take(6)
    for row in (
        {"clock": 3, "answered": "judge/7", "payload": 1},
        {"clock": 3, "answered": "judge/0", "payload": 1},
    ):
        lines = path.read_text().splitlines(keepends=True)
        path.with_name("other").write_text("".join([*lines[:4], json.dumps(row) + "\n"]))
        letters = Correspondence(log=AnswerLog(path.with_name("other")))
        letters.ask(0, questions)
        with pytest.raises(
            AnnotationError, match=rf"line 5 says .*does not wait for {row['answered']} at clock 3"
        ):
            letters.take(3)


def test_a_repetition_knows_only_what_its_log_knows(tmp_path):
    path = tmp_path / "log.jsonl"
    written(path)
    letters = Correspondence(log=AnswerLog(path))
    letters.ask(0, [Question("judge", number, {"text": f"é{number}"}) for number in range(3)])
    assert [answer.payload[1] for clock in range(9) for _, answer in letters.take(clock)] == [0, 1]
    assert list(letters.pending) == ["judge/2"]  # unanswered to the end, as in the run
    with pytest.raises(
        AnnotationError, match=r"log .*log.jsonl, of 5 rows, does not know the question judge/3"
    ):
        letters.ask(9, [Question("judge", 3, 1)])
    with pytest.raises(
        AnnotationError, match=r"nothing.jsonl, of 0 rows, does not know the question judge/0"
    ):
        Correspondence(log=AnswerLog(tmp_path / "nothing.jsonl")).ask(0, [Question("judge", 0, 1)])
    assert not (tmp_path / "nothing.jsonl").exists()
    with pytest.raises(AnnotationError, match="nobody to answer the question judge/0: give an annotator"):
        Correspondence().ask(0, [Question("judge", 0, 1)])
    nobody = Correspondence()
    nobody.ask(0, [])
    assert nobody.take(0) == []
    nobody.close()


# ---------------------------------------------------------------------- questions


@pytest.mark.parametrize("payload", [math.nan, [math.inf], {1, 2}, b"x", object(), lambda: 0])
def test_a_question_that_is_no_json_is_not_asked(payload):
    annotator = ScriptedAnnotator(str)
    letters = Correspondence(annotator)
    with pytest.raises(AnnotationError, match="is not made of JSON values"):
        letters.ask(0, [Question("judge", 0, 1), Question("judge", 1, payload)])
    assert (letters.pending, letters.position, annotator.submitted) == ({}, 0, [])


def test_numbers_of_an_asker_rise_also_after_a_resume():
    letters = Correspondence(ScriptedAnnotator(str))
    letters.ask(0, [Question("judge", 0, 1), Question("critic", 0, 1), Question("judge", 4, 1)])
    letters.take(0)
    again = Correspondence(ScriptedAnnotator(str))
    again.load_state_dict(letters.state_dict())
    for one in (letters, again):
        with pytest.raises(AnnotationError, match=r"judge/4 comes after judge/4: the numbers .* must rise"):
            one.ask(1, [Question("judge", 4, 1)])
        with pytest.raises(AnnotationError, match="critic/2 comes after critic/2"):
            one.ask(1, [Question("critic", 2, 1), Question("critic", 2, 1)])
        one.ask(1, [Question("judge", 5, 1), Question("critic", 1, 1)])


# ---------------------------------------------------------------------- hostile annotators


class Hostile(Annotator):
    """Does what it is told to do, whatever that is."""

    def __init__(self, *polls, submit=None, close=None) -> None:
        self.polls = list(polls)
        self.got: list[Question] = []
        self._submit, self._close = submit, close

    def submit(self, questions):
        if self._submit is not None:
            self._submit(questions)
        self.got += questions

    def poll(self):
        if not self.polls:
            return []
        poll = self.polls.pop(0)
        return poll() if callable(poll) else poll

    def close(self):
        if self._close is not None:
            self._close()


def fail(*_):
    raise OSError("no route to the world")


def asked(annotator, count=2) -> Correspondence:
    letters = Correspondence(annotator)
    letters.ask(0, [Question("judge", number, [number]) for number in range(count)])
    return letters


def test_exceptions_are_warned_of_once_and_questions_stay():
    letters = asked(Hostile(fail, fail, [Answer("judge/1", "b"), Answer("judge/0", "a")], close=fail))
    with pytest.warns(RuntimeWarning, match=r"OSError: no route .*Correspondence.failures") as warned:
        taken = [letters.take(0), letters.take(1)]
    assert taken == [[], []]
    assert (len(warned), letters.failures, list(letters.pending)) == (1, 2, ["judge/0", "judge/1"])
    assert [answer.payload for _, answer in letters.take(2)] == ["a", "b"]  # in the order of asking
    letters.close()
    assert letters.failures == 3


def test_what_came_before_an_exception_has_come():
    def half():
        yield Answer("judge/1", "b")
        fail()

    letters = asked(Hostile(half))
    with pytest.warns(RuntimeWarning, match="no route"):
        assert [answer.payload for _, answer in letters.take(0)] == ["b"]
    assert list(letters.pending) == ["judge/0"]


def test_what_could_not_be_submitted_is_submitted_later():
    annotator = Hostile(submit=fail)
    with pytest.warns(RuntimeWarning, match="no route"):
        letters = asked(annotator)
    letters.take(0)
    assert (annotator.got, letters.failures) == ([], 2)
    annotator._submit = None
    letters.ask(1, [Question("judge", 2, [2])])
    letters.take(1)
    assert [question.number for question in annotator.got] == [0, 1, 2]
    assert letters.failures == 2


@pytest.mark.parametrize(
    "answer",
    [Answer("judge/9", 1), Answer("critic/0", 1), Answer(3, 1), Answer(["judge/0"], 1), None, "judge/0"],
)
def test_answers_that_nobody_waits_for_are_counted(answer):
    letters = asked(Hostile([answer, Answer("judge/0", "a"), answer]))
    with pytest.warns(RuntimeWarning, match=r"nobody asked for.*Correspondence.unwanted") as warned:
        assert [answer.payload for _, answer in letters.take(0)] == ["a"]
    assert (len(warned), letters.unwanted, letters.position) == (1, 2, 3)


def test_the_second_answer_to_a_question_is_dropped():
    letters = asked(
        Hostile([Answer("judge/0", "first"), Answer("judge/0", "second")], [Answer("judge/0", "third")])
    )
    with pytest.warns(RuntimeWarning, match="'second'"):
        assert [answer.payload for _, answer in letters.take(0)] == ["first"]
    assert letters.take(1) == []
    assert letters.unwanted == 2


def test_errors_are_answers():
    hostile = Hostile([Answer("judge/0", error="no such model"), Answer("judge/1", error="no such model")])
    letters = asked(hostile)
    with pytest.warns(RuntimeWarning, match=r"judge/0 was not answered: no such model.*errors") as warned:
        taken = letters.take(0)
    assert [answer.error for _, answer in taken] == ["no such model"] * 2
    assert (len(warned), letters.errors, letters.pending) == (1, 2, {})
    with warnings.catch_warnings(action="error"):  # a replay has the answers, and says nothing
        again = Correspondence(log=letters.log)
        again.ask(0, [Question("judge", number, [number]) for number in range(2)])
        assert again.take(0) == taken


@pytest.mark.parametrize(
    "answer", [Answer("judge/0", math.nan), Answer("judge/0", object()), Answer("judge/0", error=OSError())]
)
def test_an_answer_that_is_no_json_is_an_error_as_any_other(answer):
    letters = asked(Hostile([answer]), count=1)
    with pytest.warns(RuntimeWarning, match="not made of JSON values"):
        [(_, taken)] = letters.take(0)
    assert taken.payload is None
    assert "not made of JSON values" in taken.error
    assert letters.pending == {}


def test_what_is_handed_on_is_what_the_log_has():
    """Tuples and integer keys are other things in JSON, and payloads may be changed by whoever has them."""

    def spoil(questions):
        for question in questions:
            question.payload.append("spoilt")

    reply = {"scores": (1, 2), 3: "three"}
    letters = asked(Hostile([Answer("judge/0", reply)], submit=spoil), count=1)
    [(question, answer)] = letters.take(0)
    reply["scores"] = None
    assert (question.payload, answer.payload) == ([0], {"scores": [1, 2], "3": "three"})
    answer.payload.clear()
    again = Correspondence(log=letters.log)
    again.ask(0, [Question("judge", 0, (0,))])
    assert again.take(0)[0][1].payload == {"scores": [1, 2], "3": "three"}


# ---------------------------------------------------------------------- scripts


def polled(annotator, polls) -> list[list[Answer]]:
    rows = []
    for _ in range(polls):
        try:
            rows.append(list(annotator.poll()))
        except ConnectionError:
            rows.append(["outage"])
    return rows


def test_a_script_is_late_and_has_outages():
    script = ScriptedAnnotator(lambda payload: payload + 1, latency=2, outages=[range(2, 4), range(6, 7)])
    script.submit([Question("judge", 0, 10)])
    first = polled(script, 1)
    script.submit([Question("judge", 1, 20)])
    ten, twenty, thirty = (Answer(f"judge/{n}", 10 * n + 11) for n in range(3))
    assert first + polled(script, 4) == [[], [], ["outage"], ["outage"], [ten, twenty]]
    script.latency = 0
    script.submit([Question("judge", 2, 30)])
    assert polled(script, 3) == [[thirty], ["outage"], []]
    assert [question.number for question in script.submitted] == [0, 1, 2]


def test_the_noise_of_a_script_belongs_to_the_question():
    def labels(order, **options):
        script = ScriptedAnnotator(lambda payload: payload % 2, **options)
        script.submit([Question("judge", number, number) for number in order])
        return {answer.question: answer.payload for answer in script.poll()}

    order = list(range(400))
    clean, noisy = labels(order), labels(order, noise=0.3, seed=1)
    wrong = sum(clean[key] != noisy[key] for key in clean)
    assert 90 < wrong < 150  # 120 are expected; three standard deviations are 28
    assert set(noisy.values()) == {0, 1}
    assert labels(order[::-1], noise=0.3, seed=1) == noisy
    assert labels(order, noise=0.3, seed=2) != noisy
    assert labels(order, noise=1.0) == {key: 1 - label for key, label in clean.items()}
    assert set(labels(order[::2], noise=1.0, labels="abc").values()) == set("abc")


def test_a_script_that_raises_answers_with_an_error():
    script = ScriptedAnnotator(lambda payload: 1 // payload)
    script.submit([Question("judge", 0, 0), Question("judge", 1, 1)])
    failed, fine = script.poll()
    assert failed.error.startswith("ZeroDivisionError")
    assert fine == Answer("judge/1", 1)


# ---------------------------------------------------------------------- threads


class Desk:
    """What blocks in the thread of a `ThreadedAnnotator`: every call waits until the test lets it go on."""

    def __init__(self, reply=lambda questions: [Answer(one.id, one.payload) for one in questions]) -> None:
        self.reply = reply
        self.calls: list[list[int]] = []
        self.arrived, self.go = threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self, questions):
        self.calls.append([question.number for question in questions])
        self.arrived.release()
        assert self.go.acquire(timeout=15)
        return self.reply(questions)

    def wait(self) -> None:
        assert self.arrived.acquire(timeout=15)


def questions(*numbers) -> list[Question]:
    return [Question("judge", number, 10 * number) for number in numbers]


def gathered(annotator, count) -> list[Answer]:
    """Poll until ``count`` answers have come, or long enough to be sure that they do not."""
    answers, pause = [], threading.Event()
    for _ in range(1500):
        answers += annotator.poll()
        if len(answers) >= count:
            break
        pause.wait(0.01)
    return answers


def ended(annotator) -> bool:
    annotator._thread.join(timeout=15)
    return not annotator._thread.is_alive()


def test_a_thread_works_on_the_newest_and_the_oldest_are_dropped():
    desk = Desk()
    annotator = ThreadedAnnotator(desk, capacity=3, batch=2)
    annotator.submit(questions(0))
    desk.wait()  # now it is busy with 0, and nothing of this blocks:
    annotator.submit(questions(1, 2))
    annotator.submit(questions(3, 4, 5))
    dropped = annotator.poll()
    assert [answer.question for answer in dropped] == ["judge/1", "judge/2"]
    assert all(answer.error == "dropped for 3 newer questions" for answer in dropped)
    assert annotator.dropped == 2
    desk.go.release(9)
    answers = gathered(annotator, 4)
    assert desk.calls == [[0], [5, 4], [3]]
    assert answers == [Answer(f"judge/{n}", 10 * n) for n in (0, 5, 4, 3)]
    annotator.close()
    assert ended(annotator)


def test_a_thread_outlives_what_it_runs():
    def reply(batch):
        if batch[0].number == 0:
            raise TimeoutError("too slow")
        yield Answer(batch[0].id, "fine")
        if batch[0].number == 1:
            raise TimeoutError("too slow")

    desk = Desk(reply)
    desk.go.release(9)
    annotator = ThreadedAnnotator(desk, batch=2)
    for number in (0, 1, 3):
        annotator.submit(questions(number + 1, number) if number else questions(0))
        first, *rest = gathered(annotator, 2 if number else 1)
        if number == 0:
            assert first == Answer("judge/0", error="TimeoutError: too slow")
        else:
            reason = "TimeoutError: too slow" if number == 1 else "no answer came back"
            assert first == Answer(f"judge/{number}", "fine")
            assert rest == [Answer(f"judge/{number + 1}", error=reason)]
    annotator.close()
    assert ended(annotator)


def test_a_thread_is_closed_while_it_works():
    desk = Desk()
    annotator = ThreadedAnnotator(desk)
    annotator.submit(questions(0))
    desk.wait()
    annotator.submit(questions(1))
    annotator.close()  # returns although the thread is busy
    with pytest.raises(AnnotationError, match="is closed"):
        annotator.submit(questions(2))
    desk.go.release(9)
    assert ended(annotator)
    assert desk.calls == [[0]]  # what waited is forgotten
    idle = ThreadedAnnotator(desk)
    idle.close()
    assert idle.poll() == []


@pytest.mark.parametrize("options", [{"capacity": 0}, {"batch": 0}])
def test_a_thread_needs_room(options):
    with pytest.raises(AnnotationError, match="at least 1"):
        ThreadedAnnotator(Desk(), **options)


def test_a_run_with_a_thread_repeats_from_its_log(tmp_path):
    """When answers come is the thread's affair; the repetition has them at the same clocks."""
    desk = Desk(lambda batch: [Answer(one.id, [one.payload]) for one in batch])
    desk.go.release(999)
    annotator = ThreadedAnnotator(desk, capacity=999)
    run = Run(Correspondence(annotator, AnswerLog(tmp_path / "log.jsonl")))
    for clock in range(30):
        run.step(clock, 1, 1)
    assert len(run.letters.pending) + len(run.history) == 60
    run.letters.close()
    assert ended(annotator)
    again = repeat(tmp_path / "log.jsonl", [(1, 1)] * 30)
    assert (again.history, again.total) == (run.history, run.total)
    assert again.letters.state_dict() == run.letters.state_dict()
