"""What a comparison consists of: jobs, one training run each, identified by what they compare.

A plan is data. The same request makes the same plan with the same ids and digests on every machine, which is what lets a
sweep go on where it stopped, several machines share it, and a third party repeat one run of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from shapegym.experiments.errors import RunError
from shapegym.experiments.inside import fault_of, inside
from shapegym.experiments.runs.request import RunConfig
from shapegym.shaping.digests import digest_of
from shapegym.shaping.limits import Limited, Natural

MOST_RUNS = 100_000
"""Of a comparison: plan and results are in memory while it runs."""

SOLVED = 0.8
"""The success rate of a solved task, unless a suite says another."""

_LONGEST_NAME = 240
"""Bytes in the name of a folder; file systems allow 255, and some of them are for what is written beside it."""


@dataclass(frozen=True)
class Job(Limited):
    """One training run of a comparison."""

    misfit = RunError

    task: str  # name of the task in its suite, such as ``doorkey8``
    strategy: str  # name of the reward, such as ``potential``
    config: RunConfig  # the complete request
    # swept fields that differ from the suite's, name -> value
    variant: Mapping[str, Any] = field(default_factory=dict)
    # rung of a successive halving, 0 otherwise. Later rungs are decided by the results of earlier ones.
    stage: Natural = 0

    @property
    def entry(self) -> str:
        """What seeds are averaged over: ``task/strategy``, then the variant, then the stage."""
        swept = ",".join(f"{name}={value_name(value)}" for name, value in sorted(self.variant.items()))
        return (
            f"{self.task}/{self.strategy}"
            + (f"~{swept}" if swept else "")
            + (f"@{self.stage}" if self.stage else "")
        )

    @property
    def id(self) -> str:
        """Entry and seed; also where the run lies under ``runs/``."""
        return f"{self.entry}/{self.config.seed}"

    def as_data(self) -> dict[str, Any]:
        """The fields as plain data."""
        return {**asdict(self), "config": self.config.as_data()}

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that change with any part of the request."""
        return digest_of(self.config.as_data())


@dataclass(frozen=True)
class Plan:
    """The jobs of a comparison, in the order in which they are started: seed by seed, so that an early look is a fair one.

    Raises:
        RunError: if two jobs have one id, or an id cannot be a folder.
    """

    name: str  # of the suite, for file names
    title: str  # for people
    jobs: tuple[Job, ...]  # with distinct ids
    solved: float = SOLVED  # the success rate that reports wait for

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for job in self.jobs:
            if job.id in seen:
                raise RunError(
                    f"Two runs of {self.name} are called {job.id}: give tasks, strategies and swept values other names."
                )
            require_place(job.id)
            seen.add(job.id)


def require_place(job_id: str) -> None:
    """Raise `RunError` unless an id is ``TASK/STRATEGY/SEED`` and can be a folder within ``runs``."""
    fault = fault_of(job_id) or (f"{job_id!r} is no TASK/STRATEGY/SEED" if job_id.count("/") != 2 else "")
    if fault:
        raise RunError(f"This id can be no folder: {fault}.")
    if max(len(name.encode()) for name in job_id.split("/")) > _LONGEST_NAME:
        raise RunError(
            f"{job_id} is too long for the name of a folder: sweep fewer fields at a time, or shorter values."
        )


def require_countable(runs: int, what: str) -> None:
    """Raise `RunError` if these are more runs than a comparison may have; ``what`` asks for them, and begins the sentence."""
    if runs > MOST_RUNS:
        raise RunError(f"{what} ask for {runs:,} runs; a comparison has at most {MOST_RUNS:,}.")


def in_fair_order(jobs: Iterable[Job]) -> tuple[Job, ...]:
    """All first seeds before all second ones."""
    return tuple(sorted(jobs, key=lambda job: job.config.seed))


def run_path(folder: Path, job_id: str) -> Path:
    """Return the run folder of a job within the folder of its sweep.

    Raises:
        RunError: if the id or a link there leads out of it.
    """
    return inside(folder, f"runs/{job_id}")


def value_name(value: Any) -> str:
    """Return what a swept value is called in ids, which are names of folders too."""
    text = value if isinstance(value, str) else json.dumps(value).removesuffix(".0")
    return "".join(letter if letter.isalnum() or letter in "._+-" else "_" for letter in text)
