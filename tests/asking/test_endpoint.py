"""An endpoint may be slow, refuse, lie, or die: each ends in an answer or in one error that says what to do."""

from __future__ import annotations

import gzip

import pytest
from fault_server import (
    completion,
    dies_half_way,
    echoes_key,
    endless,
    endless_error,
    fails,
    hangs_up,
    raw,
    says,
    serving,
    sleeps,
    trickles,
)

from shapegym.shaping.asking.chat import Message, Request
from shapegym.shaping.asking.endpoint import KEY, Endpoint
from shapegym.shaping.errors import AskingError, UnansweredError

pytest.importorskip("openai", reason="The openai client is not installed: pip install shapegym[llm]")

REQUEST = Request((Message("system", "s"), Message("user", "u")), seed=5, temperature=0.5, most_tokens=40)
SECRET = "sk-very-secret-0123456789"


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two tries the client waits for half a second and more."""
    import openai._base_client as client

    monkeypatch.setattr(client, "INITIAL_RETRY_DELAY", 0.001)
    monkeypatch.setattr(client, "MAX_RETRY_DELAY", 0.001)
    monkeypatch.setenv(KEY, SECRET)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def ask(url: str, retries: int = 1, timeout: float = 5.0):
    return Endpoint("m", url, timeout=timeout, retries=retries).ask(REQUEST)


def test_it_asks_as_it_was_told_and_counts_tokens():
    with serving(says("hello")) as server:
        reply = ask(server.url)
    assert (reply.text, reply.asked_tokens, reply.told_tokens, reply.refused) == ("hello", 7, 3, "")
    body = server.asked[0]["body"]
    assert body["messages"] == [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    assert (body["model"], body["seed"], body["temperature"], body["max_tokens"]) == ("m", 5, 0.5, 40)
    assert server.asked[0]["key"] == f"Bearer {SECRET}"


def test_the_url_comes_from_the_environment_too(monkeypatch):
    with serving(says("hello")) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        assert Endpoint("m").ask(REQUEST).text == "hello"


@pytest.mark.parametrize(
    "fault", [fails(500), fails(429), fails(503), hangs_up, dies_half_way, raw(b"{"), raw(b"[]")]
)
def test_what_may_pass_is_tried_again(fault):
    with serving(fault, says("hello")) as server:
        assert ask(server.url).text == "hello"
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (fails(500), "fails (500)"),
        (fails(429), "Go on later"),
        (fails(404), "Check the model and the base URL"),
        (fails(400, "no such parameter"), "no such parameter"),
        (hangs_up, "gives no answer"),
        (dies_half_way, "gives no answer"),
        (raw(b""), "no chat completion"),
        (raw(b'{"choices": [{"message": {"content": "trunc'), "no chat completion"),
        (raw(b"<html>Sign in</html>"), "no chat completion"),
        (raw(b'{"choices": []}'), "no choices"),
        (raw(b'{"choices": [{"message": {"content": 5}}]}'), "no chat completion"),
        (raw(gzip.compress(completion("x")), Content_Encoding="gzip"), "compresses"),
        (endless, "no end"),
        (endless_error, "no end"),
    ],
)
def test_what_does_not_pass_is_one_error_that_says_what_to_do(fault, said):
    with serving(fault) as server, pytest.raises(UnansweredError) as caught:
        ask(server.url, retries=0)
    assert said in str(caught.value)
    assert "m at http://127.0.0.1" in str(caught.value)


@pytest.mark.parametrize(("fault", "said"), [(sleeps(1.0), "within 0.2 s"), (trickles, "longer than it may")])
def test_a_slow_one_is_not_waited_for(fault, said):
    with serving(fault) as server, pytest.raises(UnansweredError, match=said):
        ask(server.url, retries=0, timeout=0.2)


def test_nobody_there():
    with serving(says("x")) as server:
        url = server.url
    with pytest.raises(UnansweredError, match="gives no answer"):
        ask(url, retries=0)


def test_the_key_is_in_no_message_and_no_answer():
    with serving(echoes_key) as server, pytest.raises(UnansweredError) as caught:
        ask(server.url)
    assert SECRET not in str(caught.value)
    assert "refuses the key (401)" in str(caught.value)
    assert caught.value.__cause__ is None
    with serving(says(f"your key is {SECRET}")) as server:
        assert ask(server.url).text == "your key is [key]"
    assert SECRET not in repr(Endpoint("m", server.url))
    assert SECRET not in str(Endpoint("m", server.url).described)


@pytest.mark.parametrize("status", [400, 413])
def test_one_request_that_is_too_long_is_an_answer(status):
    """Others may be shorter, so the design goes on."""
    with serving(fails(status, "maximum context length is 6144 tokens")) as server:
        reply = ask(server.url)
    assert not reply.text
    assert "6144" in reply.refused


@pytest.mark.parametrize("content", [None, ""])
def test_an_empty_answer_is_an_answer(content):
    with serving(says(content)) as server:
        assert ask(server.url).text == ""


@pytest.mark.parametrize(
    "url", ["http://me:word@host/v1", "ftp://host/v1", "host:8191/v1", "http://host/v1?key=x", "http://[x/v1"]
)
def test_a_url_that_is_none_or_holds_a_secret(url):
    with pytest.raises(AskingError) as caught:
        Endpoint("m", url)
    assert "The base URL of a model is" in str(caught.value)
    assert "word" not in str(caught.value).replace("password", "")
