"""A teacher's subgoals make learnable what PPO alone does not learn, the sooner the more of them are right; then it can go.

PPO on KeyCorridorS3R3 and MultiRoom-N4-S5 with the planner's subgoals, of which each is right with probability 1, 0.93, 0.55 or 0
and else displaced (the errors of Words as Beacons, in all directions). In a quarter of the episodes the subgoals are paid but not
shown, so that the policy learns to do without. PPO alone has the settings and the budget of the suite ``exploration``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from stable_baselines3.common.callbacks import BaseCallback

from shapegym.agents import evaluate, make_agent, make_vec_env
from shapegym.agents.threads import torch_threads
from shapegym.experiments.errors import RunError
from shapegym.experiments.stats import aggregate, kaplan_meier
from shapegym.experiments.studies.claims import Claim, Findings, ResultTable, StudyRequest, with_ends
from shapegym.experiments.sweeps.entry import sweep
from shapegym.experiments.sweeps.results import ResultRow, scores, steps_to
from shapegym.shaping import Subgoal, TaskReward
from shapegym.shaping.json_lines import append_rows, read_rows

SEEDS = 5
FOLDER = Path("sweeps") / "beacons"
ROWS = "results.jsonl"

SUITE = "exploration"
"""Whose strategy `sparse` is PPO alone."""

ACCURACIES = (1.0, 0.93, 0.55, 0.0)
SOLVED = 0.8
WINDOW = 100
"""Finished episodes with a teacher over which success is taken while the agent trains."""
EPISODES = 100
"""Of each evaluation after training."""
EVALUATION_SEED = 10_000_000

HIDDEN = 0.25
ALPHA = 1.0
POLICY = {"features_extractor_class": "symbols", "net_arch": [64]}
SETTINGS: Mapping[str, Any] = {
    "num_envs": 64,
    "n_steps": 32,
    "batch_size": 512,
    "n_epochs": 4,
    "learning_rate": 2e-3,
    "ent_coef": 0.01,
    "gamma": 0.97,
    "policy_kwargs": POLICY,
}


@dataclass(frozen=True)
class Task:
    """One task of the study, and what it is called in the suite ``exploration``."""

    env: str
    steps: int  # with a teacher
    entry: str


TASKS = {
    "KeyCorridorS3R3": Task("shapegym/MiniGrid-KeyCorridorS3R3-v0", 250_000, "key_corridor_s3r3"),
    "MultiRoom-N4-S5": Task("shapegym/MiniGrid-MultiRoom-N4-S5-v1", 150_000, "multi_room_n4"),
}


RunKey = tuple[str, float, int, int]
Groups = dict[float, list["BeaconOutcome"]]
"""accuracy -> its runs."""


@dataclass(frozen=True)
class BeaconRun:
    """A run with a teacher that is to be made."""

    task: str
    accuracy: float
    seed: int
    steps: int
    folder: str

    @property
    def key(self) -> RunKey:
        """What makes it another run than others."""
        return self.task, self.accuracy, self.seed, self.steps


@dataclass(frozen=True)
class BeaconOutcome:
    """What came of it."""

    task: str
    accuracy: float
    seed: int
    steps: int
    solved_at: int | None  # steps until `SOLVED` of the last `WINDOW` episodes with a teacher were solved
    shown: float  # success after training, with the teacher
    gone: float  # and without any
    curve: list[list[float]] = field(default_factory=list)  # (steps, success of the window)

    @property
    def key(self) -> RunKey:
        """Of which run."""
        return self.task, self.accuracy, self.seed, self.steps


def run(request: StudyRequest) -> Findings:
    """Go on where a study before this one stopped, with the rows in ``sweeps/beacons/``, and compare with PPO alone."""
    folder = FOLDER.with_name("beacons-quick") if request.quick else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    asked = list(_runs(request, str(folder)))
    done = {outcome.key: outcome for outcome in outcomes_in(folder)}
    missing = [each for each in asked if each.key not in done]
    request.say(f"{len(asked) - len(missing)} of {len(asked)} runs are in {folder / ROWS}")
    done |= {each.key: outcome for each, outcome in request.map(train, missing).items()}
    return findings([done[each.key] for each in asked], _alone(request))


def _alone(request: StudyRequest) -> tuple[ResultRow, ...]:
    """The long runs, which come last; the quick part of the suite has none of them."""
    found: list[ResultRow] = []
    for task in TASKS.values() if not request.quick else ():
        folder, only = FOLDER.with_name(f"{SUITE}-{task.entry}"), f"{task.entry}/sparse"
        found += sweep(SUITE, folder, only=only, seeds=request.seeds, workers=request.workers).rows
    return tuple(found)


def outcomes_in(folder: Path) -> Iterator[BeaconOutcome]:
    """Those of the rows that are there."""
    for row in read_rows(folder / ROWS, RunError) if (folder / ROWS).exists() else []:
        try:
            yield BeaconOutcome(**row)
        except TypeError as error:
            raise RunError(f"A row of {folder / ROWS} is no run of this study: {error}") from error


def _runs(request: StudyRequest, folder: str) -> Iterator[BeaconRun]:
    """Seed by seed, so that what is done first compares all teachers."""
    for seed in request.seeds:
        for name, task in TASKS.items():
            steps = 8_192 if request.quick else task.steps
            for accuracy in ACCURACIES:
                yield BeaconRun(name, accuracy, seed, steps, folder)


def train(job: BeaconRun) -> BeaconOutcome:
    """Train and evaluate one policy, and keep its row."""
    env = TASKS[job.task].env
    taught = {"teacher": "oracle", "show": "relative", "accuracy": job.accuracy, "seed": job.seed}
    guidance = {"shown": taught, "gone": {"teacher": "none", "show": "relative"}}
    settings = {name: value for name, value in SETTINGS.items() if name != "num_envs"}
    with torch_threads(1):
        venv = make_vec_env(env, SETTINGS["num_envs"], seed=job.seed, subgoals={**taught, "hidden": HIDDEN})
        model = make_agent("PPO", venv, TaskReward() + Subgoal(ALPHA), seed=job.seed, **settings)
        watch = Watched()
        model.learn(job.steps, callback=watch)
        venv.close()
        success = {
            name: evaluate(
                model, env, EPISODES, seed=EVALUATION_SEED, deterministic=False, subgoals=subgoals
            ).success_rate
            for name, subgoals in guidance.items()
        }
    outcome = BeaconOutcome(
        job.task, job.accuracy, job.seed, job.steps, watch.solved_at, **success, curve=watch.curve
    )
    append_rows(Path(job.folder) / ROWS, [asdict(outcome)])
    return outcome


class Watched(BaseCallback):
    """Success of the last `WINDOW` finished episodes whose subgoals were shown."""

    def __init__(self) -> None:
        super().__init__()
        self.solved_at: int | None = None
        self.curve: list[list[float]] = []
        self._last: deque[bool] = deque(maxlen=WINDOW)

    def _on_step(self) -> bool:
        infos = self.locals["infos"]
        told: Any = self.training_env  # the bridge itself
        hidden = told.last_step.next_features["subgoal_hidden"]
        for lane in np.flatnonzero(self.locals["dones"]):
            if not hidden[lane]:
                self._last.append(bool(infos[lane]["is_success"]))
        if self.solved_at is None and len(self._last) == WINDOW and np.mean(self._last) >= SOLVED:
            self.solved_at = self.num_timesteps
        return True

    def _on_rollout_end(self) -> None:
        if self._last:
            self.curve.append([self.num_timesteps, round(float(np.mean(self._last)), 4)])


def findings(outcomes: Iterable[BeaconOutcome], alone: Iterable[ResultRow]) -> Findings:
    """Return what the runs say; ``alone`` are rows of the suite, of which those of PPO on the study's tasks count."""
    runs: dict[str, Groups] = {}
    for outcome in outcomes:
        runs.setdefault(outcome.task, {}).setdefault(outcome.accuracy, []).append(outcome)
    rows = {
        name: tuple(row for row in alone if (row.task, row.strategy) == (task.entry, "sparse"))
        for name, task in TASKS.items()
    }
    return Findings(
        claims=tuple(claim for name, groups in runs.items() for claim in _claims(name, groups, rows[name])),
        tables=tuple(_table(name, groups, rows[name]) for name, groups in runs.items()),
        notes=(
            f"Steps to {SOLVED} with a teacher: until {SOLVED} of the last {WINDOW} training episodes whose subgoals were shown "
            "were solved; of PPO alone: the first such evaluation. Kaplan-Meier medians of the seeds, 'never' where half do not "
            "get there within the budget.",
            f"Success with a teacher: of the policy that acts by chance, as it was trained, in {EPISODES} episodes; of PPO alone: "
            "of its last evaluation, in which it acts greedily. Interquartile mean of the seeds [95 % interval].",
            f"PPO alone is the strategy 'sparse' of the suite {SUITE!r}: settings and budgets stand there.",
        ),
    )


