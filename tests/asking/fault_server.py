"""An OpenAI-compatible server on loopback that answers as a script says, faults included."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append({"path": self.path, "key": self.headers["authorization"], "body": body})
        answers = self.server.answers
        answer = answers[min(len(self.server.asked), len(answers)) - 1]
        with suppress(BrokenPipeError, ConnectionResetError):  # the client has had enough
            answer(self)

    def send(self, content: bytes, status: int = 200, length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None: ...


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, answers: Sequence[Answer]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.asked = list(answers), []

    answers: list[Answer]
    asked: list[dict[str, Any]]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, *_: Any) -> None: ...


@contextmanager
def serving(*answers: Answer) -> Iterator[Server]:
    """Answer the n-th request with the n-th, and every later one with the last."""
    server = Server(answers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def completion(text: str | None, asked: int = 7, told: int = 3) -> bytes:
    return json.dumps(
        {
            "id": "x",
            "object": "chat.completion",
            "created": 0,
            "model": "m",
            "choices": [
                {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
            ],
            "usage": {"prompt_tokens": asked, "completion_tokens": told, "total_tokens": asked + told},
        }
    ).encode()


def says(text: str | None) -> Answer:
    return lambda handler: handler.send(completion(text))


def raw(content: bytes, **headers: str) -> Answer:
    return lambda handler: handler.send(content, **headers)


def fails(status: int, message: str = "no") -> Answer:
    return lambda handler: handler.send(json.dumps({"error": {"message": message}}).encode(), status)


def echoes_key(handler: Handler) -> None:
    """Refuse as some hosted services do: with the key in the message."""
    key = handler.headers["authorization"].removeprefix("Bearer ")
    fails(401, f"Incorrect API key provided: {key}")(handler)


def hangs_up(handler: Handler) -> None:
    handler.close_connection = True
    handler.connection.close()


def dies_half_way(handler: Handler) -> None:
    content = completion("def compute_reward(before, after, action):\n" + " " * 500)
    handler.send(content[: len(content) // 2], length=len(content))
    handler.close_connection = True


def sleeps(seconds: float) -> Answer:
    def answer(handler: Handler) -> None:
        time.sleep(seconds)
        says("late")(handler)

    return answer


def trickles(handler: Handler) -> None:
    """One byte every now and then: no single read times out."""
    handler.send(b"{", length=10_000)
    for _ in range(200):
        time.sleep(0.05)
        handler.wfile.write(b" ")
        handler.wfile.flush()


def endless(handler: Handler) -> None:
    handler.send(b"{", length=2**40)
    while True:
        handler.wfile.write(b"x" * 2**16)


def endless_error(handler: Handler) -> None:
    handler.send(b"{", 500, length=2**40)
    while True:
        handler.wfile.write(b"x" * 2**16)
