"""The results of a sweep: an index with a row for each finished run, and what comparisons read from it.

``results.jsonl`` is all that tables, statistics and reports need, so that ten thousand runs open in a moment; the run folders
hold the rest. A row is written once, when its run is complete.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeAlias, cast

import numpy as np
from annotated_types import Ge, Le
from numpy.typing import NDArray
from pydantic import ConfigDict, TypeAdapter, ValidationError

from shapegym.agents.callbacks import EVALUATIONS_FILE
from shapegym.agents.errors import AgentError
from shapegym.agents.metrics import EVALUATION, read_json_lines
from shapegym.experiments.errors import RunError
from shapegym.experiments.inside import require_own
from shapegym.experiments.runs import run_folder
from shapegym.experiments.sweeps.plan import Job, value_name
from shapegym.shaping.errors import said_as
from shapegym.shaping.limited_files import LARGEST_DOCUMENT, opened, parse_json, read_bytes, read_object

INDEX = "results.jsonl"
CURVES = ("success_rate", "mean_return", "mean_length")
COSTS = run_folder.COSTS
"""Wall-clock time and where it went; apart from the result, which is the same on every repetition."""

Whole: TypeAlias = Annotated[int, Ge(-(2**53)), Le(2**53)]
"""An integer that is a number of every other program too."""

_TAKEN_OVER = ("success_rate", "mean_return", "mean_length", "episodes", "shaped_return", "parts")


@dataclass(frozen=True)
class ResultRow:
    """One finished run.

    Attributes:
        id, task, strategy, entry, seed, stage, variant, digest: of the job (`shapegym.experiments.sweeps.plan.Job`).
        steps: budget.
        success_rate: of the final evaluation on the task; None where the task does not say.
        mean_return: task return of the final evaluation.
        mean_length: of its episodes.
        episodes: how many it had.
        first_success: global step of the first successful training episode, None if there was none.
        shaped_return: mean over the last 100 training episodes; None without episodes.
        parts: mean of each part's return over the same episodes.
        alarms: kind of alarm -> global step at which it sounded during training (`shapegym.shaping.audit.alarms`).
        curve: evaluations on the task during training: "step" and each of `CURVES`, lists of equal length.
        versions: of packages.
        costs: as ``costs.json`` has them; empty if it has none.
        checksum: of ``result.json``.
        request: checksum of ``config.yaml``.
    """

    id: str
    task: str
    strategy: str
    entry: str
    seed: Whole
    stage: Whole
    variant: Mapping[str, Any]
    digest: str
    steps: Whole
    success_rate: float | None
    mean_return: float
    mean_length: float
    episodes: Whole
    first_success: Whole | None
    shaped_return: float | None
    parts: Mapping[str, float]
    curve: Mapping[str, list[Whole | float | None]]
    versions: Mapping[str, str]
    costs: Mapping[str, Whole | float | Mapping[str, float]] = field(default_factory=dict)
    checksum: str = ""
    request: str = ""
    alarms: Mapping[str, Whole] = field(default_factory=dict)

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    def as_line(self) -> str:
        """The row as a line of the index."""
        return json.dumps(asdict(self), allow_nan=False) + "\n"

    @classmethod
    def from_line(cls, line: str) -> ResultRow:
        """The inverse of `as_line`.

        Raises:
            ValueError: if the line is none, or a value is not of its kind; names it.
        """
        try:
            return _rows().validate_json(line)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            path = (
                str(key) for key in first["loc"] if key not in ("constrained-int", "float")
            )  # which kind it tried
            where = ".".join(path)
            fault = f"{where} is {first['input']!r}: {first['msg']}" if where else "it is no row of results"
            raise ValueError(fault) from None


@cache
def _rows() -> TypeAdapter[ResultRow]:
    return TypeAdapter(ResultRow)


def checksum(content: bytes) -> str:
    """Sixteen hexadecimal digits that change with a file."""
    return hashlib.sha256(content).hexdigest()[:16]


def row_of(job: Job, folder: Path) -> ResultRow:
    """Read the finished run of a job from its run folder.

    Raises:
        RunError: if the run is not finished, or a file of it is damaged.
    """
    for name in (run_folder.RESULT, run_folder.CONFIG, run_folder.VERSIONS):
        if not (folder / name).is_file():
            raise RunError(f"The run in {folder} is not complete: it has no {name}.")
    require_own(folder, below=False, written=False)
    text = read_bytes(folder / run_folder.RESULT, RunError)
    config = read_bytes(folder / run_folder.CONFIG, RunError)
    result = parse_json(text, RunError, str(folder / run_folder.RESULT))
    evaluations, costs = folder / EVALUATIONS_FILE, folder / COSTS
    causes = (AgentError, ValueError, KeyError, TypeError, AttributeError)
    with said_as(
        RunError, causes, f"The run in {folder} is damaged: ", ". Delete the folder to run it again."
    ):
        rows = read_json_lines(evaluations, EVALUATION) if evaluations.exists() else []
        row = ResultRow(
            id=job.id,
            task=job.task,
            strategy=job.strategy,
            entry=job.entry,
            seed=job.config.seed,
            stage=job.stage,
            variant={name: _spelled(value) for name, value in job.variant.items()},
            digest=job.digest,
            steps=job.config.steps,
            first_success=result["steps_to_first_success"],
            **{name: result[name] for name in _TAKEN_OVER},
            curve={name: [row[name] for row in rows] for name in ("step", *CURVES)},
            versions=run_folder.read_versions(folder),
            costs=read_object(costs, RunError) if costs.exists() else {},
            checksum=checksum(text),
            request=checksum(config),
            alarms=result.get("alarms", {}),  # runs of older versions had none
        )
        return ResultRow.from_line(
            row.as_line()
        )  # what the index cannot hold, or give back, does not get there


@dataclass(frozen=True)
class Results:
    """The rows of a sweep."""

    folder: Path  # of the sweep
    rows: tuple[ResultRow, ...]  # in the order of the index

    @classmethod
    def open(cls, folder: Path) -> Results:
        """Read the index of a sweep; a torn last line, which a killed process leaves, is left out.

        Raises:
            RunError: if there is no index, another line is damaged, or a run is in it twice.
        """
        path = folder / INDEX
        if not path.is_file():
            raise RunError(f"{folder} holds no results yet: it has no {INDEX}. `shapegym sweep` makes them.")
        require_own(folder, below=False, written=False)
        rows: dict[str, ResultRow] = {}
        after, number = f". Delete {INDEX}: `shapegym sweep` writes it anew.", 0
        with opened(path, RunError, "index") as file:
            while (line := file.readline(LARGEST_DOCUMENT + 1)).endswith(b"\n") or len(
                line
            ) > LARGEST_DOCUMENT:
                number += 1
                with said_as(RunError, ValueError, f"{path}, line {number}, is damaged: ", after):
                    row = ResultRow.from_line(line.decode())
                if row.id in rows:
                    raise RunError(f"{path}, line {number}: the run {row.id} is there twice.")
                rows[row.id] = row
        return cls(folder, tuple(rows.values()))


def contender(row: ResultRow) -> str:
    """The entry of a row without its task."""
    return row.entry.removeprefix(f"{row.task}/")


def scores(rows: tuple[ResultRow, ...], metric: str) -> NDArray[np.float64]:
    """Final scores (runs,) by seed; ``metric`` is "success_rate" or "mean_return". A rate the task does not tell is nan."""
    return np.array(
        [np.nan if getattr(row, metric) is None else getattr(row, metric) for row in rows], np.float64
    )


def curves(rows: tuple[ResultRow, ...], metric: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Evaluations during training: steps (T,) and values (runs, T), at the steps that all runs have.

    Args:
        rows: runs of one contender on one task.
        metric: one of `CURVES`.
    """
    common = sorted(set.intersection(*(set(_steps(row)) for row in rows))) if rows else []
    values = []
    for row in rows:
        at = dict(zip(_steps(row), row.curve[metric], strict=True))
        values.append([np.nan if at[step] is None else at[step] for step in common])
    return np.array(common, np.int64), np.array(values, np.float64).reshape(len(rows), len(common))


