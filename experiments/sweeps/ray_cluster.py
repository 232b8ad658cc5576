"""Jobs on a Ray cluster: each is a task of one core that leaves its run folder in the sweep's folder.

The folder must be the same on every machine (a network file system), and so must shapegym; both are looked at before anything
runs. Machines that join later are not: what they run elsewhere is missing in the folder, and fails for that.
"""

from __future__ import annotations

import os
import uuid
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shapegym.experiments.errors import RunError, optional
from shapegym.experiments.processes import available_cores
from shapegym.experiments.runs import run_folder
from shapegym.experiments.sweeps.loop import JobEvent, OnEvent, attempt
from shapegym.experiments.sweeps.plan import Job

LOCAL = "ray"
"""A cluster of this machine alone, which is started for the sweep; that of the variable ``RAY_ADDRESS`` where it is set."""

POLL_SECONDS = 0.5


class RayExecutor:
    """Executor on a Ray cluster. A context manager.

    Args:
        address: `LOCAL`, or ``ray://HOST:PORT`` of a cluster's head.
        workers: runs at a time; as many as the cluster has cores by default.
        mixed: accept machines with other versions of packages, or of another kind, than this one.

    Raises:
        RunError: if Ray is not installed, or the cluster does not answer.
    """

    def __init__(self, address: str = LOCAL, workers: int | None = None, *, mixed: bool = False) -> None:
        if workers is not None and workers < 1:
            raise RunError(f"There must be at least 1 worker, got {workers}.")
        self._ray = optional("ray", 'Runs on a cluster need Ray: pip install "shapegym[ray]".')
        self._workers = workers
        self._mixed = mixed
        self._seen: set[Path] = set()  # folders that all machines share
        self._owner = not self._ray.is_initialized()
        if self._owner:
            _connect(self._ray, address)
        self._news = self._ray.remote(num_cpus=0)(_News).remote()

    def __enter__(self) -> RayExecutor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the cluster, or end it if this process started it."""
        self._ray.kill(self._news)
        if self._owner:
            self._ray.shutdown()

    def run(self, jobs: Sequence[Job], folder: Path, on_event: OnEvent) -> None:
        """Run the jobs in order; see `shapegym.experiments.sweeps.loop.Executor`.

        Raises:
            RunError: if a machine of the cluster does not have the folder, or other versions.
        """
        folder = folder.resolve()
        if folder not in self._seen:
            with shared_file(folder) as probe:
                for node in self._nodes():
                    require_same(
                        node["NodeManagerAddress"],
                        self._look(node["NodeID"], probe),
                        probe,
                        mixed=self._mixed,
                    )
            self._seen.add(folder)
        task = self._ray.remote(num_cpus=1, max_retries=0)(_attempt)  # the sweep tries again
        waiting, running = deque(jobs), dict[Any, Job]()
        try:
            while waiting or running:
                while waiting and len(running) < self._at_once():
                    job = waiting.popleft()
                    running[task.remote(job, folder, self._news)] = job
                ended, _ = self._ray.wait(list(running), timeout=POLL_SECONDS)
                for event in self._ray.get(self._news.take.remote()):
                    on_event(event)
                for ref in ended:
                    on_event(self._end(ref, running.pop(ref)))
        finally:
            for ref in running:  # interrupted: they continue from their checkpoints
                self._ray.cancel(ref, force=True)

    def _nodes(self) -> list[dict[str, Any]]:
        return [node for node in self._ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]

    def _at_once(self) -> int:
        """Twice the cores: the next task is there when one ends, and few are to be taken back when the sweep is interrupted."""
        return self._workers or max(1, 2 * int(self._ray.cluster_resources().get("CPU", 0)))

    def _end(self, ref: Any, job: Job) -> JobEvent:
        try:
            return self._ray.get(ref)
        except self._ray.exceptions.RayError as error:
            return JobEvent("failed", job.id, message=worded(error))

    def _look(self, node_id: str, probe: Path) -> Sighting:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        there = NodeAffinitySchedulingStrategy(node_id, soft=False)
        look = self._ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=there)(_look)
        try:
            return self._ray.get(look.remote(probe, uuid.uuid4().hex))
        except self._ray.exceptions.RayError as error:
            raise RunError(
                f"A machine of the cluster cannot run shapegym: {worded(error)} Install there what is installed here."
            ) from error


@dataclass(frozen=True)
class Sighting:
    """What a machine of the cluster finds."""

    text: str | None  # what stands in the probe file, None if there is none
    reply: str  # name of a file that it wrote beside the probe, "" if it could not
    versions: Mapping[str, str]  # of its packages


@contextmanager
def shared_file(folder: Path) -> Iterator[Path]:
    """A file with a text that no other has, and whatever is written beside it under its name, for a while."""
    probe = folder / f".probe-{uuid.uuid4().hex}"
    try:
        probe.write_text(probe.name, encoding="utf-8")
        yield probe
    finally:
        for path in folder.glob(f"{probe.name}*"):
            path.unlink(missing_ok=True)


def require_same(machine: str, sighting: Sighting, probe: Path, *, mixed: bool = False) -> None:
    """Raise `RunError` unless a machine reads and writes in the folder of ``probe``, and has the versions of this one."""
    if sighting.text != probe.name or not (sighting.reply and (probe.parent / sighting.reply).exists()):
        what = "does not see" if sighting.text != probe.name else "cannot write to"
        raise RunError(
            f"The machine {machine} of the cluster {what} {probe.parent}: choose a folder with --out that all machines share."
        )
    here = run_folder.versions()
    for name, version in here.items():
        if not mixed and sighting.versions.get(name) != version:
            raise RunError(
                f"The machine {machine} of the cluster has {name} {sighting.versions.get(name)}, this one {version}. "
                "Install the same everywhere, or mix them with --mixed."
            )


def worded(error: Exception) -> str:
    """Why a task came to nothing, in one sentence for the cases that people meet."""
    from ray import exceptions

    if isinstance(error, exceptions.OutOfMemoryError):
        return "Its machine ran out of memory and Ray ended it: run fewer at a time with --workers."
    if isinstance(error, exceptions.WorkerCrashedError):
        return "Its worker process died: killed, or a crash in compiled code."
    if isinstance(error, exceptions.NodeDiedError):
        return "Its machine left the cluster."
    if isinstance(error, exceptions.RayTaskError):
        return f"{type(error.cause).__name__}: {error.cause}."
    return f"{type(error).__name__}: {error}".partition("\n")[0]


class _News:
    """The actor that running tasks report to, and the sweep asks."""

    def __init__(self) -> None:
        self._events: list[JobEvent] = []

    def put(self, event: JobEvent) -> None:
        self._events.append(event)

    def take(self) -> list[JobEvent]:
        events, self._events = self._events, []
        return events


def _attempt(job: Job, folder: Path, news: Any) -> JobEvent:
    import numba
    import ray

    numba.set_num_threads(1)  # Ray sees to it for BLAS, `train` for torch

    def report(event: JobEvent) -> None:
        with suppress(ray.exceptions.RayError):  # a run is worth more than the news of it
            ray.get(news.put.remote(event))

    return attempt(job, folder, report)


def _look(probe: Path, name: str) -> Sighting:
    text, reply = None, ""
    with suppress(OSError):
        text = probe.read_text(encoding="utf-8")
        answer = probe.with_name(f"{probe.name}-{name}")
        answer.touch()
        reply = answer.name
    return Sighting(text, reply, run_folder.versions())


def _connect(ray: Any, address: str) -> None:
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a sweep tells nobody
    if address == LOCAL:
        address = os.environ.get("RAY_ADDRESS", "local")
    ours = {"num_cpus": available_cores(), "include_dashboard": False} if address == "local" else {}
    try:
        ray.init(address, **quiet, **ours)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise RunError(
            f"The Ray cluster at {address!r} cannot be used: {reason}. "
            "A cluster that asks for a token needs RAY_AUTH_MODE=token here too."
        ) from error
