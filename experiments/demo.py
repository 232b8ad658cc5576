"""The demonstration: sparse task reward, potential, count bonus and a misleading bonus, on two tasks, three seeds each."""

from __future__ import annotations

import multiprocessing
import statistics
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from shapegym.agents.callbacks import ALARMS_FILE, EPISODES_FILE, keep_alarms_to_files
from shapegym.agents.metrics import read_json_lines
from shapegym.experiments.demo_tasks import TASKS, DemoTask
from shapegym.experiments.run import RunConfig, train
from shapegym.shaping.files.reward_files import to_data

SEEDS = (0, 1, 2)
LAST_EPISODES = 100
"""Training episodes whose shaped return the table shows."""


@dataclass(frozen=True)
class Outcome:
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


def run_one(task: DemoTask, strategy: str, seed: int, folder: Path) -> Outcome:
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
    return Outcome(
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
    on_done: Callable[[Outcome], None],
) -> list[Outcome]:
    """Train every strategy on every task with every seed, in ``workers`` processes."""
    jobs = [(task, strategy, seed) for task in tasks for strategy in task.strategies for seed in seeds]
    outcomes = []
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        pending = {
            pool.submit(run_one, task, strategy, seed, folder / "runs" / f"{task.name}-{strategy}-{seed}")
            for task, strategy, seed in jobs
        }
        for future in _as_they_finish(pending):
            outcomes.append(future.result())
            on_done(outcomes[-1])
    order = {(task.name, strategy, seed): place for place, (task, strategy, seed) in enumerate(jobs)}
    return sorted(outcomes, key=lambda outcome: order[outcome.task, outcome.strategy, outcome.seed])


def _as_they_finish(pending: set[Future[Outcome]]) -> Iterator[Future[Outcome]]:
    while pending:
        done, pending = wait(pending, return_when=FIRST_COMPLETED)
        if failed := next((future for future in done if future.exception()), None):
            for future in pending:
                future.cancel()
            failed.result()
        yield from done


def table(task: DemoTask, outcomes: list[Outcome]) -> Table:
    """Return the comparison on one task: mean [lowest, highest] over the seeds."""
    seeds = len({outcome.seed for outcome in outcomes})
    result = Table(
        title=escape(f"{task.title}: {task.steps:,} steps, {seeds} seed(s), mean [lowest, highest]"),
        title_justify="left",
        title_style="bold",
    )
    result.add_column("trained on")
    for heading in ("success", "task return", "shaped return", "steps to first success"):
        result.add_column(heading, justify="right")
    for strategy in task.strategies:
        runs = [outcome for outcome in outcomes if (outcome.task, outcome.strategy) == (task.name, strategy)]
        result.add_row(
            task.labels[strategy],
            _spread([run.success for run in runs]),
            _spread([run.task_return for run in runs]),
            _spread([run.shaped_return for run in runs]),
            _first([run.first_success for run in runs]),
        )
    return result


def warnings(task: DemoTask, outcomes: list[Outcome]) -> Iterator[str]:
    """Say in which runs on a task the agent seemed to be paid for something else."""
    for strategy in task.strategies:
        runs = [outcome for outcome in outcomes if (outcome.task, outcome.strategy) == (task.name, strategy)]
        kinds = dict.fromkeys(kind for run in runs for kind in run.alarms)
        if kinds:
            count = sum(bool(run.alarms) for run in runs)
            yield f"Alarm: {task.labels[strategy]}, in {count} of {len(runs)} runs ({', '.join(kinds)})."


def _spread(values: list[float]) -> str:
    mean, low, high = (
        value + 0.0
        for value in (round(statistics.fmean(values), 2), round(min(values), 2), round(max(values), 2))
    )
    return escape(f"{mean:.2f} [{low:.2f}, {high:.2f}]")  # adding 0.0 turns -0.0 into 0.0


def _first(steps: list[int | None]) -> str:
    """Median over the seeds; a seed that never succeeds counts as later than any other."""
    reached = sorted(step for step in steps if step is not None)
    middle = len(steps) // 2
    never = len(steps) - len(reached)
    median = f"{reached[middle]:,}" if middle < len(reached) else "never"
    return f"{median} ({never} of {len(steps)} never)" if never and median != "never" else median
