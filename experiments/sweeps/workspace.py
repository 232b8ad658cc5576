"""The folder of a sweep, and its books.

==================  =========================================================================
``sweep.json``      name, title, version of shapegym, what counts as solved, and what was asked for
``plan.jsonl``      a line for every job: id, digest, task, strategy, config, variant, stage
``results.jsonl``   a row for every finished run (`shapegym.experiments.sweeps.results`)
``failures.jsonl``  why a run failed last; gone when it has succeeded
``runs/``           a run folder for every job, at its id
``logs/``           what a run printed, if it did
``locks/``          held by who runs a job, or writes in the books
==================  =========================================================================

Run folders are the truth. The index is written after them, made anew from them where it is missing or damaged, and in the order
of the plan when a sweep ends. Where ``sweep.json`` says ``rows_alone`` (`shapegym.experiments.sweeps.collection`), rows count
without their run folders too.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from shapegym.experiments.errors import RunError
from shapegym.experiments.inside import inside, require_own
from shapegym.experiments.runs import run_folder
from shapegym.experiments.runs.request import RunConfig, request_of
from shapegym.experiments.sweeps.plan import SOLVED, Job, Plan, require_place, run_path
from shapegym.experiments.sweeps.results import INDEX, ResultRow, checksum, row_of
from shapegym.shaping.atomic_file import replacing
from shapegym.shaping.json_lines import append_rows, each_row
from shapegym.shaping.limited_files import LARGEST_DOCUMENT, opened, read_bytes, read_object
from shapegym.shaping.limits import Count, Natural, Share, checked

SWEEP, PLAN, FAILURES = "sweep.json", "plan.jsonl", "failures.jsonl"
LOCKS, TRASH = "locks", ".trash"
FORMAT = "shapegym sweep"
LARGEST_PLAN = 2**30
"""Bytes: a million runs."""

_HEADER: dict[str, Any] = {
    "name": str,
    "title": str,
    "request": Mapping,
    "wandb": str,
    "rows_alone": bool,
    "solved": Share,
}
_REQUEST: dict[str, Any] = {
    "suite": str | Mapping,
    "quick": bool,
    "only": str,
    "seeds": Count | tuple[Natural, ...] | None,
    "set": tuple[str, ...],
    "search": str | None,
    "trials": Count | None,
    "ablate": bool,
    "imports": tuple[str, ...],
}
_LATER: dict[str, Any] = {"request": {}, "wandb": "", "imports": (), "rows_alone": False, "solved": SOLVED}
"""What older sweeps do not say."""


class Workspace:
    """An open sweep folder. Several processes may have it open.

    Attributes:
        folder: where it is.
        plan: all jobs that it was ever asked for.
        rows: the finished ones by id; other processes' since `refresh`.
        rows_alone: whether rows count without their run folders.
    """

    def __init__(self, folder: Path, *, rows_alone: bool = False) -> None:
        self.folder = folder
        self.rows_alone = rows_alone
        self.plan = Plan("", "", ())
        self.rows: dict[str, ResultRow] = {}
        self.lock = FileLock(inside(folder, f"{LOCKS}/books.lock"))
        self._index = folder / INDEX
        self._vetted: dict[str, Job] = {}
        self._read_to, self._last = 0, b""  # what of the index `rows` holds: its size and last line

    def add(self, jobs: Sequence[Job]) -> None:
        """Take the jobs that are new into the plan.

        Raises:
            RunError: if a job of the plan has this id, but another request.
        """
        new = [job for job in jobs if self._vetted.get(job.id) != job]
        if not new:
            return
        with self.lock:
            stored = read_plan(self.folder) if (self.folder / SWEEP).exists() else self.plan
            self.plan = united(stored, new)
            if len(self.plan.jobs) > len(stored.jobs) or not (self.folder / PLAN).exists():
                _write_lines(self.folder / PLAN, map(_plan_line, self.plan.jobs))
        self._vetted.update((job.id, job) for job in new)

    def record(self, job: Job) -> None:
        """Write the row of a complete run into the index, unless it is there.

        Raises:
            RunError: if the run is not complete, or damaged.
        """
        row = row_of(job, run_path(self.folder, job.id))
        with self.lock:
            self.refresh()
            if job.id not in self.rows:
                append_rows(self._index, [asdict(row)])
                self.refresh()
            failures = read_failures(self.folder)
            if failures.pop(job.id, None) is not None:
                _write_failures(self.folder, failures)

    def note_failure(self, job_id: str, message: str) -> None:
        """Write down why a run failed."""
        with self.lock:
            append_rows(self.folder / FAILURES, [{"id": job_id, "message": message}])

    def refresh(self) -> None:
        """Read what the index has gained.

        Raises:
            RunError: if it cannot be read.
        """
        if not self._index.exists():
            self._forget()
            return
        with opened(self._index, RunError, "index") as file:
            file.seek(self._read_to - len(self._last))
            if file.read(len(self._last)) != self._last:  # written anew
                self._forget()
                file.seek(0)
            while (line := file.readline(LARGEST_DOCUMENT)).endswith(
                b"\n"
            ):  # another is torn, or not yet whole
                with suppress(ValueError):  # `rebuild` mends it
                    row = ResultRow.from_line(line.decode())
                    self.rows.setdefault(row.id, row)
                self._read_to += len(line)
                self._last = line

    def rebuild(self) -> None:
        """Make the index agree with the run folders.

        Raises:
            RunError: if a run folder was edited or is damaged.
        """
        with self.lock:
            self.refresh()
            rows = []
            for job in self.plan.jobs:
                path, row = run_path(self.folder, job.id), self.rows.get(job.id)
                if not run_folder.is_finished(path):
                    if self.rows_alone and row is not None and row.digest == job.digest:
                        rows.append(row)
                    continue
                if row is None or row.digest != job.digest:
                    require_unedited(job, path)
                    discard_checkpoints(path)
                    row = row_of(job, path)
                _require_checksums(row, path)
                rows.append(row)
            self._write_index(rows)
            failures = read_failures(self.folder)
            _write_failures(self.folder, {name: failures[name] for name in failures if name not in self.rows})

    def tidy(self) -> None:
        """Put the index into the order of the plan, so that it does not tell who was faster."""
        with self.lock:
            self.refresh()
            self.plan = read_plan(self.folder)
            self._write_index([self.rows[job.id] for job in self.plan.jobs if job.id in self.rows])

    def _write_index(self, rows: Sequence[ResultRow]) -> None:
        lines = "".join(row.as_line() for row in rows)
        size = self._index.stat().st_size if self._index.exists() else -1
        if size != len(lines.encode()) or self._index.read_bytes() != lines.encode():
            _write_lines(self._index, [lines])
        self._forget()
        self.refresh()

    def _forget(self) -> None:
        self.rows.clear()
        self._read_to, self._last = 0, b""


def open_workspace(
    folder: Path,
    plan: Plan | None = None,
    *,
    mixed: bool = False,
    request: Mapping[str, Any] | None = None,
    wandb: str = "",
) -> Workspace:
    """Create the folder of a sweep, or open it to go on.

    Args:
        folder: new, or of a sweep.
        plan: what to run; jobs that the folder's plan lacks are added to it. None takes the folder's.
        mixed: accept results of other package versions and machines beside new ones.
        request: what was asked for, for `shapegym sweep FOLDER`.
        wandb: project of Weights & Biases that shows the runs too.

    Raises:
        RunError: if the folder is no sweep's, or another's; if a run changed since, was edited or is damaged; or if results are of
            other versions and ``mixed`` is not set.
    """
    if not (folder / SWEEP).is_file():
        if plan is None:
            raise RunError(f"{folder} is no sweep: it has no {SWEEP}.")
        require_empty(folder)
    (folder / LOCKS).mkdir(parents=True, exist_ok=True)
    require_own(folder, below=False)
    rows_alone = (folder / SWEEP).is_file() and read_header(folder)["rows_alone"]
    workspace = Workspace(folder, rows_alone=rows_alone)
    with workspace.lock:
        if (folder / SWEEP).is_file():
            workspace.plan = read_plan(folder)
            if plan is not None and workspace.plan.name != plan.name:
                raise RunError(
                    f"{folder} is the sweep of {workspace.plan.name}, not of {plan.name}: choose another folder with --out."
                )
        elif plan is not None:
            workspace.plan = Plan(plan.name, plan.title, (), plan.solved)
        workspace.rebuild()
        if not mixed:
            _require_one_version(workspace)
        if plan is not None:
            workspace.add(plan.jobs)
            _write_header(folder, plan, request, wandb, rows_alone=rows_alone)
    shutil.rmtree(folder / TRASH, ignore_errors=True)
    return workspace


def write_rows_alone(folder: Path, plan: Plan, rows: Mapping[str, ResultRow]) -> None:
    """Write plan and rows, in the plan's order, into a folder whose rows count without run folders.

    Args:
        folder: new, or written so before.
        plan: all jobs.
        rows: finished ones of them by id.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write_lines(folder / PLAN, map(_plan_line, plan.jobs))
    _write_header(folder, plan, None, "", rows_alone=True)
    _write_lines(folder / INDEX, (rows[job.id].as_line() for job in plan.jobs if job.id in rows))


