"""Sweeps whose processes are killed, stopped and doubled end like a sweep that nobody disturbed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from shapegym.agents.callbacks import EPISODES_FILE, EVALUATIONS_FILE
from shapegym.experiments.runs import run_folder
from shapegym.experiments.runs.request import RunConfig
from shapegym.experiments.sweeps.local_pool import LOGS, LocalPool
from shapegym.experiments.sweeps.loop import Fixed, run_job, run_jobs
from shapegym.experiments.sweeps.plan import Job, Plan, run_path
from shapegym.experiments.sweeps.results import Results
from shapegym.experiments.sweeps.suite import load_suite
from shapegym.experiments.sweeps.workspace import SWEEP, open_workspace, read_failures

REFERENCE = Path(__file__).parents[1] / "reference"
SUITE = {
    "title": "Tiny",
    "seeds": 1,
    "settings": {"num_envs": 4, "n_steps": 32, "batch_size": 64, "n_epochs": 1},
    "eval": {"points": 4, "episodes": 2},
    "checkpoints": 3,
    "rewards": {
        "sparse": None,
        "count": {"sum": ["task_reward", {"count_bonus": {"key": "features.state", "beta": 0.1}}]},
    },
    "tasks": {
        "corridor": {"env": "shapegym/Corridor-v0", "steps": 1024},
        "sea": {"env": "shapegym/DeepSea-v0", "steps": 1024, "env_kwargs": {"size": 5}},
    },
}


def write_suite(folder: Path, seeds: int, **changes) -> Path:
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump({**SUITE, "seeds": seeds, **changes}))
    return path


@pytest.fixture(autouse=True)
def _interruptible():
    """Shells let what runs in the background ignore interrupts, and children inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def start(suite: Path, folder: Path, workers: int = 2) -> subprocess.Popen:
    """A sweep as a person starts it, in a process group of its own."""
    where = ["--out", str(folder), "--workers", str(workers)]
    return subprocess.Popen(
        [sys.executable, "-m", "shapegym", "sweep", str(suite), *where],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def undisturbed(suite: Path, folder: Path) -> Plan:
    """The same runs one after the other in this process."""
    plan = load_suite(suite).plan()
    for job in plan.jobs:
        run_job(job, folder)
    opened = open_workspace(folder / "books", plan)
    (folder / "runs").rename(folder / "books" / "runs")
    opened.rebuild()
    return plan


def results(folder: Path, plan: Plan) -> tuple[list[dict], dict[str, list[bytes]]]:
    rows = [{**asdict(row), "costs": None} for row in Results.open(folder).rows]
    names = (run_folder.RESULT, run_folder.CONFIG, EVALUATIONS_FILE, EPISODES_FILE)
    files = {job.id: [(run_path(folder, job.id) / name).read_bytes() for name in names] for job in plan.jobs}
    return rows, files


def torment(suite: Path, folder: Path, kills: int, seed: int, longest: float, workers: int = 2) -> int:
    """Start a sweep again and again; each time kill it or its whole group, or interrupt it. Return how often it had not ended."""
    chance, header = random.Random(seed), folder / SWEEP  # written whenever a sweep opens its folder
    hits = 0
    for _ in range(kills):
        began = header.stat().st_mtime_ns if header.exists() else 0
        process = start(suite, folder, workers)
        while process.poll() is None and (not header.exists() or header.stat().st_mtime_ns == began):
            time.sleep(0.02)
        time.sleep(chance.uniform(0.0, longest))
        how = chance.choice(["parent", "group", "interrupt"])
        if process.poll() is None:
            hits += 1
            if how == "parent":
                process.kill()
            else:
                os.killpg(process.pid, signal.SIGKILL if how == "group" else signal.SIGINT)
        said, _ = process.communicate(timeout=60)
        if how == "interrupt" and process.returncode != 0:  # it may have ended just before
            assert process.returncode == 130, said
            assert "Go on with: shapegym sweep" in said
    return hits


def finish(suite: Path, folder: Path) -> str:
    process = start(suite, folder)
    said, _ = process.communicate(timeout=600)
    assert process.returncode == 0, said
    return said


def test_killed_sweeps_end_like_an_undisturbed_one(tmp_path):
    suite = write_suite(tmp_path, seeds=3, tasks={"corridor": SUITE["tasks"]["corridor"]})
    torment(suite, tmp_path / "killed", kills=2, seed=37, longest=1.5, workers=1)  # parent, interrupt
    said = finish(suite, tmp_path / "killed")
    assert "shapegym report" in said
    plan = undisturbed(suite, tmp_path / "calm")
    assert len(plan.jobs) == 6
    assert results(tmp_path / "killed", plan) == results(tmp_path / "calm" / "books", plan)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_fifty_kills_of_a_sweep_of_forty_runs_change_nothing(tmp_path):
    tasks = {name: {**task, "steps": 24576} for name, task in SUITE["tasks"].items()}
    suite = write_suite(tmp_path, seeds=10, checkpoints=63, tasks=tasks)
    assert torment(suite, tmp_path / "killed", kills=50, seed=1, longest=2.0) >= 45
    finish(suite, tmp_path / "killed")
    plan = undisturbed(suite, tmp_path / "calm")
    assert len(plan.jobs) == 40
    assert results(tmp_path / "killed", plan) == results(tmp_path / "calm" / "books", plan)


def crash_points(folder: Path, every: int) -> int:
    command = [sys.executable, str(REFERENCE / "crash_points.py"), str(folder), str(every)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stdout + process.stderr
    return len(process.stdout.splitlines())


def test_a_run_killed_at_a_file_operation_ends_like_an_undisturbed_one(tmp_path):
    assert crash_points(tmp_path, 50) >= 3


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_run_killed_at_any_file_operation_ends_like_an_undisturbed_one(tmp_path):
    assert crash_points(tmp_path, 1) >= 150


def test_two_sweeps_of_one_folder_share_its_runs(tmp_path):
    suite = write_suite(tmp_path, seeds=2, tasks={"corridor": SUITE["tasks"]["corridor"]})
    folder = tmp_path / "shared"
    both = [start(suite, folder, workers=1), start(suite, folder, workers=1)]
    for process in both:
        said, _ = process.communicate(timeout=200)
        assert process.returncode == 0, said
    rows = Results.open(folder).rows
    assert [row.id for row in rows] == [job.id for job in load_suite(suite).plan().jobs]
    for row in rows:
        assert row.costs["resumed"] == 0
        assert (
            len(list((run_path(folder, row.id) / run_folder.TENSORBOARD).iterdir())) == 1
        )  # nobody began it twice


# --- the pool


@pytest.fixture(scope="module")
def pool():
    with LocalPool(2) as workers:
        yield workers


def tiny(strategy: str, steps: int = 512, **changes) -> Job:
    return Job(
        "corridor",
        strategy,
        RunConfig("shapegym/Corridor-v0", steps, settings=SUITE["settings"], eval_episodes=2, **changes),
    )


def pooled(pool: LocalPool, folder: Path, *jobs: Job, on_event=lambda event: None) -> dict[str, str]:
    plan = Plan("tiny", "Tiny", jobs)
    return run_jobs(open_workspace(folder, plan), Fixed(plan), pool, on_event)


def test_workers_keep_to_one_thread_and_last(tmp_path, pool):
    before = {worker.process.pid for worker in pool._workers}
    assert pooled(pool, tmp_path, *(tiny(str(number)) for number in range(5))) == {}
    assert {worker.process.pid for worker in pool._workers} == before
    for pid in before:
        environment = Path(f"/proc/{pid}/environ")
        if environment.exists():
            assert b"NUMBA_NUM_THREADS=1\0" in environment.read_bytes()
    assert not [path for path in (tmp_path / LOGS).rglob("*") if path.is_file()]


def test_a_worker_that_is_killed_fails_its_run_and_is_replaced(tmp_path, pool):
    killed = []

    def kill(event):
        if event.job_id == "corridor/long/0" and event.kind == "progress" and not killed:
            killed.extend(
                worker.process.pid
                for worker in pool._workers
                if worker.items and worker.items[0].strategy == "long"
            )
            os.kill(killed[0], signal.SIGKILL)

    jobs = (tiny("long", 10**7), tiny("a"), tiny("b"), tiny("c"))
    failed = pooled(pool, tmp_path, *jobs, on_event=kill)
    assert list(failed) == ["corridor/long/0"] == list(read_failures(tmp_path))
    assert "SIGKILL" in failed["corridor/long/0"]
    assert len(Results.open(tmp_path).rows) == 3
    assert killed[0] not in {worker.process.pid for worker in pool._workers}
    assert pooled(pool, tmp_path / "again", tiny("a"), tiny("b")) == {}


def test_an_error_in_a_worker_is_told(tmp_path, pool):
    failed = pooled(pool, tmp_path, tiny("a", algo="PPO", env_kwargs={"size": "many"}), tiny("b"))
    assert list(failed) == ["corridor/a/0"]
    assert len(Results.open(tmp_path).rows) == 1


def test_what_a_run_prints_is_kept(tmp_path, pool):
    settings = {**SUITE["settings"], "batch_size": 100}  # Stable-Baselines3 warns
    job = Job(
        "corridor", "warned", RunConfig("shapegym/Corridor-v0", 512, settings=settings, eval_episodes=2)
    )
    assert pooled(pool, tmp_path, job) == {}
    (log,) = (tmp_path / LOGS).glob(f"{job.id}-*.txt")
    assert "mini-batch" in log.read_text()
