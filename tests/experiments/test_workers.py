"""What a person reads when workers are interrupted or cannot start: the reason, last, and nothing on top of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

IMPORTING = """
import time

if __name__ == "__mp_main__":
    print("importing", flush=True)
    time.sleep(60)

from shapegym.experiments.processes import WorkerPool

if __name__ == "__main__":
    with WorkerPool(2) as pool:
        pool.map(print, [1, 2], print)
"""
UNGUARDED = """
from shapegym.experiments.processes import WorkerPool

with WorkerPool(1) as pool:
    pool.map(print, [1], print)
"""


def started(folder: Path, script: str) -> subprocess.Popen:
    """The script in a process group of its own, as a terminal starts it."""
    path = folder / "script.py"
    path.write_text(script)
    return subprocess.Popen(
        [sys.executable, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="no process groups")
def test_an_interrupt_is_for_the_parent_alone(tmp_path):
    before = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # what runs in the background ignores it
    try:
        process = started(tmp_path, IMPORTING)
    finally:
        signal.signal(signal.SIGINT, before)
    assert [process.stdout.readline() for _ in range(2)] == ["importing\n"] * 2
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert said.count("Traceback") == 1, said
    assert said.splitlines()[-1] == "KeyboardInterrupt"


def test_workers_of_a_script_without_a_guard_end_with_what_to_do(tmp_path):
    _, said = started(tmp_path, UNGUARDED).communicate(timeout=120)
    assert 'must stand below `if __name__ == "__main__":`' in said.splitlines()[-1]
    assert "process object is closed" not in said