def read_plan(folder: Path) -> Plan:
    """Return the plan of a sweep.

    Raises:
        RunError: if it is missing or damaged.
    """
    header = read_header(folder)
    path = folder / PLAN
    if not path.is_file():
        raise RunError(f"{folder} has lost its {PLAN}: sweep the suite again into another folder.")
    if not read_bytes(path, RunError, limit=LARGEST_PLAN).endswith(
        b"\n"
    ):  # it is written whole or not at all
        raise RunError(f"{path} is damaged: its last line is cut. Sweep the suite again into another folder.")
    jobs: list[Job] = []
    for number, data in enumerate(each_row(path, RunError, finite=False), start=1):
        try:
            job_id, digest = data.pop("id"), data.pop("digest")
            job = Job(**{**data, "config": RunConfig.from_data(data["config"])})
            require_place(job.id)
        except (RunError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise RunError(f"{path}, line {number}, is damaged: {_reason(error)}") from None
        if (job.id, job.digest) != (job_id, digest):
            raise RunError(
                f"{path}, line {number}: the request of {job.id} was edited. Edit the suite instead."
            )
        jobs.append(job)
    try:
        return Plan(header["name"], header["title"], tuple(jobs), header["solved"])
    except RunError as error:
        raise RunError(f"{path}: {error}") from None


def read_header(folder: Path) -> dict[str, Any]:
    """Return ``sweep.json``: name, title, solved, shapegym, request, wandb, rows_alone.

    Raises:
        RunError: if it is missing or damaged, or something in the folder leads elsewhere.
    """
    path = folder / SWEEP
    if not path.is_file():
        raise RunError(f"{folder} is no sweep: it has no {SWEEP}.")
    require_own(folder, below=False, written=False)
    header = read_object(path, RunError, finite=False)
    if header.get("format") != FORMAT:
        raise RunError(f"{path} is damaged: its format is {header.get('format')!r}, not {FORMAT!r}.")
    for key, hint in _HEADER.items():
        header[key] = checked(f"{path} is damaged: {key}", hint, header.get(key, _LATER.get(key)), RunError)
    for key, hint in _REQUEST.items() if header["request"] else ():
        header["request"][key] = checked(
            f"{path} is damaged: request.{key}", hint, header["request"].get(key, _LATER.get(key)), RunError
        )
    return header


def wandb_project(folder: Path) -> str:
    """Return the project of Weights & Biases that shows the runs of a folder too; empty for none, or if it is no sweep's."""
    return read_header(folder).get("wandb", "") if (folder / SWEEP).exists() else ""


def read_failures(folder: Path) -> dict[str, str]:
    """Return why runs failed last: id -> message.

    Raises:
        RunError: if a line is none.
    """
    path, failures = folder / FAILURES, dict[str, str]()
    for number, data in enumerate(each_row(path, RunError) if path.exists() else (), start=1):
        if not (isinstance(data.get("id"), str) and isinstance(data.get("message"), str)):
            raise RunError(f"{path}, line {number}, is damaged: it has no id and message. Delete {FAILURES}.")
        failures[data["id"]] = data["message"]
    return failures


def require_unedited(job: Job, path: Path) -> None:
    """Raise `RunError` if a complete run folder is not what the job asks for."""
    stored, asked = run_folder.read_config(path), request_of(job.config)
    if difference := _difference(stored, asked):
        raise RunError(
            f"{path / run_folder.CONFIG} is not what {job.id} asks for: {difference}. Delete the folder to run it again."
        )


def discard_checkpoints(path: Path) -> None:
    """Delete the checkpoints of a complete run: nobody needs them, and they are larger than all the rest."""
    shutil.rmtree(path / run_folder.CHECKPOINTS, ignore_errors=True)


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, RunError) else f"{error!r}."


