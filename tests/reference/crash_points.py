"""Kills a run at each of its file operations, continues it, and compares what it leaves with an undisturbed one.

    python tests/reference/crash_points.py FOLDER EVERY

prints a line for every EVERY-th operation. Processes are forked, so that each begins in the same state.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import torch._dynamo  # noqa: F401 (the first optimiser imports it: once here, not in every child)

from shapegym.experiments.runs.request import RunConfig
from shapegym.experiments.sweeps.loop import run_job
from shapegym.experiments.sweeps.plan import Job, run_path

JOB = Job(
    "corridor",
    "count",
    RunConfig(
        "shapegym/Corridor-v0",
        512,
        reward={"sum": ["task_reward", {"count_bonus": {"key": "features.state", "beta": 0.1}}]},
        settings={"num_envs": 4, "n_steps": 32, "batch_size": 64, "n_epochs": 1},
        eval_every=128,
        eval_episodes=2,
        checkpoint_every=128,
    ),
)
EVENTS = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "shutil.rmtree"}
KEPT = ("result.json", "evaluations.jsonl", "episodes.jsonl", "config.yaml")
KILLED = 9


def in_child(folder: Path, die_at: int = -1) -> tuple[int, int]:
    """Run the job in a child that dies right before its ``die_at``-th file operation; return its exit code and operations."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        count, active = 0, True

        def hook(event: str, arguments: tuple) -> None:
            nonlocal count
            if active and event in EVENTS and str(folder) in str(arguments[0]):
                if count == die_at:
                    os._exit(KILLED)
                count += 1

        sys.addaudithook(hook)
        code = 1
        try:
            run_job(JOB, folder)
            active = False
            os.write(writer, str(count).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        count = pipe.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), int(count or 0)


def left(folder: Path) -> dict[str, bytes]:
    """The files that must not depend on what happened on the way."""
    path = run_path(folder, JOB.id)
    assert not list(path.rglob(".*"))
    assert not (path / "checkpoints").exists()
    return {name: (path / name).read_bytes() for name in KEPT}


def main(root: Path, every: int) -> None:
    """Try the operations."""
    root.mkdir(parents=True, exist_ok=True)
    code, operations = in_child(root / "undisturbed")
    assert code == 0
    wanted = left(root / "undisturbed")
    for at in range(every // 2, operations, every):
        folder = root / f"at-{at}"
        assert in_child(folder, at)[0] == KILLED
        assert in_child(folder)[0] == 0
        assert left(folder) == wanted, at
        print(f"operation {at} of {operations}", flush=True)
        shutil.rmtree(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
