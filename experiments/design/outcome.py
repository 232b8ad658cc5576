"""What came of training with a program: how well the agent does the task, how each part went, and how it fails.

All of it is read from the files of runs. Judged is the task alone, by the last evaluations, whose episodes no training has seen;
never the best moment of a training, which is luck (Eureka's F is the maximum).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, TypeAdapter

from shapegym.agents.callbacks import EPISODES_FILE, EVALUATIONS_FILE
from shapegym.agents.metrics import EPISODE, EVALUATION, each_json_line, read_json_lines
from shapegym.experiments.stats import Interval, aggregate
from shapegym.experiments.sweeps.results import ResultRow

POINTS = 10
"""Of a course: as many as Eureka shows."""
LAST = 0.3
"""Share of a run whose evaluations count."""


@dataclass(frozen=True)
class Course:
    """How a number went over training.

    Attributes:
        values: means over tenths of the steps; None where no episode ended.
        low: of single episodes.
        mean: of them.
        high: of them.
    """

    values: tuple[float | None, ...]
    low: float
    mean: float
    high: float

    def __str__(self) -> str:
        shown = ", ".join("-" if value is None else f"{value:.3g}" for value in self.values)
        return f"[{shown}], min {self.low:.3g}, mean {self.mean:.3g}, max {self.high:.3g}"


@dataclass(frozen=True)
class Outcome:
    """What came of a candidate.

    Attributes:
        success: share of episodes of the last evaluations that solved the task, with the ends of its 95 % interval over these
            episodes; None where the task does not say.
        task_return: mean task return of the last evaluations, with its interval over them.
        courses: of "success", "task return", "episode length" in evaluations, and of each part in training episodes.
        failures: what failed episodes had in common, in sentences.
        practice: share of the training episodes that solved the task, which tells programs apart that no evaluation does yet.
        frames: steps that were trained.
        runs: folders of the runs, relative to the design's.
    """

    success: tuple[float, float, float] | None
    task_return: tuple[float, float, float]
    courses: Mapping[str, Course]
    failures: tuple[str, ...] = ()
    practice: float = 0.0
    frames: int = 0
    runs: tuple[str, ...] = field(default=())

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    @property
    def score(self) -> tuple[float, float, float]:
        """What is more of a better program: success, then task return, then success while it learned."""
        return (self.success[0] if self.success else 0.0, self.task_return[0], self.practice)

    def as_data(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        return asdict(self)

    @classmethod
    def from_data(cls, data: Any) -> Outcome:
        """The inverse of `as_data`; raises pydantic's ValidationError, a ValueError."""
        return _OUTCOME.validate_python(data)

    def in_words(self) -> str:
        """As models and people are told."""
        lines = [f"- {name}: {course}" for name, course in self.courses.items()]
        return "\n".join([*lines, *self.failures])


_OUTCOME: TypeAdapter[Outcome] = TypeAdapter(Outcome)


def outcome_of(
    rows: Sequence[ResultRow], folders: Sequence[Path], failures: Iterable[str], names: Sequence[str]
) -> Outcome:
    """Read what came of the runs of one candidate.

    Args:
        rows: of its runs, a seed each.
        folders: where they lie, in the same order.
        failures: what was seen of failed episodes.
        names: what the runs' folders are called in the design.
    """
    told = all(row.success_rate is not None for row in rows)
    curves = [read_json_lines(folder / EVALUATIONS_FILE, EVALUATION) for folder in folders]
    last = [
        [*(each for each in curve if each["step"] > (1 - LAST) * row.steps), _final(row)]
        for row, curve in zip(rows, curves, strict=True)
    ]
    success = _interval([_solved(run) for run in last], (0.0, 1.0)) if told else None
    courses = {"success": _course_of(curves, "success_rate", rows)} if told else {}
    courses["task return"] = _course_of(curves, "mean_return", rows)
    courses["episode length"] = _course_of(curves, "mean_length", rows)
    solved, parts = _of_training(folders, rows)
    courses |= parts
    return Outcome(
        success,
        _interval([[each["mean_return"] for each in run] for run in last], None),
        courses,
        tuple(failures),
        _rounded(float(np.mean(solved))) if solved else 0.0,
        sum(row.steps for row in rows),
        tuple(names),
    )


def _final(row: ResultRow) -> dict[str, Any]:
    return {"success_rate": row.success_rate, "mean_return": row.mean_return, "episodes": row.episodes}


def _solved(run: Sequence[Mapping[str, Any]]) -> list[float]:
    """Whether each episode of some evaluations solved the task."""
    solved: list[float] = []
    for each in run:
        many = round(each["success_rate"] * each["episodes"])
        solved += [1.0] * many + [0.0] * (each["episodes"] - many)
    return solved


def _interval(
    runs: Sequence[Sequence[float]], within: tuple[float, float] | None
) -> tuple[float, float, float]:
    """Mean over what is known of all runs, and its bootstrap interval."""
    scores = {str(number): run for number, run in enumerate(runs)}
    found = aggregate(scores, np.mean, within=within) if max(map(len, runs)) > 1 else _alone(scores, within)
    return tuple(round(float(value), 6) for value in (found.estimate, found.low, found.high))  # type: ignore[return-value]


def _alone(scores: Mapping[str, Sequence[float]], within: tuple[float, float] | None) -> Interval:
    """Of one evaluation a run, which says nothing of the spread."""
    value = float(np.mean([each for run in scores.values() for each in run]))
    return Interval(value, *(within or (value, value)))


def _course_of(curves: Sequence[Sequence[Mapping[str, Any]]], key: str, rows: Sequence[ResultRow]) -> Course:
    points = [
        (_tenth(each["step"], row.steps), each[key])
        for row, curve in zip(rows, curves, strict=True)
        for each in curve
    ]
    points += [(POINTS - 1, getattr(row, key)) for row in rows]
    return _course(points)


def _of_training(folders: Sequence[Path], rows: Sequence[ResultRow]) -> tuple[list[bool], dict[str, Course]]:
    """Which training episodes solved the task, where it says so, and how each part went."""
    solved: list[bool] = []
    points: dict[str, list[tuple[int, float]]] = {}
    for folder, row in zip(folders, rows, strict=True):
        if (path := folder / EPISODES_FILE).exists():
            for episode in each_json_line(path, EPISODE):
                solved += [episode["success"]] if episode["success"] is not None else []
                for name, value in {**episode["parts"], **episode.get("logged", {})}.items():
                    points.setdefault(name, []).append((_tenth(episode["step"], row.steps), value))
    items = {name for name in points if "/" in name}
    shown = {
        name: of
        for name, of in points.items()
        if name in items or not any(each.startswith(f"{name}/") for each in items)
    }
    return solved, {
        f"{name.rpartition('/')[2]} (paid an episode)": _course(of)
        for name, of in shown.items()
        if name != "task_reward"
    }


def _tenth(step: int, steps: int) -> int:
    """The part of a run that ends at a step."""
    return min(max(POINTS * step - 1, 0) // steps, POINTS - 1)


def _course(points: Sequence[tuple[int, float]]) -> Course:
    """Means over the tenths of a run, of (tenth, value)."""
    values: NDArray[np.float64] = np.array([value for _, value in points], np.float64)
    tenths = np.array([tenth for tenth, _ in points])
    means = [values[tenths == tenth] for tenth in range(POINTS)]
    return Course(
        tuple(_rounded(part.mean()) if len(part) else None for part in means),
        _rounded(values.min()),
        _rounded(values.mean()),
        _rounded(values.max()),
    )


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