def _require_checksums(row: ResultRow, path: Path) -> None:
    for name, known in ((run_folder.RESULT, row.checksum), (run_folder.CONFIG, row.request)):
        if not (path / name).is_file() or checksum(read_bytes(path / name, RunError)) != known:
            raise RunError(
                f"{path / name} was changed after the run: its checksum is not that in {INDEX}. Delete {path} to run it again."
            )


def _require_one_version(workspace: Workspace) -> None:
    now = run_folder.versions()
    for row in workspace.rows.values():
        for name, version in now.items():
            if row.versions.get(name) != version:
                count = sum(dict(other.versions) != now for other in workspace.rows.values())
                raise RunError(
                    f"{count} of {len(workspace.rows)} results in {workspace.folder} were made elsewhere: {row.id} with {name} "
                    f"{row.versions.get(name)}, this is {version}. Choose another folder with --out, or mix them with --mixed."
                )


def _is_beginning(item: Path) -> bool:
    """Whether this is what a sweep makes before its header: another process may be at it, or have been killed."""
    empty_index = item.name in (INDEX, FAILURES) and item.stat().st_size == 0
    return item.name in (LOCKS, PLAN) or item.name.endswith(".tmp") or empty_index


def require_empty(folder: Path) -> None:
    """Raise `RunError` unless a sweep can begin there."""
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder} is a file: choose another folder with --out.")
    others = folder.exists() and not all(map(_is_beginning, folder.iterdir()))
    if others and not (folder / SWEEP).is_file():  # which another process may have written just now
        raise RunError(f"{folder} is not empty, and no sweep: choose another folder with --out.")


