"""What was answered once is not asked again, whatever happened in between."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from shapegym.shaping.asking.chat import Message, Reply, Request
from shapegym.shaping.asking.transcript import Budget, Transcript, read_exchanges
from shapegym.shaping.errors import AskingError, UnansweredError


class Counting:
    described: Mapping[str, Any] = {"name": "counting"}

    def __init__(self) -> None:
        self.asked: list[Request] = []

    def ask(self, request: Request) -> Reply:
        self.asked.append(request)
        return Reply(f"answer {len(self.asked)} – ü\n", 10, 5)


def request(seed: int = 0, text: str = "write") -> Request:
    return Request((Message("user", text),), seed=seed)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "exchanges.jsonl"


def test_a_second_transcript_answers_from_the_file(path):
    proposer = Counting()
    first = Transcript(path, proposer, Request)
    replies = [first.ask(f"1/{k}/0", request(k)) for k in range(3)]
    again = Transcript(path, proposer, Request)
    assert [again.ask(f"1/{k}/0", request(k)) for k in range(3)] == replies
    assert len(proposer.asked) == 3
    assert (len(again.exchanges), again.tokens) == (3, 45)
    assert Transcript(path, None, Request).ask("1/2/0", request(2)) == replies[2]


def test_a_torn_last_line_is_asked_again_and_nothing_else(path):
    proposer = Counting()
    transcript = Transcript(path, proposer, Request)
    for k in range(2):
        transcript.ask(f"1/{k}/0", request(k))
    path.write_bytes(path.read_bytes()[:-20])  # killed while it wrote
    again = Transcript(path, proposer, Request)
    assert [again.ask(f"1/{k}/0", request(k)).text[:8] for k in range(2)] == ["answer 1", "answer 3"]
    assert [each.place for each in read_exchanges(path, Request)] == ["1/0/0", "1/1/0"]


def test_another_request_at_a_place_is_refused_with_the_difference(path):
    Transcript(path, Counting(), Request).ask("1/0/0", request(text="write\na reward"))
    with pytest.raises(AskingError, match=r"'-a reward' / '\+a potential'"):
        Transcript(path, None, Request).ask("1/0/0", request(text="write\na potential"))
    with pytest.raises(AskingError, match="seed was 0 and is 4"):
        Transcript(path, None, Request).ask("1/0/0", request(4, text="write\na reward"))


def test_a_replay_asks_nobody(path):
    with pytest.raises(UnansweredError, match="no answer for 1/0/0"):
        Transcript(path, None, Request).ask("1/0/0", request())


@pytest.mark.parametrize(
    ("budget", "said"), [(Budget(calls=2), "2 calls is spent"), (Budget(tokens=16), "16 tokens is spent")]
)
def test_a_budget_that_is_spent_stops_and_a_larger_one_goes_on(path, budget, said):
    proposer = Counting()
    transcript = Transcript(path, proposer, Request, budget)
    for k in range(2):
        transcript.ask(f"1/{k}/0", request(k))
    with pytest.raises(UnansweredError, match=said):
        transcript.ask("1/2/0", request(2))
    assert len(proposer.asked) == 2
    more = Transcript(path, proposer, Request, Budget(calls=5))
    for k in range(5):
        more.ask(f"1/{k}/0", request(k))
    assert len(proposer.asked) == 5


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda row: row["request"].update(seed=9), "was edited"),
        (lambda row: row.pop("reply"), "no exchange: reply"),
        (lambda row: row.update(other=1), "no exchange: other"),
        (lambda row: row["reply"].update(text=5), "no exchange: reply.text"),
    ],
)
def test_a_file_that_is_no_transcript_is_refused(path, change, said):
    Transcript(path, Counting(), Request).ask("1/0/0", request())
    row = json.loads(path.read_text())
    change(row)
    path.write_text(json.dumps(row) + "\n")
    with pytest.raises(AskingError, match=said):
        read_exchanges(path, Request)


def test_a_place_that_is_there_twice_is_refused(path):
    Transcript(path, Counting(), Request).ask("1/0/0", request())
    path.write_text(path.read_text() * 2)
    with pytest.raises(AskingError, match="twice"):
        read_exchanges(path, Request)
