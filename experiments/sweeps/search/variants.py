"""Searches whose runs are known from the start: every combination of values, or some drawn at random.

All variants of a strategy run on the plan's own seeds, so they are paired with each other and with every other strategy. The best
of them is judged by the very runs that chose it and so looks better than it is; `shapegym.experiments.sweeps.search.tuning` keeps
the two apart.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from shapegym.experiments.errors import RunError
from shapegym.experiments.runs.preflight import require_fit
from shapegym.experiments.sweeps.loop import Fixed, Search
from shapegym.experiments.sweeps.plan import Job, Plan, in_fair_order, require_countable
from shapegym.experiments.sweeps.search.axes import Axis, Range
from shapegym.experiments.sweeps.search.fields import apply, fields_of_job, fitted
from shapegym.shaping.errors import suggest

Point: TypeAlias = Mapping[str, Any]
"""Values of the swept fields, path -> value."""


def grid(plan: Plan, axes: Sequence[Axis]) -> Search:
    """Every combination of values. A job is varied in those fields that it has; one that has none of them stays as it is.

    Raises:
        RunError: if an axis is a range, fits no job, or has a value that a field does not take.
    """
    return varied(plan, axes, combinations(axes))


def random(plan: Plan, axes: Sequence[Axis], trials: int = 16, seed: int = 0) -> Search:
    """``trials`` combinations drawn at random (fewer if there are no more), the same for every job.

    Source: Bergstra & Bengio 2012.

    Raises:
        RunError: if an axis fits no job, or has a value that a field does not take.
    """
    return varied(plan, axes, draws(axes, trials, seed))


def varied(plan: Plan, axes: Sequence[Axis], points: Sequence[Point]) -> Search:
    """The jobs of a plan at some points, each job once."""
    require_countable(
        len(points) * len(plan.jobs), f"The values and runs ({len(points):,} x {len(plan.jobs):,})"
    )
    require_axes(plan, axes)
    jobs = {job.id: job for point in points for job in (fitted(base, point) for base in plan.jobs)}
    return Fixed(replace(plan, jobs=in_fair_order(jobs.values())))


def combinations(axes: Sequence[Axis]) -> list[Point]:
    """Return every combination of values.

    Raises:
        RunError: if an axis is a range.
    """
    for axis in axes:
        if isinstance(axis, Range):
            raise RunError(
                f"{axis.path}: a grid is made of values, {axis.path}={axis.low},{axis.high}; ranges are for random and optuna, "
                "and for halving with a number of trials."
            )
    paths = [axis.path for axis in axes]
    require_countable(math.prod(len(axis.probes) for axis in axes), "The values of " + ", ".join(paths))
    return [
        dict(zip(paths, values, strict=True)) for values in itertools.product(*(axis.probes for axis in axes))
    ]


def draws(axes: Sequence[Axis], trials: int, seed: int) -> list[Point]:
    """Return at most ``trials`` distinct combinations, drawn at random."""
    if trials < 1:
        raise RunError(f"A search needs at least one trial, not {trials}.")
    require_countable(trials, "The trials of a search")
    generator = np.random.default_rng(seed)
    found: dict[str, Point] = {}
    for _ in range(20 * trials):  # enough to find the last of a few combinations
        point = {axis.path: axis.sample(generator) for axis in axes}
        found.setdefault(repr(point), point)
        if len(found) == trials:
            break
    return list(found.values())


def require_axes(plan: Plan, axes: Sequence[Axis]) -> None:
    """Raise `RunError` unless every axis fits some job, and takes each of its values there."""
    if not axes:
        raise RunError(
            "Nothing is swept: name a field and its values, such as settings.learning_rate=0.0003,0.001."
        )
    entries = list({job.entry: job for job in plan.jobs}.values())
    bases = entries + [
        changed
        for axis in axes
        if axis.path == "algo"
        for value in axis.probes
        for changed in (apply(job, {"algo": value}) for job in entries)
        if changed is not None
    ]
    for axis in axes:
        variants = [
            variant
            for job in bases
            for value in axis.probes
            if (variant := apply(job, {axis.path: value})) is not None
        ]
        if not variants:
            known = set[str]().union(*(fields_of_job(job) for job in bases))
            raise RunError(f"{axis.path} fits no run of {plan.name}.{suggest(axis.path, known)}")
        _require_starts(axis, variants)


def _require_starts(axis: Axis, variants: Iterable[Job]) -> None:
    """A run of each entry and value can start."""
    for job in variants:
        try:
            require_fit(job.config)
        except RunError as error:
            raise RunError(
                f"{axis.path}={job.variant[axis.path]!r} does not fit {job.task}/{job.strategy}: {error}"
            ) from error