def united(stored: Plan, jobs: Iterable[Job]) -> Plan:
    """Return a plan with more jobs.

    Raises:
        RunError: if one of them asks for something else under an id of the plan.
    """
    known = {job.id: job for job in stored.jobs}
    for job in jobs:
        then = known.setdefault(job.id, job)
        if then.digest != job.digest:
            difference = _difference(then.config.as_data(), job.config.as_data())
            raise RunError(
                f"{job.id} asks for something else than when this sweep began: {difference}. Choose another folder with --out."
            )
    return replace(stored, jobs=tuple(known.values()))


def _difference(then: Any, now: Any, at: str = "") -> str:
    """The first field in which two requests differ, in words; "" if they are the same."""
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        for key in dict.fromkeys((*now, *then)):
            if key not in then or key not in now:
                return f"{at}{key} was {'added' if key in now else 'removed'}"
            if found := _difference(then[key], now[key], f"{at}{key}."):
                return found
        return ""
    if isinstance(then, (list, tuple)) and isinstance(now, (list, tuple)) and len(then) == len(now):
        pairs = enumerate(zip(then, now, strict=True))
        return next(filter(None, (_difference(*pair, f"{at}{place}.") for place, pair in pairs)), "")
    return "" if then == now else f"{at.removesuffix('.')} was {then!r} and is {now!r}"


def _write_header(
    folder: Path, plan: Plan, request: Mapping[str, Any] | None, wandb: str, *, rows_alone: bool
) -> None:
    header = {
        "format": FORMAT,
        "name": plan.name,
        "title": plan.title,
        "solved": plan.solved,
        "shapegym": run_folder.versions()["shapegym"],
        "request": dict(request or {}),
        "wandb": wandb,
        "rows_alone": rows_alone,
    }
    _write_lines(folder / SWEEP, [json.dumps(header, indent=2) + "\n"])


def _plan_line(job: Job) -> str:
    return json.dumps({"id": job.id, "digest": job.digest, **job.as_data()}) + "\n"


def _write_failures(folder: Path, failures: Mapping[str, str]) -> None:
    path = folder / FAILURES
    if failures:
        _write_lines(
            path, [json.dumps({"id": name, "message": text}) + "\n" for name, text in failures.items()]
        )
    else:
        path.unlink(missing_ok=True)


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    with replacing(path) as file:
        file.writelines(line.encode() for line in lines)
