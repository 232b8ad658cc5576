"""The demonstration: sparse task reward, potential, count bonus and a misleading bonus, on two tasks, three seeds each."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from shapegym.agents.callbacks import ALARMS_FILE, EPISODES_FILE, keep_alarms_to_files
from shapegym.agents.metrics import read_json_lines
from shapegym.experiments.demo.demo_tasks import TASKS, DemoTask
from shapegym.experiments.processes import in_processes
from shapegym.experiments.runs.request import RunConfig
from shapegym.experiments.runs.run import train
from shapegym.experiments.tables import table
from shapegym.shaping.files.reward_files import to_data

SEEDS = (0, 1, 2)
LAST_EPISODES = 100
"""Training episodes whose shaped return the table shows."""


@dataclass(frozen=True)
class DemoOutcome:
    """What one run of the demonstration came to."""

    task: str
    strategy: str
    seed: int
    success: float
    task_return: float
    shaped_return: float
    first_success: int | None
    alarms: tuple[str, ...]
    episodes: list[dict[str, Any]]


def quick(tasks: tuple[DemoTask, ...] = TASKS) -> tuple[DemoTask, ...]:
    """The same with a fraction of the budget, to see that everything works; its numbers mean nothing."""
    return tuple(replace(task, steps=task.steps // 20) for task in tasks)


def run_one(task: DemoTask, strategy: str, seed: int, folder: Path) -> DemoOutcome:
    """Train one agent and return what the table and the picture need."""
    config = RunConfig(
        env=task.env_id,
        steps=task.steps,
        reward=to_data(task.strategies[strategy]),
        seed=seed,
        env_kwargs=task.env_kwargs,
        settings=task.settings,
        eval_episodes=32,
    )
    keep_alarms_to_files()
    result = train(config, folder)
    rows, alarms = (_rows(folder / name) for name in (EPISODES_FILE, ALARMS_FILE))
    recent = rows[-LAST_EPISODES:]
    return DemoOutcome(
        task=task.name,
        strategy=strategy,
        seed=seed,
        success=result.success_rate or 0.0,
        task_return=result.mean_return,
        shaped_return=statistics.fmean(row["shaped_return"] for row in recent) if recent else 0.0,
        first_success=next((row["step"] for row in rows if row["success"]), None),
        alarms=tuple(row["kind"] for row in alarms),
        episodes=[
            {key: row[key] for key in ("step", "success", "task_return", "shaped_return")} for row in rows
        ],
    )


def _rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a file, which a short or quiet run may not have."""
    return read_json_lines(path) if path.exists() else []


def run_all(
    tasks: tuple[DemoTask, ...],
    seeds: tuple[int, ...],
    folder: Path,
    workers: int,
    on_done: Callable[[DemoOutcome], None],
) -> list[DemoOutcome]:
    """Train every strategy on every task with every seed, in ``workers`` processes."""
    jobs = [(task, strategy, seed) for task in tasks for strategy in task.strategies for seed in seeds]
    return in_processes(partial(_run, folder / "runs"), jobs, workers, on_done)


def _run(folder: Path, job: tuple[DemoTask, str, int]) -> DemoOutcome:
    task, strategy, seed = job
    return run_one(task, strategy, seed, folder / f"{task.name}-{strategy}-{seed}")


def comparison(task: DemoTask, outcomes: list[DemoOutcome]) -> Table:
    """Return the comparison on one task: mean [lowest, highest] over the seeds."""
    seeds = len({outcome.seed for outcome in outcomes})
    return table(
        "trained on",
        numbers=("success", "task return", "shaped return", "steps to first success"),
        rows=(
            (
                task.labels[strategy],
                _spread([run.success for run in runs]),
                _spread([run.task_return for run in runs]),
                _spread([run.shaped_return for run in runs]),
                _first([run.first_success for run in runs]),
            )
            for strategy, runs in _by_strategy(task, outcomes)
        ),
        title=escape(f"{task.title}: {task.steps:,} steps, {seeds} seed(s), mean [lowest, highest]"),
        title_style="bold",
    )


def warnings(task: DemoTask, outcomes: list[DemoOutcome]) -> Iterator[str]:
    """Say in which runs on a task the agent seemed to be paid for something else."""
    for strategy, runs in _by_strategy(task, outcomes):
        if kinds := dict.fromkeys(kind for run in runs for kind in run.alarms):
            count = sum(bool(run.alarms) for run in runs)
            yield f"Alarm: {task.labels[strategy]}, in {count} of {len(runs)} runs ({', '.join(kinds)})."


def _by_strategy(task: DemoTask, outcomes: list[DemoOutcome]) -> Iterator[tuple[str, list[DemoOutcome]]]:
    for strategy in task.strategies:
        yield strategy, [run for run in outcomes if (run.task, run.strategy) == (task.name, strategy)]


def _spread(values: list[float]) -> str:
    mean, low, high = (
        round(value, 2) + 0.0 for value in (statistics.fmean(values), min(values), max(values))
    )
    return escape(f"{mean:.2f} [{low:.2f}, {high:.2f}]")  # adding 0.0 turns -0.0 into 0.0


def _first(steps: list[int | None]) -> str:
    """Median over the seeds; a seed that never succeeds counts as later than any other."""
    reached = sorted(step for step in steps if step is not None)
    middle = len(steps) // 2
    never = len(steps) - len(reached)
    median = f"{reached[middle]:,}" if middle < len(reached) else "never"
    return f"{median} ({never} of {len(steps)} never)" if never and median != "never" else median
