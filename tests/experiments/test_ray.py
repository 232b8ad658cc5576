"""Runs on a real local Ray: the same results as without it, and every way to fail reported for its run alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from shapegym.experiments.errors import RunError
from shapegym.experiments.runs import run_folder
from shapegym.experiments.runs.request import RunConfig
from shapegym.experiments.sweeps.loop import Fixed, JobEvent, run_job, run_jobs
from shapegym.experiments.sweeps.plan import Job, Plan, run_path
from shapegym.experiments.sweeps.ray_cluster import RayExecutor, Sighting, require_same, shared_file
from shapegym.experiments.sweeps.workspace import open_workspace


def a_job(seed: int, strategy: str = "sparse", env: str = "shapegym/DeepSea-v0") -> Job:
    settings = {"num_envs": 4, "n_steps": 32, "batch_size": 64}
    return Job(
        "sea",
        strategy,
        RunConfig(env, 512, seed=seed, settings=settings, eval_episodes=4, env_kwargs={"size": 5}),
    )


@pytest.fixture(scope="module")
def executor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayExecutor]:
    pytest.importorskip("ray", reason="Ray is not installed: pip install shapegym[ray]")
    modules = tmp_path_factory.mktemp("modules")
    (modules / "deadly.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(modules))  # Ray's processes inherit it
        with RayExecutor() as started:
            yield started


def test_runs_on_ray_are_those_of_this_process(executor, tmp_path):
    jobs = [a_job(seed) for seed in (0, 1)]
    events: list[JobEvent] = []
    executor.run(jobs, tmp_path, events.append)
    for job in jobs:
        kinds = [event.kind for event in events if event.job_id == job.id]
        assert kinds[0] == "started"
        assert kinds[-1] == "finished"
        assert set(kinds[1:-1]) <= {"progress"}
        run_job(job, tmp_path / "here")
        for name in (run_folder.RESULT, "episodes.jsonl"):
            there, here = (run_path(folder, job.id) / name for folder in (tmp_path, tmp_path / "here"))
            assert there.read_bytes() == here.read_bytes()
    assert not list(tmp_path.glob(".probe*"))


def test_a_sweep_reports_a_dead_worker_and_goes_on(executor, tmp_path):
    jobs = (a_job(0, "dies", "deadly:Env-v0"), a_job(0, "lost", "shapegym/Nowhere-v0"), a_job(0))
    plan = Plan("mixed", "One dies, one cannot start", jobs)
    workspace = open_workspace(tmp_path / "sweep", plan)
    failed = run_jobs(workspace, Fixed(plan), executor, lambda event: None)
    assert set(failed) == {"sea/dies/0", "sea/lost/0"}
    assert failed["sea/dies/0"] == "Its worker process died: killed, or a crash in compiled code."
    assert "Nowhere" in failed["sea/lost/0"]
    assert set(workspace.rows) == {"sea/sparse/0"}


def test_an_interrupted_sweep_takes_its_tasks_back(executor, tmp_path):
    class Interrupted(BaseException):
        pass

    def stop(event: JobEvent) -> None:
        raise Interrupted

    jobs = [a_job(seed) for seed in range(3)]
    with pytest.raises(Interrupted):
        executor.run(jobs, tmp_path, stop)
    events: list[JobEvent] = []
    executor.run(jobs, tmp_path, events.append)  # goes on
    assert {event.job_id for event in events if event.kind == "finished"} == {job.id for job in jobs}


def test_a_machine_that_does_not_share_the_folder_is_named(tmp_path):
    versions = run_folder.versions()
    with shared_file(tmp_path) as probe:
        reply = probe.with_name(f"{probe.name}-reply")
        reply.touch()
        require_same("10.0.0.2", Sighting(probe.name, reply.name, versions), probe)
        with pytest.raises(
            RunError, match=r"10\.0\.0\.2 of the cluster does not see .*choose a folder with --out"
        ):
            require_same("10.0.0.2", Sighting(None, "", versions), probe)
        with pytest.raises(RunError, match="does not see"):  # its own folder of that name
            require_same("10.0.0.2", Sighting("another", reply.name, versions), probe)
        with pytest.raises(RunError, match="cannot write to"):
            require_same("10.0.0.2", Sighting(probe.name, "", versions), probe)
        with pytest.raises(RunError, match="cannot write to"):  # what it writes does not arrive
            require_same("10.0.0.2", Sighting(probe.name, "elsewhere", versions), probe)
        older = Sighting(probe.name, reply.name, {**versions, "numpy": "1.0"})
        with pytest.raises(RunError, match=r"has numpy 1\.0, this one .*--mixed"):
            require_same("10.0.0.2", older, probe)
        require_same("10.0.0.2", older, probe, mixed=True)
    assert not list(tmp_path.iterdir())


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(RunError, match=r'pip install "shapegym\[ray\]"'):
        RayExecutor()


def test_workers_are_at_least_one():
    with pytest.raises(RunError, match="at least 1 worker"):
        RayExecutor(workers=0)
