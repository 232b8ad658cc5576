"""How large a report can get: a made-up sweep of any size, and the time and the bytes that its index and its report take.

python benchmarks/report_scale.py 1000 10000
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from shapegym.experiments.runs.request import RunConfig
from shapegym.experiments.sweeps.plan import Job, Plan, in_fair_order
from shapegym.experiments.sweeps.results import INDEX, ResultRow, Results
from shapegym.experiments.sweeps.workspace import FORMAT, PLAN, SWEEP

STRATEGIES = {
    "sparse": None,
    "potential": {
        "sum": ["task_reward", {"scale": {"by": 0.2, "of": {"potential": {"phi": "doorkey_progress"}}}}]
    },
    "count": {"sum": ["task_reward", {"count_bonus": {"key": "obs", "beta": 0.02}}]},
    "misleading": {
        "sum": ["task_reward", {"event": {"value": "features.event", "reward": 0.3, "equals": 5}}]
    },
    "potential-without-task_reward": {"potential": {"phi": "doorkey_progress"}},
}
SKILL = {
    "sparse": 0.25,
    "potential": 0.85,
    "count": 0.6,
    "misleading": 0.1,
    "potential-without-task_reward": 0.5,
}
STEPS = 100_000
VERSIONS = {"python": "3.11.9", "shapegym": "0.1.0", "numpy": "2.4.6", "torch": "2.13.0", "machine": "x86_64"}


def make_plan(tasks: int, seeds: int, variants: int = 1, title: str = "A made-up comparison") -> Plan:
    """Tasks of growing difficulty, the five strategies, and ``variants`` of each but the task reward."""
    jobs = []
    for task in range(tasks):
        for strategy, reward in STRATEGIES.items():
            for variant in range(variants if reward else 1):
                config = RunConfig(
                    env="shapegym/MiniGrid-DoorKey-6x6-v0",
                    steps=STEPS,
                    reward=reward,
                    settings={"learning_rate": 1e-3 * (variant + 1)},
                    eval_every=STEPS // 20,
                )
                swept = {"learning_rate": 1e-3 * (variant + 1)} if variants > 1 and reward else {}
                jobs += [
                    Job(f"task{task}", strategy, RunConfig(**{**asdict(config), "seed": seed}), swept)
                    for seed in range(seeds)
                ]
    return Plan("synthetic", title, in_fair_order(jobs))


def make_row(job: Job, rng: np.random.Generator, *, success: bool = True) -> ResultRow:
    """A plausible result: a learning curve that rises with the skill of the strategy."""
    difficulty = 1 + 0.3 * int(job.task.removeprefix("task"))
    final = float(np.clip(SKILL[job.strategy] / difficulty + rng.normal(0, 0.12), 0, 1))
    steps = list(range(STEPS // 20, STEPS + 1, STEPS // 20))
    rise = 1 / (1 + np.exp(-(np.array(steps) / STEPS - rng.uniform(0.2, 0.6)) * 12))
    rates = np.round(final * rise, 2).tolist()
    paid = {"task_reward": 0.9 * final}
    if job.strategy != "sparse":
        paid[job.strategy.partition("-")[0]] = 3.2 if job.strategy == "misleading" else 0.2
    shares = {"environment": 0.2, "policy": 0.25, "learner": 0.4, "reward": 0.05, "other": 0.1}
    return ResultRow(
        id=job.id,
        task=job.task,
        strategy=job.strategy,
        entry=job.entry,
        seed=job.config.seed,
        stage=job.stage,
        variant=dict(job.variant),
        digest=job.digest,
        steps=job.config.steps,
        success_rate=rates[-1] if success else None,
        mean_return=0.95 * rates[-1],
        mean_length=100.0,
        episodes=50,
        first_success=int(rng.integers(1000, STEPS)) if final > 0.15 and success else None,
        shaped_return=sum(paid.values()),
        parts=paid,
        curve={
            "step": steps,
            "success_rate": rates if success else [None] * len(steps),
            "mean_return": [0.95 * rate for rate in rates],
            "mean_length": [100.0] * len(steps),
        },
        versions=VERSIONS,
        costs={
            "seconds": float(rng.uniform(8, 12)),
            "frames_per_second": 1e4,
            "resumed": 0,
            "shares": shares,
            "terms": dict.fromkeys(paid, 0.02),
        },
    )


def write_sweep(folder: Path, plan: Plan, rows: list[ResultRow]) -> None:
    """The books of a sweep, without run folders."""
    folder.mkdir(parents=True, exist_ok=True)
    header = {"format": FORMAT, "name": plan.name, "title": plan.title, "shapegym": "0.1.0", "request": {}}
    (folder / SWEEP).write_text(json.dumps(header))
    lines = ({"id": job.id, "digest": job.digest, **asdict(job)} for job in plan.jobs)
    (folder / PLAN).write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / INDEX).write_text("".join(row.as_line() for row in rows))


def make_sweep(folder: Path, tasks: int, seeds: int, variants: int = 1) -> Plan:
    """Write a finished sweep."""
    plan, rng = make_plan(tasks, seeds, variants), np.random.default_rng(0)
    write_sweep(folder, plan, [make_row(job, rng) for job in plan.jobs])
    return plan


def main(sizes: list[int]) -> None:
    from shapegym.experiments.reports import report

    for size in sizes:
        for tasks, seeds, variants in ((5, size // 25, 1), (5, 5, size // 100), (1, 1, size // 4)):
            with tempfile.TemporaryDirectory() as scratch:
                folder = Path(scratch)
                runs = len(make_sweep(folder, tasks, seeds, variants).jobs)
                start = time.perf_counter()
                Results.open(folder)
                opened = time.perf_counter() - start
                start = time.perf_counter()
                page = report(folder)
                text = page.with_suffix(".md")
                written = time.perf_counter() - start
                print(
                    f"{runs} runs, {tasks} tasks, {seeds} seeds, {4 * variants + 1} contenders: index {opened:.2f} s, report "
                    f"{written:.1f} s, {page.stat().st_size / 1e6:.2f} MB, Markdown {text.stat().st_size / 1e6:.2f} MB"
                )


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or [1000, 10_000])
