"""What a person sees of a sweep: while it goes on, a row for each entry; at the end, who did best on the task."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from statistics import fmean
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, RenderResult
from rich.markup import escape
from rich.table import Column, Table

from shapegym.experiments.tables import table

if TYPE_CHECKING:
    from shapegym.experiments.sweeps.loop import JobEvent
    from shapegym.experiments.sweeps.plan import Job
    from shapegym.experiments.sweeps.results import ResultRow

_FRAME = 8
"""Lines of the terminal that are not rows of the table."""


class Board:
    """The state of a sweep, as a table that fits the terminal.

    Args:
        rows: the finished runs by id, kept up to date by their owner.
        say: told of every event in a line, for where there is no terminal; "" if it is no news.
    """

    def __init__(
        self, rows: Mapping[str, ResultRow], say: Callable[[str], object] = lambda line: None
    ) -> None:
        self._rows, self._say = rows, say
        self._steps: dict[str, int] = {}  # budget of each job
        self._entries: dict[str, list[str]] = {}  # its jobs
        self._running: dict[str, int] = {}  # how far each has come
        self._ended: set[str] = set()
        self._failed: set[str] = set()
        self._began = time.monotonic()
        self._left = self._left_at_first = 0

    def set_jobs(self, jobs: Sequence[Job]) -> None:
        """Take over all jobs of the sweep."""
        new = [job for job in jobs if job.id not in self._steps]
        for job in new:
            self._steps[job.id] = job.config.steps
            self._entries.setdefault(job.entry, []).append(job.id)
        self._ended = {job_id for job_id in self._steps if job_id in self._rows or job_id in self._failed}
        self._left = sum(steps for job_id, steps in self._steps.items() if job_id not in self._ended)
        self._left_at_first = max(self._left_at_first, self._left)

    def show(self, event: JobEvent) -> None:
        """Take over what has happened."""
        if event.kind in ("started", "progress"):
            self._running[event.job_id] = event.step
        else:
            self._running.pop(event.job_id, None)
            if event.kind == "failed":
                self._failed.add(event.job_id)
            if event.kind != "skipped" and event.job_id not in self._ended:
                self._ended.add(event.job_id)
                self._left -= self._steps[event.job_id]
        self._say(self.line(event))

    def line(self, event: JobEvent) -> str:
        """Return what has happened as a line, for where there is no terminal; "" if it is no news."""
        place = f"[{len(self._ended)}/{len(self._steps)}] {event.job_id}"
        if event.kind == "failed":
            return f"{place} failed: {first_line(event.message)}"
        if event.kind != "finished" or event.job_id not in self._rows:
            return ""
        row = self._rows[event.job_id]
        success = "" if row.success_rate is None else f"success {row.success_rate:.0%}, "
        return f"{place}: {success}task return {row.mean_return:.3f}; {self._time_left()}"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The entries that something happens to come first; those that do not fit are counted."""
        busy = {job_id.rpartition("/")[0] for job_id in (*self._running, *self._failed)}
        entries = sorted(self._entries, key=lambda name: name not in busy)
        shown = entries[: max(options.max_height - _FRAME, 1)]
        board = Table(
            Column("", no_wrap=True, overflow="ellipsis"),
            *(
                Column(heading, justify="right", no_wrap=True)
                for heading in ("done", "running", "failed", "success")
            ),
            caption=f"{len(self._ended)} of {len(self._steps)} runs; {self._time_left()}",
            caption_justify="left",
        )
        for name in shown:
            board.add_row(escape(name), *self._cells(self._entries[name]))
        if len(shown) < len(entries):
            board.add_row(f"[dim]and {len(entries) - len(shown)} more[/]")
        yield board

    def _cells(self, jobs: Sequence[str]) -> tuple[str, str, str, str]:
        rows = [self._rows[job_id] for job_id in jobs if job_id in self._rows]
        running = [self._running[job_id] / self._steps[job_id] for job_id in jobs if job_id in self._running]
        failed = sum(job_id in self._failed for job_id in jobs)
        return (
            f"{len(rows)}/{len(jobs)}",
            " ".join(map(_percent, running)),
            f"[red]{failed}[/]" if failed else "",
            _percent(_mean(row.success_rate for row in rows)),
        )

    def _time_left(self) -> str:
        """At the mean speed since the start."""
        elapsed = time.monotonic() - self._began
        left = self._left - sum(self._running.values())
        if not self._left:
            return f"{timedelta(seconds=round(elapsed))} taken"
        if left >= self._left_at_first:
            return f"{left:,} steps left"
        return f"about {timedelta(seconds=round(elapsed * left / (self._left_at_first - left)))} left"


def leaderboard(rows: Iterable[ResultRow]) -> Table:
    """Return the contenders by success, then task return: means over tasks of the means over seeds.

    Args:
        rows: finished runs; those of earlier stages are left out.
    """
    from shapegym.experiments.sweeps.results import contender

    groups: dict[str, dict[str, list[ResultRow]]] = {}
    for row in rows:
        if row.stage == 0:
            groups.setdefault(contender(row), {}).setdefault(row.task, []).append(row)

    def over_tasks(name: str, metric: str) -> float | None:
        return _mean(_mean(getattr(row, metric) for row in runs) for runs in groups[name].values())

    scores = {name: (over_tasks(name, "success_rate"), over_tasks(name, "mean_return")) for name in groups}
    return table(
        Column("trained on", overflow="fold"),  # variants differ at the end of their names
        numbers=("success", "task return", "tasks", "runs"),
        rows=(
            (
                escape(name),
                _percent(success),
                "" if task_return is None else f"{task_return:.3f}",
                str(len(groups[name])),
                str(sum(map(len, groups[name].values()))),
            )
            for name, (success, task_return) in sorted(
                scores.items(), key=lambda item: tuple(score or 0.0 for score in item[1]), reverse=True
            )
        ),
        title="Judged by the task alone",
    )


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def _mean(values: Iterable[float | None]) -> float | None:
    """Mean of the numbers among the values, None without any."""
    numbers = [value for value in values if value is not None]
    return fmean(numbers) if numbers else None


def first_line(message: str) -> str:
    """What fits into a table."""
    return next(iter(message.splitlines()), "")
