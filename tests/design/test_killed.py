"""kill -9 in the middle of a design: what was answered is not asked again, and the design comes out as if nothing had happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fault_server import Handler, completion, dies_half_way, fails, serving
from pretend_design import Pretending, designer_for

from shapegym.experiments.design.loop import run_design
from shapegym.shaping.asking.endpoint import Endpoint
from shapegym.shaping.errors import UnansweredError

pytest.importorskip("openai", reason="The openai client is not installed: pip install shapegym[llm]")

SCRIPT = Path(__file__).with_name("killed_design.py")


def writes(handler: Handler) -> None:
    """A program that depends on the request alone, slowly enough to be killed in between."""
    time.sleep(0.05)
    seed = handler.server.asked[-1]["body"]["seed"]
    code = (
        f"def compute_reward(before, after, action):\n    a = {seed % 89} * after.x\n    return a, {{'a': a}}"
    )
    handler.send(completion(f"```python\n{code}\n```"))


def questions(server) -> list[str]:
    return [json.dumps(each["body"]["messages"]) + str(each["body"]["seed"]) for each in server.asked]


def test_kill_9_asks_nothing_twice(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-of-this-test")
    with serving(writes) as server:
        run_design(
            tmp_path / "whole",
            designer_for(tmp_path / "whole", Endpoint("m", server.url), rounds=3, candidates=3),
            Pretending(),
        )
        whole = questions(server)
    paths = os.pathsep.join([str(SCRIPT.parent), os.environ.get("PYTHONPATH", "")])
    with serving(writes) as server:
        command = [sys.executable, str(SCRIPT), server.url, str(tmp_path / "killed")]
        process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": paths, "PYTHONSAFEPATH": ""})
        until = time.monotonic() + 120
        while len(server.asked) < 5 and process.poll() is None and time.monotonic() < until:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        designer = designer_for(tmp_path / "killed", Endpoint("m", server.url), rounds=3, candidates=3)
        kept = len(designer.transcript.exchanges)
        run_design(tmp_path / "killed", designer, Pretending())
        asked = questions(server)
    assert kept >= 1
    assert sorted(set(asked)) == sorted(whole)
    assert len(asked) - len(whole) <= 1  # an answer that was on its way when it was killed, and not yet here
    for name in ("rounds.jsonl", "best.py"):
        assert (tmp_path / "killed" / name).read_text() == (tmp_path / "whole" / name).read_text()
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"sk-secret-of-this-test" not in path.read_bytes()


@pytest.mark.parametrize("fault", [fails(500), fails(401, "wrong key"), dies_half_way])
def test_an_endpoint_that_dies_keeps_what_there_is(tmp_path, fault):
    with serving(writes, writes, writes, fault) as server:
        designer = designer_for(tmp_path, Endpoint("m", server.url, retries=0), rounds=2, candidates=2)
        with pytest.raises(UnansweredError, match="m at http"):
            run_design(tmp_path, designer, Pretending())
    assert len((tmp_path / "rounds.jsonl").read_text().splitlines()) == 1
    with serving(writes) as server:
        again = Endpoint("m", server.url)
        designer = designer_for(tmp_path, again, rounds=2, candidates=2)
        assert len(run_design(tmp_path, designer, Pretending())) == 2
        assert len(server.asked) == 1
