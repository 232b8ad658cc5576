"""What a sweep costs beside its runs: `python benchmarks/sweep_overhead.py --runs 1000 --workers 2`.

*Workers at a run*: the share of the workers' time, from the first line of the program to its last, in which a run was under way.
What is missing from 100 % is starting processes, imports, handing out jobs and waiting for the last ones.
*Training in a run*: the share of `run_job` that is `train`; the rest is the lock and the look at the folder. Measured in one
process, by turns.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

SETTINGS = {"num_envs": 4, "n_steps": 64, "batch_size": 64, "n_epochs": 2}


def plan_of(runs: int, steps: int) -> Any:
    """Return a plan of equal runs with different seeds."""
    from shapegym.experiments.runs.request import RunConfig
    from shapegym.experiments.sweeps.plan import Job, Plan

    config = RunConfig("shapegym/Corridor-v0", steps, settings=SETTINGS, eval_episodes=10)
    jobs = (Job("corridor", "sparse", RunConfig(**{**vars(config), "seed": seed})) for seed in range(runs))
    return Plan("overhead", "Tiny runs", tuple(jobs))


def in_pool(runs: int, steps: int, workers: int, folder: Path) -> tuple[float, float]:
    """Return the seconds of the sweep, and the sum of those of its runs."""
    start = time.perf_counter()
    from shapegym.experiments.sweeps.local_pool import LocalPool

    with LocalPool(workers) as pool:
        from shapegym.experiments.sweeps.loop import Fixed, JobEvent, run_jobs
        from shapegym.experiments.sweeps.workspace import open_workspace

        began: dict[str, float] = {}
        own = 0.0

        def watch(event: JobEvent) -> None:
            nonlocal own
            if event.kind == "started":
                began[event.job_id] = time.perf_counter()
            elif event.kind == "finished":
                own += time.perf_counter() - began[event.job_id]

        plan = plan_of(runs, steps)
        if failed := run_jobs(open_workspace(folder, plan), Fixed(plan), pool, watch):
            raise RuntimeError(failed)
    return time.perf_counter() - start, own


def around_runs(rounds: int, steps: int, folder: Path) -> float:
    """Return the share of `run_job` that is `train`."""
    from shapegym.experiments.runs.run import train
    from shapegym.experiments.sweeps.loop import run_job

    jobs = plan_of(rounds + 1, steps).jobs
    seconds = {"train": 0.0, "run_job": 0.0}
    for number, job in enumerate(jobs):
        for name, run in (
            ("train", lambda job: train(job.config, folder / "bare" / job.id)),
            ("run_job", lambda job: run_job(job, folder / "swept")),
        ):
            start = time.perf_counter()
            run(job)
            seconds[name] += (time.perf_counter() - start) * (number > 0)  # the first compiles
    return seconds["train"] / seconds["run_job"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=4096, help="of a run")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=30, help="runs that are also made one by one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wall, own = in_pool(options.runs, options.steps, options.workers, Path(folder) / "sweep")
        share = around_runs(options.rounds, options.steps, Path(folder))
    print(
        f"{options.runs} runs in {wall:.1f} s by {options.workers} workers: {own / options.runs:.3f} s a run"
    )
    print(f"workers at a run    {own / (options.workers * wall):.1%}")
    print(f"training in a run   {share:.1%}")


if __name__ == "__main__":
    main()
