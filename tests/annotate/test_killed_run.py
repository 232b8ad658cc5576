"""A run with a real endpoint: killed and resumed it asks nothing twice, and it repeats to the bit from its log."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from fault_server import Handler, completion, serving
from killed_run import request

from shapegym.agents.checkpoint import checkpoints
from shapegym.experiments.runs.run import train
from shapegym.experiments.runs.run_folder import ANSWERS, CHECKPOINTS
from shapegym.shaping.evaluation.annotators import Question
from shapegym.shaping.evaluation.answer_log import AnswerLog

pytest.importorskip("openai", reason="The openai client is not installed: pip install shapegym[llm]")

SCRIPT = Path(__file__).with_name("killed_run.py")


def slowly(handler: Handler) -> None:
    """Answer by what is asked alone, slower than steps are taken."""
    time.sleep(0.03)
    asked = handler.server.asked[-1]["body"]["messages"][0]["content"]
    handler.send(completion("FOO" if "yellow" in asked else "BAR"))


def asking_has_ended() -> None:
    """Wait for what a closed annotator was working on, which a run does not wait for."""
    for thread in threading.enumerate():
        if thread.name == "annotator":
            thread.join(60)


def test_kill_9_and_resume_ask_nothing_twice_and_the_log_repeats_the_run(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-of-this-test")
    folder = tmp_path / "run"
    with serving(slowly) as server:
        cache = str(
            tmp_path / "labels.jsonl"
        )  # without one, what has come and is not taken in yet would be lost
        config = request(server.url, cache)
        paths = os.pathsep.join([str(SCRIPT.parent), os.environ.get("PYTHONPATH", "")])
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT), server.url, cache, str(folder)],
            env={**os.environ, "PYTHONPATH": paths, "PYTHONSAFEPATH": ""},
        )
        until = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < until:
            if len(server.asked) >= 3 and checkpoints(folder / CHECKPOINTS):
                break
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        before = len(server.asked)
        train(config, folder, resume=True)
        asking_has_ended()
        prompts = [each["body"]["messages"][0]["content"] for each in server.asked]
        train(config, tmp_path / "again", answers_of=folder)
        assert len(server.asked) == len(prompts)
    assert before < len(prompts)
    assert len(prompts) - len(set(prompts)) <= 1  # one was on its way when it was killed
    questions = [item for _, item in AnswerLog(folder / ANSWERS).rest(0) if isinstance(item, Question)]
    captions = [question.payload["caption"] for question in questions]
    assert len(captions) == len(set(captions))
    for name in ("result.json", "episodes.jsonl", "shaping.npz"):
        assert (folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"sk-secret-of-this-test" not in path.read_bytes()
