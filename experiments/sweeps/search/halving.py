"""Successive halving: try many variants for a short while, go on with the best.

Rung k = 1 ... R runs n_k variants for B eta^(k-R) steps, B the budget of the plan; n_{k+1} = n_k / eta of them, rounded down, go
on, until one is left. Each rung starts its runs anew, because schedules and exploration are laid out over the budget.
Source: Jamieson & Talwalkar 2016; eta as in Li et al. 2018 (Hyperband).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from typing_extensions import override

from shapegym.experiments.errors import RunError
from shapegym.experiments.sweeps.loop import Search
from shapegym.experiments.sweeps.plan import Job, Plan, in_fair_order
from shapegym.experiments.sweeps.results import ResultRow
from shapegym.experiments.sweeps.search import tuning
from shapegym.experiments.sweeps.search.axes import Axis
from shapegym.experiments.sweeps.search.tuning import Contest, contests, score
from shapegym.experiments.sweeps.search.variants import Point, combinations, draws, require_axes


def halving(
    plan: Plan,
    axes: Sequence[Axis],
    trials: int | None = None,
    seed: int = 0,
    *,
    eta: int = 3,
    seeds: Sequence[int] = tuning.SEEDS,
) -> Search:
    """Tune each entry of a plan by successive halving, and compare the winners. See `shapegym.experiments.sweeps.search.tuning`.

    Args:
        plan: what is compared.
        axes: what is tuned.
        trials: variants of the first rung, drawn at random; None is every combination of values.
        seed: of the draws.
        eta: one of so many variants goes on, at so many times the budget.
        seeds: on which variants are tuned.

    Raises:
        RunError: if an axis fits no job or has a value that a field does not take, or a tuning seed is one of the plan's.
    """
    if eta < 2:
        raise RunError(f"Halving lets one of eta variants go on: eta is at least 2, not {eta}.")
    if any(axis.path == "steps" for axis in axes):
        raise RunError(
            "Halving itself decides for how many steps a variant runs, so steps cannot be swept with it."
        )
    require_axes(plan, axes)
    points = combinations(axes) if trials is None else draws(axes, trials, seed)
    return _Halving(tuple(contests(plan, seeds)), tuple(points), eta)


@dataclass(frozen=True)
class _Halving(Search):
    contests: tuple[Contest, ...]
    points: tuple[Point, ...]
    eta: int

    @override
    def jobs(self, done: Mapping[str, ResultRow]) -> Sequence[Job]:
        return in_fair_order(job for contest in self.contests for job in self._contest(contest, done))

    def _contest(self, contest: Contest, done: Mapping[str, ResultRow]) -> list[Job]:
        variants = contest.variants(self.points)
        if not variants:
            return list(contest.runs)
        jobs: list[Job] = []
        rungs = rung_sizes(len(variants), self.eta)
        for rung, size in enumerate(rungs, start=1):
            steps = max(1, round(contest.runs[0].config.steps * self.eta ** (rung - len(rungs))))
            del variants[size:]
            trials = [contest.trials(variant, rung, steps) for variant in variants]
            jobs += [job for group in trials for job in group]
            scores = [score(group, done) for group in trials]
            if None in scores:
                return jobs
            ranked = sorted(zip(scores, variants, strict=True), key=lambda pair: pair[0] or (), reverse=True)
            variants = [variant for _, variant in ranked]
        return jobs + contest.final(variants[0])


def rung_sizes(variants: int, eta: int) -> list[int]:
    """Return how many variants each rung runs; the winner of the last is the winner."""
    sizes = []
    while variants > 1:
        sizes.append(variants)
        variants //= eta
    return sizes
