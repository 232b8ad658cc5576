"""Jobs on the cores of this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from shapegym.experiments.inside import inside
from shapegym.experiments.processes import News, Say, WorkerPool

if TYPE_CHECKING:  # so that workers start while the rest is imported
    from shapegym.experiments.sweeps.loop import JobEvent, OnEvent
    from shapegym.experiments.sweeps.plan import Job

LOGS = "logs"


def log_of(job_id: str, pid: int) -> Path:
    """Return where a worker writes what a job prints, relative to the folder of the sweep."""
    return Path(LOGS) / f"{job_id}-{pid}.txt"


class LocalPool(WorkerPool):
    """Executor with worker processes; a worker that dies fails the job it had.

    Args:
        workers: how many; as many as there are cores by default.

    Raises:
        RunError: if that is less than one.
    """

    def __init__(self, workers: int | None = None) -> None:
        super().__init__(workers, ("shapegym.experiments.sweeps.loop",))

    def run(self, jobs: Sequence[Job], folder: Path, on_event: OnEvent) -> None:
        """Run the jobs, begun in their order; see `shapegym.experiments.sweeps.loop.Executor`.

        Raises:
            RunError: if workers cannot start.
        """
        from shapegym.experiments.sweeps.loop import JobEvent, message_of

        def hear(job: Job, news: News) -> None:
            if news.kind in ("said", "returned"):
                on_event(news.value)
            elif news.kind == "raised":
                on_event(JobEvent("failed", job.id, message=message_of(news.value)))
            else:
                where = f"What it printed, if anything, is in {log_of(job.id, news.pid)}."
                on_event(JobEvent("failed", job.id, message=f"Its process ended with {news.value}. {where}"))

        self.map(partial(_run, folder), jobs, hear)


def _run(folder: Path, job: Job, say: Say) -> JobEvent:
    from shapegym.experiments.sweeps.loop import attempt

    with _printing_to(inside(folder, log_of(job.id, os.getpid()).as_posix())):
        return attempt(job, folder, say)


@contextmanager
def _printing_to(path: Path) -> Iterator[None]:
    """Send the output of this process, also that of its libraries, to a file; there is none if there is no output."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        for standard in (1, 2):
            os.dup2(file.fileno(), standard)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            if os.fstat(file.fileno()).st_size == 0:
                path.unlink()