def steps_to(
    rows: tuple[ResultRow, ...], threshold: float | None
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Steps (runs,) until an event, and whether it happened (runs,); where it did not, the budget, right-censored.

    An agent that learns from whole batches trains a little beyond the budget; what happens there happens at the budget.

    Args:
        rows: runs of one contender on one task.
        threshold: success rate of the first evaluation that counts; None for the first successful training episode.
    """
    when = [row.first_success if threshold is None else _first_at(row, threshold) for row in rows]
    times = [
        row.steps if step is None else min(step, row.steps) for step, row in zip(when, rows, strict=True)
    ]
    return np.array(times, np.float64), np.array([step is not None for step in when], np.bool_)


def _spelled(value: Any) -> Any:
    """A swept value as JSON has it, which knows no infinity."""
    return value if not isinstance(value, float) or math.isfinite(value) else value_name(value)


def _steps(row: ResultRow) -> list[int]:
    return cast("list[int]", row.curve["step"])


def _first_at(row: ResultRow, threshold: float) -> int | None:
    reached = zip(_steps(row), row.curve["success_rate"], strict=True)
    step = next((step for step, rate in reached if rate is not None and rate >= threshold), None)
    final = row.success_rate is not None and row.success_rate >= threshold
    return row.steps if step is None and final else step
