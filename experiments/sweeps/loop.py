"""Sweeps: every job of a plan run once, whatever happens to the processes that run them.

`run_job` is what makes it safe. It holds the run's lock, which the operating system releases when the process dies, and looks at
the folder to see how far the run came: complete, at a checkpoint, or nowhere. So it does not matter who was killed and when, nor
how many sweeps work on one folder.
"""

from __future__ import annotations

import shutil
import time
import traceback
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import gymnasium as gym
from filelock import FileLock, Timeout
from typing_extensions import override

from shapegym.agents.callbacks import ShapingCallback, keep_alarms_to_files
from shapegym.agents.checkpoint import checkpoints
from shapegym.agents.errors import AgentError, CheckpointError
from shapegym.experiments.errors import RunError
from shapegym.experiments.inside import inside
from shapegym.experiments.runs import run_folder
from shapegym.experiments.runs.request import request_of
from shapegym.experiments.runs.run import Progress, train
from shapegym.experiments.sweeps.plan import Job, Plan, run_path
from shapegym.experiments.sweeps.results import ResultRow
from shapegym.experiments.sweeps.workspace import (
    LOCKS,
    TRASH,
    Workspace,
    discard_checkpoints,
    require_unedited,
    wandb_project,
)
from shapegym.shaping.digests import digest_of
from shapegym.shaping.errors import ShapingError

PROGRESS_SECONDS = 0.5
"""Between two reports of one run."""

PATIENCE_SECONDS = 1.0
"""Between two looks at runs that another sweep is working on."""

Kind = Literal["started", "progress", "finished", "failed", "skipped"]


@dataclass(frozen=True)
class JobEvent:
    """What happened to a job."""

    kind: Kind  # "skipped" says that another process is running the job
    job_id: str  # of the job
    step: int = 0  # global step, of "progress"
    message: str = ""  # why it failed; the first line is for tables


OnEvent = Callable[[JobEvent], None]


class Executor(Protocol):
    """Runs jobs somewhere, with `attempt`."""

    def run(self, jobs: Sequence[Job], folder: Path, on_event: OnEvent) -> None:
        """Return when every job has finished, failed or been skipped, and ``on_event`` was told so, in the caller's thread."""


class Search(Protocol):
    """Decides which jobs there are."""

    def jobs(self, done: Mapping[str, ResultRow]) -> Sequence[Job]:
        """Return all jobs that should exist given the finished ones; always the same, so that a restart continues."""


@dataclass(frozen=True)
class Fixed(Search):
    """The search that knows its jobs in advance."""

    plan: Plan

    @override
    def jobs(self, done: Mapping[str, ResultRow]) -> Sequence[Job]:
        return self.plan.jobs


class RunBusy(RunError):
    """Another process is running the job."""


def run_jobs(
    workspace: Workspace,
    search: Search,
    executor: Executor,
    on_event: OnEvent,
    on_jobs: Callable[[Sequence[Job]], None] = lambda jobs: None,
) -> dict[str, str]:
    """Run what is missing, and return why jobs failed: id -> message. Whatever failed is tried again by the next sweep.

    Args:
        workspace: the folder.
        search: the jobs.
        executor: where they run.
        on_event: told what happens, after it is on record.
        on_jobs: told which jobs there are, whenever there are more.
    """
    failed: dict[str, str] = {}

    def handle(event: JobEvent) -> None:
        try:
            there = run_folder.is_finished(run_path(workspace.folder, event.job_id))
            if event.kind == "finished" or (event.kind == "skipped" and there):
                workspace.record(by_id[event.job_id])
                event = JobEvent("finished", event.job_id)
        except (OSError, RunError) as error:
            event = JobEvent("failed", event.job_id, message=message_of(error))
        if event.kind == "failed":
            failed[event.job_id] = event.message
            with suppress(OSError):  # a full disk takes no note either
                workspace.note_failure(event.job_id, event.message)
        on_event(event)

    while True:
        jobs = search.jobs(workspace.rows)
        workspace.add(jobs)
        on_jobs(jobs)
        by_id = {job.id: job for job in jobs if job.id not in workspace.rows and job.id not in failed}
        if not by_id:
            break
        executor.run(list(by_id.values()), workspace.folder, handle)
        workspace.refresh()
        if not any(job_id in workspace.rows or job_id in failed for job_id in by_id):
            time.sleep(PATIENCE_SECONDS)
    with suppress(OSError):  # order is all that is lost
        workspace.tidy()
    return failed


