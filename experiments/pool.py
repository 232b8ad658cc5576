"""Jobs on the cores of this machine: worker processes that import once and then run one job after the other.

This module imports little, so that workers can start while the parent is still reading what they are to do.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING

from shapegym.experiments.errors import RunError

if TYPE_CHECKING:
    from shapegym.experiments.plan import Job
    from shapegym.experiments.sweep import Event, OnEvent

LOGS = "logs"
_READY = "ready"
_ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


def available_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def log_of(job_id: str, pid: int) -> Path:
    """Return where a worker writes what a job prints, relative to the folder of the sweep."""
    return Path(LOGS) / f"{job_id}-{pid}.txt"


class LocalPool:
    """Executor with worker processes, each on one thread, that last until it is closed. A context manager.

    A worker that dies (killed, out of memory, segmentation fault) fails the job it had and is replaced.

    Args:
        workers: how many; as many as there are cores by default.

    Raises:
        RunError: if that is less than one.
    """

    def __init__(self, workers: int | None = None) -> None:
        if workers is not None and workers < 1:
            raise RunError(f"There must be at least 1 worker, got {workers}.")
        self._workers = [_Worker() for _ in range(workers or available_cores())]

    def __enter__(self) -> LocalPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the workers, wherever they are: a run can be continued from any moment."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.bury()

    def run(self, jobs: Sequence[Job], folder: Path, on_event: OnEvent) -> None:
        """Run the jobs, begun in their order; see `shapegym.experiments.sweep.Executor`.

        Raises:
            RunError: if workers cannot start.
        """
        waiting = deque(jobs)
        self._feed(waiting, folder)
        while waiting or any(worker.job for worker in self._workers):
            for worker in self._with_news():
                event = worker.news()
                self._feed(waiting, folder)  # before the books are written, so that no worker waits for them
                if event is not None:
                    on_event(event)

    def _feed(self, waiting: deque[Job], folder: Path) -> None:
        for worker in self._workers:
            if waiting and worker.ready and worker.job is None:
                worker.begin(waiting.popleft(), folder)

    def _with_news(self) -> list[_Worker]:
        ready = set(wait([handle for worker in self._workers for handle in worker.handles]))
        return [worker for worker in self._workers if ready.intersection(worker.handles)]


class _Worker:
    """A process, the parent's end of its pipe, and the job it is at."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.job: Job | None = None
        self.ready = False
        self.pipe, theirs = _SPAWN.Pipe()
        self.process = _SPAWN.Process(target=_work, args=(theirs,), daemon=True)
        with _environment(dict.fromkeys(_ONE_THREAD, "1")):  # read when the libraries are imported
            self.process.start()
        theirs.close()

    @property
    def handles(self) -> tuple[Connection, int]:
        return self.pipe, self.process.sentinel

    def begin(self, job: Job, folder: Path) -> None:
        self.job = job
        with suppress(OSError):  # it has died, which `news` will find
            self.pipe.send((job, folder))

    def news(self) -> Event | None:
        """Return what it says, or that it has died; None if that concerns no job."""
        try:
            if not self.pipe.poll():
                raise EOFError  # only the sentinel has spoken
            message = self.pipe.recv()
        except (EOFError, OSError):
            return self._died()
        if message == _READY:
            self.ready = True
            return None
        if message.kind not in ("started", "progress"):
            self.job = None
        return message

    def bury(self) -> int:
        """Take leave of a process that has died or is about to, and return its exit code."""
        self.process.kill()
        self.process.join()
        code = self.process.exitcode
        self.pipe.close()
        self.process.close()
        return code or 0

    def _died(self) -> Event | None:
        from shapegym.experiments.sweep import Event

        pid, job, ready = self.process.pid or 0, self.job, self.ready
        code = self.bury()
        if not ready:
            raise RunError(f"A worker process could not start: it ended with {_in_words(code)}.")
        self.start()
        if job is None:
            return None
        where = f"What it printed, if anything, is in {log_of(job.id, pid)}."
        return Event("failed", job.id, message=f"Its process ended with {_in_words(code)}. {where}")


_SPAWN = get_context("spawn")


def _in_words(code: int) -> str:
    if code == -signal.SIGKILL:
        return "SIGKILL: somebody killed it, or memory ran out"
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _work(pipe: Connection) -> None:
    """What a worker does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says when to stop
    threading.Thread(target=_die_with_parent, daemon=True).start()
    import torch

    from shapegym.experiments.sweep import Event, attempt, message_of

    torch.set_num_threads(1)
    faulthandler.enable()
    pipe.send(_READY)
    while True:
        try:
            job, folder = pipe.recv()
        except EOFError:
            return
        try:
            with _printing_to(folder / log_of(job.id, os.getpid())):
                event = attempt(job, folder, pipe.send)
        except OSError as error:
            event = Event("failed", job.id, message=message_of(error))
        pipe.send(event)


def _die_with_parent() -> None:
    parent = parent_process()
    assert parent is not None  # noqa: S101  # this is a child
    wait([parent.sentinel])
    os._exit(1)


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