def _median(times: ArrayLike, events: ArrayLike) -> float:
    return float(kaplan_meier(times, events).median)


def _median_of(runs: list[BeaconOutcome]) -> float:
    times = [each.steps if each.solved_at is None else min(each.solved_at, each.steps) for each in runs]
    return _median(times, [each.solved_at is not None for each in runs])


def _success(values: Iterable[float]) -> str:
    found = [float(value) for value in values]
    return with_ends(aggregate({"runs": found}, within=(0.0, 1.0))) if len(found) > 1 else f"{found[0]:.2f}"


def _claims(name: str, groups: Groups, alone: tuple[ResultRow, ...]) -> Iterator[Claim]:
    medians = {accuracy: _median_of(runs) for accuracy, runs in groups.items()}
    ordered = [medians[accuracy] for accuracy in ACCURACIES]
    yield Claim(
        f"{name}: the more of a teacher's subgoals are right, the fewer steps to a success of {SOLVED}.",
        all(sooner <= later for sooner, later in pairwise(ordered)) and ordered[0] < ordered[-1],
        "; ".join(f"{accuracy:g}: {_steps(medians[accuracy])}" for accuracy in ACCURACIES),
    )
    if alone:
        needed, budget = _median(*steps_to(alone, SOLVED)), alone[0].steps
        yield Claim(
            f"{name}: with the oracle a tenth of PPO's budget is enough.",
            medians[1.0] <= 0.1 * min(needed, budget),
            f"{_steps(medians[1.0])} to {_steps(needed)} of PPO alone, whose budget is {budget:,}",
        )
    oracle = groups[1.0]
    shown, gone = (float(np.mean([getattr(each, key) for each in oracle])) for key in ("shown", "gone"))
    yield Claim(
        f"{name}: what was learned with the oracle keeps at least 0.9 of its success without it.",
        gone >= 0.9 * shown and shown >= SOLVED,
        f"{_success(each.shown for each in oracle)} with it, {_success(each.gone for each in oracle)} without",
    )


def _table(name: str, groups: Groups, alone: tuple[ResultRow, ...]) -> ResultTable:
    rows: list[tuple[str, ...]] = [
        (
            f"{accuracy:g}",
            _steps(_median_of(runs)),
            f"{sum(each.solved_at is not None for each in runs)} of {len(runs)}",
            _success(each.shown for each in runs),
            _success(each.gone for each in runs),
        )
        for accuracy, runs in groups.items()
    ]
    runs = groups[ACCURACIES[0]]
    title = f"{name}: {len(runs)} seed(s), {runs[0].steps:,} steps with a teacher"
    if alone:
        times, events = steps_to(alone, SOLVED)
        lone = (_steps(_median(times, events)), f"{events.sum()} of {len(alone)}")
        rows.append(("PPO alone", *lone, "", _success(scores(alone, "success_rate"))))
        title += f" and {alone[0].steps:,} without"
    return ResultTable(
        title,
        ("subgoals right", f"steps to {SOLVED}", "solved", "success with the teacher", "without"),
        rows,
    )


def _steps(steps: float) -> str:
    return f"{steps:,.0f}" if np.isfinite(steps) else "never"
