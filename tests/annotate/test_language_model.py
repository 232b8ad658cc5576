"""An endpoint may be slow, talk, refuse, lie or be gone: training goes on, nothing is lost or asked twice, and it is said once."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from captioned import SAID, engine_for, pay, stream
from fault_server import (
    Handler,
    completion,
    dies_half_way,
    echoes_key,
    fails,
    hangs_up,
    says,
    serving,
    sleeps,
)

from shapegym.shaping.annotate.asking import AskingAnnotator
from shapegym.shaping.annotate.labellers import Oracle
from shapegym.shaping.annotate.language_model import LanguageModel
from shapegym.shaping.annotate.oni import oni
from shapegym.shaping.annotate.wording import prompt_for, read_answer
from shapegym.shaping.asking.chat import Reply, Request
from shapegym.shaping.asking.endpoint import KEY
from shapegym.shaping.asking.transcript import read_exchanges
from shapegym.shaping.errors import AnnotationError, AskingError, UnansweredError
from shapegym.shaping.evaluation.annotators import Answer, Question
from shapegym.shaping.evaluation.answers import Correspondence
from shapegym.shaping.files.reward_files import load_reward

pytest.importorskip("openai", reason="The openai client is not installed: pip install shapegym[llm]")

SECRET = "sk-very-secret-0123456789"
ORACLE = Oracle((("*key", 1.0), ("*door", 1.0)))


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    import openai._base_client as client

    monkeypatch.setattr(client, "INITIAL_RETRY_DELAY", 0.001)
    monkeypatch.setattr(client, "MAX_RETRY_DELAY", 0.001)
    monkeypatch.setenv(KEY, SECRET)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def judges(handler: Handler) -> None:
    """Answer as the oracle would."""
    asked = handler.server.asked[-1]["body"]["messages"][0]["content"]
    caption = json.loads([line for line in asked.splitlines() if line.startswith("Message: ")][-1][9:])
    handler.send(completion("FOO" if ORACLE.label(caption) else "BAR"))


class Talker:
    """A chat without a network."""

    described: ClassVar[dict[str, Any]] = {}

    def __init__(self, answer: Callable[[Request], Reply]) -> None:
        self.answer, self.asked = answer, []

    asked: list[Request]

    def ask(self, request: Request) -> Reply:
        self.asked.append(request)
        return self.answer(request)


def begin(
    settings: LanguageModel, chat: Any = "endpoint", pauses: tuple[float, float] = (0.005, 0.02)
) -> AskingAnnotator:
    """An annotator that does not wait long before it tries again."""
    annotator = settings.open() if chat == "endpoint" else settings.asking(chat)
    annotator.pauses = pauses
    return annotator


def settled(
    annotator: AskingAnnotator, many: int, failures: list[Exception] | None = None
) -> dict[str, Answer]:
    """Poll until there are so many answers."""
    came: dict[str, Answer] = {}
    for _ in range(2000):
        try:
            came |= {each.question: each for each in annotator.poll()}
        except AskingError as error:
            if failures is None:
                raise
            failures.append(error)
        if len(came) >= many:
            return came
        time.sleep(0.005)
    raise AssertionError(came)


def labels(*captions: str, start: int = 0) -> list[Question]:
    return [Question("oni", start + n, {"caption": caption}) for n, caption in enumerate(captions)]


@pytest.mark.parametrize(
    ("kind", "text", "meant"),
    [
        ("label", "FOO", 1.0),
        ("label", "bar.", 0.0),
        ("label", "I would say **FOO**!", 1.0),
        ("label", "", None),
        ("label", "It is helpful.", None),
        ("label", "FOO or BAR", None),
        ("label", "FOOD", None),
        ("label", "BAZ", None),
        ("compare", "BAZ", 0.5),
        ("compare", "BAR BAR", 0.0),
    ],
)
def test_what_an_answer_means(kind: Any, text: str, meant: float | None) -> None:
    assert read_answer(kind, text) == meant


def test_what_is_asked_names_the_task_and_quotes_captions() -> None:
    said = prompt_for("label", {"caption": 'a "key"\nBAR $task'}, "open the door")
    assert "Task: open the door" in said
    assert r'"a \"key\"\nBAR $task"' in said
    own = prompt_for("compare", {"first": "a", "second": "b"}, "t", "$first or $second? It costs $$5.")
    assert own == '"a" or "b"? It costs $5.'


@pytest.mark.parametrize("prompt", ["no fields", "$first alone", "$caption $other", "$caption $"])
def test_a_prompt_that_is_none_is_refused_before_anybody_is_asked(prompt: str) -> None:
    with pytest.raises(AnnotationError, match="A prompt that asks to"):
        LanguageModel("m", "http://127.0.0.1:9/v1", prompt=prompt).open()


def test_labels_and_comparisons_come_from_the_endpoint() -> None:
    with serving(judges) as server:
        annotator = LanguageModel("m", server.url, task="reach the goal", batch=2).open()
        annotator.submit(labels("a key", "a wall", "you walk"))
        came = settled(annotator, 3)
        annotator.close()
    assert [came[f"oni/{n}"].payload for n in range(3)] == [1.0, 0.0, 0.0]
    body = server.asked[0]["body"]
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("m", 0.1, 64)
    with serving(says("BAZ")) as server:
        annotator = LanguageModel("m", server.url).open()
        annotator.submit([Question("oni", 0, {"first": "a", "second": "b"})])
        assert settled(annotator, 1)["oni/0"].payload == 0.5
        annotator.close()


def test_an_answer_that_matches_no_label_is_an_error_and_never_a_label() -> None:
    annotator = begin(LanguageModel("m"), Talker(lambda _: Reply("It depends.")))
    annotator.submit([*labels("a key"), Question("oni", 1, {"other": 1})])
    came = settled(annotator, 2)
    annotator.close()
    assert came["oni/0"].payload is None
    assert came["oni/0"].error == "the answer matches no label: 'It depends.'"
    assert "no question about captions" in str(came["oni/1"].error)


def test_a_request_that_is_refused_is_an_error_of_its_question_alone() -> None:
    def answer(request: Request) -> Reply:
        return Reply("", refused="too long") if "huge" in request.messages[0].content else Reply("FOO")

    annotator = begin(LanguageModel("m"), Talker(answer))
    annotator.submit(labels("huge", "a key"))
    came = settled(annotator, 2)
    annotator.close()
    assert came["oni/0"].error == "refused: too long"
    assert came["oni/1"].payload == 1.0


@pytest.mark.parametrize("fault", [fails(500), fails(429), fails(404), hangs_up, dies_half_way, sleeps(0.3)])
def test_an_endpoint_that_is_gone_is_tried_again_until_it_answers(fault: Any) -> None:
    with serving(fault, fault, fault, judges) as server:
        settings = LanguageModel("m", server.url, timeout=0.2, retries=0, batch=1)
        annotator = begin(settings)
        annotator.submit(labels("a key", "a wall"))
        failures: list[Exception] = []
        came = settled(annotator, 2, failures)
        annotator.close()
    assert (came["oni/0"].payload, came["oni/1"].payload) == (1.0, 0.0)
    assert failures
    assert all("m at http://127.0.0.1" in str(each) for each in failures)


def test_the_key_is_in_no_message() -> None:
    with serving(echoes_key) as server:
        settings = LanguageModel("m", server.url, retries=0)
        annotator = begin(settings)
        annotator.submit(labels("a key"))
        failures: list[Exception] = []
        for _ in range(400):
            try:
                annotator.poll()
            except AskingError as error:
                failures.append(error)
                break
            time.sleep(0.005)
        annotator.close()
    assert "refuses the key (401)" in str(failures[0])
    assert SECRET not in "".join(map(str, failures))
    with pytest.raises(AskingError, match="The base URL of a model is"):
        LanguageModel("m", "http://me:word@host/v1").open()


def test_what_one_run_was_told_no_other_asks(tmp_path: Path) -> None:
    cache = str(tmp_path / "cache.jsonl")
    talker = Talker(lambda _: Reply("FOO", 10, 1))
    both = [begin(LanguageModel("m", cache=cache), talker) for _ in range(2)]
    both[0].submit(labels("a key"))
    settled(both[0], 1)
    both[1].submit(labels("a key", "a door"))  # the first of them was asked after this one had read the file
    settled(both[1], 2)
    other = begin(LanguageModel("other", cache=cache), talker)
    other.submit(labels("a key"))
    settled(other, 1)
    alone = begin(LanguageModel("m", cache=cache, offline=True), None)
    alone.submit(labels("a door", "a wall"))
    came = settled(alone, 2)
    assert len(talker.asked) == 3
    assert came["oni/0"].payload == 1.0
    assert "nobody is asked" in str(came["oni/1"].error)
    assert len(read_exchanges(tmp_path / "cache.jsonl", Request)) == 3
    for each in (*both, other, alone):
        each.close()


def test_two_at_once_keep_one_answer(tmp_path: Path) -> None:
    """Whoever comes second takes what the first was told."""
    cache = str(tmp_path / "cache.jsonl")
    first = begin(LanguageModel("m", cache=cache), Talker(lambda _: Reply("FOO")))

    def answer(_: Request) -> Reply:
        first.submit(labels("a key"))  # while the second is asking
        settled(first, 1)
        return Reply("BAR")

    second = begin(LanguageModel("m", cache=cache), Talker(answer))
    second.submit(labels("a key"))
    assert settled(second, 1)["oni/0"].payload == 1.0
    assert len(read_exchanges(tmp_path / "cache.jsonl", Request)) == 1


@pytest.mark.parametrize("limit", [{"calls": 3}, {"tokens": 33}])
def test_a_budget_that_is_spent_is_said_once_and_the_rest_goes_without(limit: Any, tmp_path: Path) -> None:
    talker = Talker(lambda _: Reply("FOO", 10, 1))
    annotator = begin(LanguageModel("m", cache=str(tmp_path / "c.jsonl"), batch=1, **limit), talker)
    spec, steps = stream(60)
    answers = Correspondence(annotator)
    engine = engine_for(oni(ORACLE, patience=10_000), spec, answers)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for _ in range(20):
            pay(engine, steps)
            time.sleep(0.01)
    annotator.close()
    assert len(talker.asked) == 3
    assert engine.fitted == {} or engine.fitted["retrieval/answers"] == 3
    told = [str(each.message) for each in said if issubclass(each.category, RuntimeWarning)]
    assert sum("budget of" in each for each in told) == 1
    assert len(told) == 2  # and that a question was not answered


def test_training_never_waits_and_labels_come_when_the_endpoint_is_back() -> None:
    """Outages, garbage and slowness in one run: what is lost is asked again, and in the end every caption has its label."""
    garbage = says("BARFOO")
    with serving(fails(503), hangs_up, garbage, sleeps(0.05), judges) as server:
        settings = LanguageModel("m", server.url, retries=0, batch=1)
        annotator = begin(settings)
        spec, steps = stream(60)
        engine = engine_for(oni(ORACLE, patience=5), spec, Correspondence(annotator))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for _ in range(300):
                pay(engine, steps[:6])
                book = engine.memories[0].book  # type: ignore[attr-defined]
                if len(book.answers) >= 4:
                    break
                time.sleep(0.01)
            paid = pay(engine, steps)
        annotator.close()
    assert paid.any()
    assert {entry[0].decode(): label for entry, label in book.answers.items()}.items() <= {
        text: ORACLE.label(text) for text in SAID
    }.items()
    prompts = [each["body"]["messages"][0]["content"] for each in server.asked]
    assert len(prompts) - len(set(prompts)) <= 2  # what failed was sent again, and nothing else


def test_of_too_many_questions_the_oldest_are_dropped_and_the_newest_answered_first() -> None:
    said: list[str] = []
    gate = iter([0.2])

    def answer(request: Request) -> Reply:
        time.sleep(next(gate, 0.0))
        said.append(request.messages[0].content)
        return Reply("BAR")

    annotator = begin(LanguageModel("m", capacity=3, batch=1), Talker(answer))
    annotator.submit(labels("caption 0"))
    time.sleep(0.05)
    annotator.submit(labels(*(f"caption {n}" for n in range(1, 7)), start=1))
    came = settled(annotator, 7)
    annotator.close()
    assert [each for each in range(7) if came[f"oni/{each}"].error] == [1, 2, 3]
    assert [next(n for n in range(7) if f'"caption {n}"' in each) for each in said] == [0, 6, 5, 4]


def test_closing_does_not_wait_for_an_endpoint_that_is_gone() -> None:
    def gone(_: Request) -> Reply:
        raise UnansweredError("gone")

    annotator = begin(LanguageModel("m"), Talker(gone), (60.0, 60.0))
    annotator.submit(labels("a key"))
    for _ in range(200):
        try:
            annotator.poll()
        except UnansweredError:
            break
        time.sleep(0.005)
    annotator.close()
    assert annotator._thread is not None
    annotator._thread.join(5.0)
    assert not annotator._thread.is_alive()


def test_a_reward_file_takes_the_prompt_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "ask.md").write_text("Is $caption good? FOO or BAR.")
    (tmp_path / "oni.yaml").write_text(
        "reward: {model_output: {model: {retrieval: {by: {language_model: {model: m, file: ask.md}}}}}}"
    )
    reward: Any = load_reward(tmp_path / "oni.yaml")
    assert reward.model.by == LanguageModel("m", prompt="Is $caption good? FOO or BAR.")


def test_a_slow_endpoint_slows_no_step() -> None:
    """While the first answer is under way, steps are taken and paid 0."""
    with serving(sleeps(1.0)) as server:
        annotator = LanguageModel("m", server.url, retries=0).open()
        spec, steps = stream(60)
        paid = pay(engine_for(oni(ORACLE), spec, Correspondence(annotator)), steps)
        waiting = annotator._thread is not None and annotator._thread.is_alive()
        annotator.close()
    assert waiting
    assert not np.any(paid)