def attempt(job: Job, folder: Path, on_event: OnEvent) -> JobEvent:
    """Run a job and return how it ended; what executors call in a worker."""
    next_report = 0.0

    def progress(step: int, _: ShapingCallback) -> None:
        nonlocal next_report
        if (now := time.monotonic()) >= next_report:
            next_report = now + PROGRESS_SECONDS
            on_event(JobEvent("progress", job.id, step))

    try:
        on_event(JobEvent("started", job.id))
        run_job(job, folder, progress)
    except RunBusy:
        return JobEvent("skipped", job.id)
    except Exception as error:  # whatever it is, the other jobs go on
        return JobEvent("failed", job.id, message=message_of(error))
    return JobEvent("finished", job.id)


def run_job(job: Job, folder: Path, progress: Progress | None = None) -> None:
    """Leave a complete run folder: keep it, continue it from its last checkpoint, or start it anew.

    Args:
        job: the job.
        folder: of the sweep.
        progress: see `shapegym.experiments.runs.run.train`.

    Raises:
        RunBusy: if another process is at it.
        RunError: if the folder is complete, but not what the job asks for.
        PluginError: if a module that it imports is not there or fails.
    """
    path = run_path(folder, job.id)
    keep_alarms_to_files()
    job.config.import_modules()
    with _alone(folder, job.id):
        if run_folder.is_finished(path):
            require_unedited(job, path)
        else:
            _train(job, path, folder, progress)
        discard_checkpoints(path)


def _train(job: Job, path: Path, folder: Path, progress: Progress | None) -> None:
    resume, wandb = _can_continue(job, path), wandb_project(folder)
    try:
        if resume:
            _remove_drafts(path)
            train(job.config, path, resume=True, progress=progress, wandb=wandb)
    except CheckpointError:
        resume = False
    if not resume:
        _clear(path, folder)
        train(job.config, path, progress=progress, wandb=wandb)


def message_of(error: Exception) -> str:
    """Why a job failed: the sentence of an error made for people, else also the place in the code."""
    if isinstance(error, (AgentError, ShapingError, RunError, gym.error.Error, OSError)):
        return str(error)
    trace = "".join(traceback.format_tb(error.__traceback__))
    return f"{type(error).__name__}: {error}\n{trace}"


@contextmanager
def _alone(folder: Path, job_id: str) -> Iterator[None]:
    path = inside(folder, f"{LOCKS}/{digest_of(job_id)}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise RunBusy(f"Another process is running {job_id}.") from None
    try:
        yield
    finally:
        lock.release()


def _can_continue(job: Job, path: Path) -> bool:
    """Whether the folder holds a part of exactly this run: the same request, packages and machine."""
    if not checkpoints(path / run_folder.CHECKPOINTS):
        return False
    try:
        return run_folder.read_config(path) == request_of(job.config) and not run_folder.changed_versions(
            path
        )
    except (RunError, ValueError):
        return False


def _remove_drafts(path: Path) -> None:
    """What a killed process was about to write."""
    for draft in path.glob(".*.tmp"):
        draft.unlink()


def _clear(path: Path, folder: Path) -> None:
    """Delete a half-made run; first its place, so that a process killed meanwhile leaves nothing that can be continued."""
    if path.exists():
        trash = folder / TRASH
        trash.mkdir(exist_ok=True)
        doomed = trash / uuid.uuid4().hex
        path.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)
