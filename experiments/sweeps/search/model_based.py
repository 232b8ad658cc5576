"""Search by Optuna's samplers: each batch of variants is proposed from the results of those before.

The study is made anew from the finished rows each time, so nothing but the rows has to be kept, and the same rows make the same
proposals. Samplers see ranks, because a variant is judged by two numbers in order: success, then return. Those that are offered
need nothing else than finished trials.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from typing_extensions import override

from shapegym.experiments.errors import RunError, optional
from shapegym.experiments.sweeps.loop import Search
from shapegym.experiments.sweeps.plan import Job, Plan, in_fair_order, require_countable
from shapegym.experiments.sweeps.results import ResultRow
from shapegym.experiments.sweeps.search import tuning
from shapegym.experiments.sweeps.search.axes import Axis, Choices
from shapegym.experiments.sweeps.search.tuning import Contest, Score, contests, score
from shapegym.experiments.sweeps.search.variants import Point, require_axes
from shapegym.shaping.digests import digest_of
from shapegym.shaping.errors import suggest

SAMPLERS = {
    "tpe": "tree-structured Parzen estimator (Bergstra et al. 2011)",
    "gp": "Gaussian process (Optuna's GPSampler)",
}


def optuna(
    plan: Plan,
    axes: Sequence[Axis],
    trials: int = 16,
    seed: int = 0,
    *,
    sampler: str = "tpe",
    batch: int = 4,
    seeds: Sequence[int] = tuning.SEEDS,
) -> Search:
    """Tune each entry of a plan with an Optuna sampler, and compare the winners. See `shapegym.experiments.sweeps.search.tuning`.

    Args:
        plan: what is compared.
        axes: what is tuned.
        trials: variants of each entry, at the plan's full budget.
        seed: of the sampler.
        sampler: a name in `SAMPLERS`.
        batch: variants proposed at a time, from the results of all batches before.
        seeds: on which variants are tuned.

    Raises:
        RunError: if Optuna is not installed, an axis fits no job or has a value that a field does not take, or a tuning seed is
            one of the plan's.
    """
    _import_optuna()
    if sampler not in SAMPLERS:
        raise RunError(f"There is no sampler {sampler!r}.{suggest(sampler, SAMPLERS)}")
    if min(trials, batch) < 1:
        raise RunError(f"A search needs at least one trial in a batch, not {trials} in batches of {batch}.")
    require_countable(trials, "The trials of a search")
    require_axes(plan, axes)
    return _ModelBased(tuple(contests(plan, seeds)), tuple(axes), trials, seed, sampler, batch)


@dataclass(frozen=True)
class _ModelBased(Search):
    contests: tuple[Contest, ...]
    axes: tuple[Axis, ...]
    trials: int
    seed: int
    sampler: str
    batch: int
    _proposed: dict[str, list[Point]] = field(default_factory=dict)
    """Proposals by what they were made from: a search is asked often, and samplers think for a while."""

    @override
    def jobs(self, done: Mapping[str, ResultRow]) -> Sequence[Job]:
        jobs = {job.id: job for contest in self.contests for job in self._contest(contest, done)}
        return in_fair_order(jobs.values())

    def _contest(self, contest: Contest, done: Mapping[str, ResultRow]) -> list[Job]:
        if not contest.variants([{axis.path: axis.probes[0] for axis in self.axes}]):
            return list(contest.runs)
        jobs: list[Job] = []
        tried: list[tuple[Point, Score]] = []
        while (left := self.trials - len(tried)) > 0:
            points = self._proposals(contest, tried, min(left, self.batch))
            scores = []
            for variant in (contest.variants([point])[0] for point in points):
                trials = contest.trials(variant, 1, variant.config.steps)
                jobs += trials
                scores.append(score(trials, done))
            finished = [
                (point, value) for point, value in zip(points, scores, strict=True) if value is not None
            ]
            if len(finished) < len(points):
                return jobs
            tried += finished
        best, _ = max(tried, key=lambda trial: trial[1])
        return jobs + contest.final(contest.variants([best])[0])

    def _proposals(self, contest: Contest, tried: Sequence[tuple[Point, Score]], count: int) -> list[Point]:
        key = digest_of([self.seed, contest.name, tried])
        if key not in self._proposed:
            self._proposed[key] = self._ask(int(key[:8], 16), tried, count)
        return self._proposed[key]

    def _ask(self, seed: int, tried: Sequence[tuple[Point, Score]], count: int) -> list[Point]:
        optuna = _import_optuna()
        space = {axis.path: _distribution(axis) for axis in self.axes}
        ranks = {value: rank for rank, value in enumerate(sorted({value for _, value in tried}))}
        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        try:
            study = optuna.create_study(direction="maximize", sampler=self._sampler(seed))
            study.add_trials(
                optuna.trial.create_trial(
                    params={axis.path: _parameter(axis, point[axis.path]) for axis in self.axes},
                    distributions=space,
                    value=ranks[value],
                )
                for point, value in tried
            )
            return [self._point(study.ask(space).params) for _ in range(count)]
        finally:
            optuna.logging.set_verbosity(verbosity)

    def _sampler(self, seed: int) -> Any:
        samplers = _import_optuna().samplers
        start = max(self.batch, self.trials // 4)  # before that many trials there is nothing to model
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", category=_import_optuna().exceptions.ExperimentalWarning)
            if self.sampler == "gp":
                return samplers.GPSampler(seed=seed, n_startup_trials=start)
            return samplers.TPESampler(seed=seed, n_startup_trials=start, constant_liar=True)

    def _point(self, parameters: Mapping[str, Any]) -> Point:
        return {
            axis.path: axis.values[parameters[axis.path]]
            if isinstance(axis, Choices)
            else axis.settle(parameters[axis.path])
            for axis in self.axes
        }


def _distribution(axis: Axis) -> Any:
    distributions = _import_optuna().distributions
    if isinstance(axis, Choices):
        return distributions.CategoricalDistribution(range(len(axis.values)))
    kind = distributions.IntDistribution if axis.whole else distributions.FloatDistribution
    return kind(axis.low, axis.high, log=axis.log)


def _parameter(axis: Axis, value: Any) -> Any:
    """What Optuna knows a value by: its place among choices, which may be lists, or itself."""
    return axis.values.index(value) if isinstance(axis, Choices) else value


def _import_optuna() -> Any:
    return optional("optuna", 'This search needs Optuna: pip install "shapegym[optuna]".')
