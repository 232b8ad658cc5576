"""A bonus that is measured again when a transition is replayed finds the goal sooner than one kept as it was.

What a replay buffer holds was new once. With random network distillation the predictor has learned it since, so a stored bonus
still pays for what is no longer new, at a scale that has moved on too. DQN and SAC are trained on the suite ``replay``: the bonus
measured again at sampling, the bonus of the step at which the transition happened (`Stamped`), and none.
"""

from __future__ import annotations

from pathlib import Path

from shapegym.experiments.stats import aggregate, area, kaplan_meier, paired_test, probability_of_improvement
from shapegym.experiments.studies.claims import Claim, Findings, ResultTable, StudyRequest, with_ends
from shapegym.experiments.sweeps.entry import sweep
from shapegym.experiments.sweeps.results import ResultRow, curves, scores, steps_to

SEEDS = 5
SUITE = "replay"
NOW, THEN = "recomputed", "stamped"
SOLVED = 0.9

Runs = dict[str, dict[str, tuple[ResultRow, ...]]]
"""task -> strategy -> its runs by seed."""


def run(request: StudyRequest) -> Findings:
    """Go on with the sweep that a study before this one began, in ``sweeps/``, and compare."""
    folder = Path("sweeps") / (f"{SUITE}-quick" if request.quick else SUITE)
    done = sweep(SUITE, folder, quick=request.quick, seeds=request.seeds, workers=request.workers)
    request.say(f"{len(done.rows)} of {done.jobs} runs, in {folder}; {len(done.failures)} failed")
    return findings(done.rows)


def findings(rows: tuple[ResultRow, ...]) -> Findings:
    """Return what rows of the suite say."""
    runs: Runs = {}
    for row in sorted(rows, key=lambda row: row.seed):
        group = runs.setdefault(row.task, {})
        group[row.strategy] = (*group.get(row.strategy, ()), row)
    return Findings(
        claims=tuple(_claim(task, groups) for task, groups in runs.items() if {NOW, THEN} <= groups.keys()),
        tables=tuple(_table(task, groups) for task, groups in runs.items()),
        notes=(
            f"The runs of the suite {SUITE!r} (`shapegym suites {SUITE}`): settings, weights and steps stand there.",
            "Area: mean success of the greedy policy over the budget, interquartile mean of the seeds [95 % interval].",
            f"Steps to {SOLVED}: Kaplan-Meier median of the first such evaluation; infinite where half never get there.",
            "A probability of 0.5 is no difference; the interval allows for how few seeds there are.",
        ),
    )


def _areas(rows: tuple[ResultRow, ...]) -> dict[int, float]:
    """Mean success over the budget, by seed."""
    found = area(*curves(rows, "success_rate"), rows[0].steps)
    return {row.seed: float(value) for row, value in zip(rows, found, strict=True)}


def _claim(task: str, groups: dict[str, tuple[ResultRow, ...]]) -> Claim:
    now, then = _areas(groups[NOW]), _areas(groups[THEN])
    shared = sorted(now.keys() & then.keys())
    ahead = probability_of_improvement({task: [*now.values()]}, {task: [*then.values()]})
    test = paired_test({seed: now[seed] for seed in shared}, {seed: then[seed] for seed in shared})
    return Claim(
        f"{task}: measured again, the bonus leads to more success over the budget than kept as it was.",
        ahead.low > 0.5,
        f"ahead with probability {with_ends(ahead)}; difference of areas {test.statistic:+.2f}, p = {test.p:.2g}",
    )


def _table(task: str, groups: dict[str, tuple[ResultRow, ...]]) -> ResultTable:
    rows = []
    for strategy, runs in groups.items():
        areas = [*_areas(runs).values()]
        shown = (
            with_ends(aggregate({task: areas}, within=(0.0, 1.0))) if len(areas) > 1 else f"{areas[0]:.2f}"
        )
        final = float(scores(runs, "success_rate").mean())
        rows.append((strategy, shown, final, kaplan_meier(*steps_to(runs, SOLVED)).median))
    return ResultTable(
        f"{task}: {len(next(iter(groups.values())))} seed(s)",
        ("bonus", "area", "final success", f"steps to {SOLVED}"),
        rows,
    )
