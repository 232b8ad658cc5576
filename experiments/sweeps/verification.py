"""Checking somebody's results: the books of a sweep against its run folders, and sampled runs against a repetition."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shapegym.agents.algorithms.registry import algorithm_of
from shapegym.agents.callbacks import EPISODES_FILE, EVALUATIONS_FILE
from shapegym.experiments.errors import RunError
from shapegym.experiments.runs import costs, run_folder
from shapegym.experiments.runs.request import RunConfig
from shapegym.experiments.runs.run import Progress, train
from shapegym.experiments.sweeps.plan import Job, run_path
from shapegym.experiments.sweeps.results import ResultRow, Results, row_of
from shapegym.experiments.sweeps.workspace import read_header, read_plan, require_unedited
from shapegym.shaping.limited_files import LARGEST_DOCUMENT, opened, read_object

TOLERANCE = 0.2
"""Between a result and its repetition with other package versions or on another kind of machine: of the success rate, and of the
task return relative to its size (at least 1). Rounding differs there, so that after a while the two are as different as two
seeds."""

REPEATED = (run_folder.RESULT, EVALUATIONS_FILE, EPISODES_FILE)
"""The files that a repetition writes again, byte for byte; and those that its algorithm declares."""

_OF_THE_MACHINE = ("costs", "versions", "request")
"""Fields of a row that a repetition need not share: the stored request writes out defaults, which later versions add to."""

_LONGEST_SHOWN = 1000  # bytes of a line


@dataclass(frozen=True)
class Repetition:
    """What came of training a run again."""

    differences: tuple[str, ...]  # from the recorded files, in words; none if they are equal to the byte
    # packages, or the kind of machine, that are not as they were: name -> (then, now)
    changed: Mapping[str, tuple[str, str]]
    outside: tuple[str, ...]  # what differs by more than `TOLERANCE`, which counts where something changed
    # how often the recorded run was interrupted; in an environment without snapshots it does not go on to the bit
    resumed: int

    @property
    def failures(self) -> tuple[str, ...]:
        """What speaks against the result."""
        return self.outside if self.changed else self.differences


def check_books(folder: Path) -> Iterator[str]:
    """Yield what is wrong between plan, index and run folders of a sweep, or plan and index alone where it has no more.

    Raises:
        RunError: if plan or index cannot be read, or the request of a job was edited.
    """
    alone, plan = read_header(folder)["rows_alone"], {job.id: job for job in read_plan(folder).jobs}
    rows = Results.open(folder).rows
    listed = {row.id for row in rows}
    for job_id in plan:
        if job_id not in listed and run_folder.is_finished(run_path(folder, job_id)):
            yield f"{job_id} is finished, but not in the index."
    for row in rows:
        job = plan.get(row.id)
        if job is None:
            yield f"{row.id} is in the index, but not in the plan."
            continue
        if row.digest != job.digest:
            yield f"{row.id}: the index has a result of the request {row.digest}, the plan asks for {job.digest}."
        if alone and not run_folder.is_finished(run_path(folder, row.id)):
            continue
        try:
            require_unedited(job, run_path(folder, row.id))
            found = row_of(job, run_path(folder, row.id))
        except RunError as error:
            yield f"{row.id}: {error}"
            continue
        if fields := _differing(json.loads(row.as_line()), json.loads(found.as_line())):
            yield f"{row.id}: the index and the run folder differ in {', '.join(fields)}."


def sample(folder: Path, count: int, seed: int, only: str = "") -> tuple[Job, ...]:
    """Return the jobs of ``count`` finished runs (or all, if there are no more), drawn at random by ``seed``.

    Args:
        folder: of the sweep.
        count: how many.
        seed: which.
        only: of those whose ids (task/strategy/seed) contain this text.

    Raises:
        RunError: if none is finished.
    """
    plan = {job.id: job for job in read_plan(folder).jobs}
    finished = sorted(row.id for row in Results.open(folder).rows if row.id in plan and only in row.id)
    if not finished:
        which = f" of those with {only!r} in their id" if only else ""
        raise RunError(f"No run of {folder} is finished{which}; there is nothing to repeat.")
    drawn = np.random.default_rng(seed).permutation(len(finished))[:count]
    return tuple(plan[finished[place]] for place in drawn)


def repeat(job: Job, folder: Path, scratch: Path, progress: Progress | None = None) -> Repetition:
    """Train a run of a sweep again, as its folder says, and compare; as the plan says, if the sweep has rows alone.

    Args:
        job: the run.
        folder: of the sweep; nothing in it is changed.
        scratch: an empty or new folder.
        progress: see `shapegym.experiments.runs.run.train`.

    Raises:
        RunError: if the recorded run is not complete, or damaged.
    """
    recorded = run_path(folder, job.id)
    if read_header(folder)["rows_alone"] and not run_folder.is_finished(recorded):
        train(job.config, scratch, progress=progress)
        return _beside(_row(folder, job), row_of(job, scratch))
    row_of(job, recorded)
    train(RunConfig.from_folder(recorded), scratch, progress=progress, answers_of=recorded)
    names = (*REPEATED, *algorithm_of(job.config.algo).files)
    then, now = (read_object(path / run_folder.RESULT, RunError) for path in (recorded, scratch))
    return Repetition(
        tuple(filter(None, (_difference(name, recorded, scratch) for name in names))),
        run_folder.changed_versions(recorded),
        tuple(_outside(then, now)),
        costs.read(recorded).resumed,
    )


def _row(folder: Path, job: Job) -> ResultRow:
    return next(row for row in Results.open(folder).rows if row.id == job.id)


def _beside(recorded: ResultRow, repeated: ResultRow) -> Repetition:
    """Compare a row that has lost its run folder with that of the repetition."""
    then, now = json.loads(recorded.as_line()), json.loads(repeated.as_line())
    fields = (name for name in _differing(then, now) if name not in _OF_THE_MACHINE)
    return Repetition(
        tuple(f"{name}: recorded {_cut(then[name])}, repeated {_cut(now[name])}." for name in fields),
        run_folder.changes(recorded.versions),
        tuple(_outside(then, now)),
        int(then["costs"].get("resumed", 0)),
    )


def _difference(name: str, recorded: Path, repeated: Path) -> str:
    """The first line of a file that is another, in words; "" if the files are equal."""
    paths = recorded / name, repeated / name
    missing = [not path.exists() for path in paths]
    if all(missing):
        return ""
    for absent, which in zip(missing, ("the recorded run", "the repetition"), strict=True):
        if absent:
            return f"{which} has no {name}."
    with opened(paths[0], RunError) as before, opened(paths[1], RunError) as after:
        number, then, now = 0, b"", b""
        while then == now:
            number, then, now = (
                number + 1,
                before.readline(LARGEST_DOCUMENT),
                after.readline(LARGEST_DOCUMENT),
            )
            if not then and not now:
                return ""
    if then.rstrip() == now.rstrip():
        return f"{name}, line {number}: another end of the line."
    return f"{name}, line {number}: recorded {_shown(then)}, repeated {_shown(now)}."


def _shown(line: bytes) -> str:
    return line[:_LONGEST_SHOWN].decode(errors="replace").strip().rstrip(",") or "nothing"


def _cut(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]} ..."


def _outside(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for name, unit in (("success_rate", 0.0), ("mean_return", 1.0)):
        a, b = then[name], now[name]
        if a is None and b is None:
            continue
        allowed = TOLERANCE * max(1.0, unit * abs(a or 0.0))
        if a is None or b is None or abs(a - b) > allowed:
            yield f"{name}: recorded {a}, repeated {b}, more than {allowed:g} apart."


def _differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> Sequence[str]:
    return [name for name in a if a[name] != b[name]]
