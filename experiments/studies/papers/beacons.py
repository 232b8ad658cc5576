"""A teacher's subgoals make learnable what PPO alone does not learn, the sooner the more of them are right; then it can go.

PPO on KeyCorridorS3R3 and MultiRoom-N4-S5 with the planner's subgoals, of which each is right with probability 1, 0.93, 0.55 or 0
and else displaced (the errors of Words as Beacons, in all directions). In a quarter of the episodes the subgoals are paid but not
shown, so that the policy learns to do without. PPO alone has the settings and the budget of the suite ``exploration``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from shapegym.agents import evaluate, make_agent, make_vec_env
from shapegym.agents.threads import torch_threads
from shapegym.experiments.errors import RunError
from shapegym.experiments.stats import aggregate, kaplan_meier
from shapegym.experiments.studies.claims import Claim, Findings, ResultTable, StudyRequest, with_ends
from shapegym.experiments.sweeps.suite import load_suite
from shapegym.shaping import Subgoal, TaskReward
from shapegym.shaping.json_lines import append_rows, read_rows

SEEDS = 5
FOLDER = Path("sweeps") / "beacons"
ROWS = "results.jsonl"

ACCURACIES = (1.0, 0.93, 0.55, 0.0)
ALONE = "alone"
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


RunKey = tuple[str, float | str, int, int]


@dataclass(frozen=True)
class BeaconRun:
    """A run that is to be made; ``teacher`` is an accuracy, or `ALONE`."""

    task: str
    teacher: float | str
    seed: int
    steps: int
    folder: str

    @property
    def key(self) -> RunKey:
        """What makes it another run than others."""
        return self.task, self.teacher, self.seed, self.steps


@dataclass(frozen=True)
class BeaconOutcome:
    """What came of it."""

    task: str
    teacher: float | str
    seed: int
    steps: int
    solved_at: int | None  # steps until `SOLVED` of the last `WINDOW` episodes with a teacher were solved
    shown: float  # success after training, with the teacher
    gone: float  # and without any
    curve: list[list[float]] = field(default_factory=list)  # (steps, success of the window)

    @property
    def key(self) -> RunKey:
        """Of which run."""
        return self.task, self.teacher, self.seed, self.steps


def run(request: StudyRequest) -> Findings:
    """Go on where a study before this one stopped, with the rows in ``sweeps/beacons/``, and compare."""
    folder = FOLDER.with_name("beacons-quick") if request.quick else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    asked = list(_runs(request, str(folder)))
    done = {outcome.key: outcome for outcome in _outcomes(folder)}
    missing = [each for each in asked if each.key not in done]
    request.say(f"{len(asked) - len(missing)} of {len(asked)} runs are in {folder / ROWS}")
    done |= {each.key: outcome for each, outcome in request.map(train, missing).items()}
    return findings([done[each.key] for each in asked])


def _outcomes(folder: Path) -> Iterator[BeaconOutcome]:
    """Those of the rows that are there."""
    for row in read_rows(folder / ROWS, RunError) if (folder / ROWS).exists() else []:
        try:
            yield BeaconOutcome(**row)
        except TypeError as error:
            raise RunError(f"A row of {folder / ROWS} is no run of this study: {error}") from error


def _runs(request: StudyRequest, folder: str) -> Iterator[BeaconRun]:
    """Seed by seed, so that what is done first compares all teachers; the long runs without one come last."""
    suite = load_suite("exploration")
    for seed in request.seeds:
        for name, task in TASKS.items():
            steps = 8_192 if request.quick else task.steps
            for accuracy in ACCURACIES:
                yield BeaconRun(name, accuracy, seed, steps, folder)
    for seed in request.seeds:
        for name, task in TASKS.items():
            budget = suite.request(task.entry, "sparse", seed).steps
            yield BeaconRun(name, ALONE, seed, 16_384 if request.quick else budget, folder)


def train(job: BeaconRun) -> BeaconOutcome:
    """Train and evaluate one policy, and keep its row."""
    task = TASKS[job.task]
    if job.teacher == ALONE:
        request = load_suite("exploration").request(task.entry, "sparse", job.seed)
        settings, reward, taught, untaught = dict(request.settings), None, {}, {}
    else:
        guidance = {"teacher": "oracle", "show": "relative", "accuracy": job.teacher, "seed": job.seed}
        settings, reward = dict(SETTINGS), TaskReward() + Subgoal(ALPHA)
        taught = {"subgoals": guidance}
        untaught = {"subgoals": {"teacher": "none", "show": "relative"}}
    lanes = settings.pop("num_envs")
    training = {"subgoals": {**taught["subgoals"], "hidden": HIDDEN}} if taught else {}
    with torch_threads(1):
        venv = make_vec_env(task.env, lanes, seed=job.seed, **training)
        model = make_agent("PPO", venv, reward, seed=job.seed, **settings)
        watch = Watched()
        model.learn(job.steps, callback=watch)
        venv.close()
        success = {
            name: evaluate(model, task.env, EPISODES, seed=EVALUATION_SEED, deterministic=False, **kwargs).success_rate
            for name, kwargs in (("shown", taught), ("gone", untaught))
        }  # fmt: skip
    outcome = BeaconOutcome(
        job.task, job.teacher, job.seed, job.steps, watch.solved_at, success["shown"], success["gone"], watch.curve
    )  # fmt: skip
    append_rows(Path(job.folder) / ROWS, [asdict(outcome)])
    return outcome


class Watched(BaseCallback):
    """Success of the last `WINDOW` finished episodes whose subgoals were shown, or of all where there is no teacher."""

    def __init__(self) -> None:
        super().__init__()
        self.solved_at: int | None = None
        self.curve: list[list[float]] = []
        self._last: deque[bool] = deque(maxlen=WINDOW)

    def _on_step(self) -> bool:
        infos = self.locals["infos"]
        told: Any = self.training_env  # the bridge itself
        hidden = told.last_step.next_features.get("subgoal_hidden")
        for lane in np.flatnonzero(self.locals["dones"]):
            if hidden is None or not hidden[lane]:
                self._last.append(bool(infos[lane]["is_success"]))
        if self.solved_at is None and len(self._last) == WINDOW and np.mean(self._last) >= SOLVED:
            self.solved_at = self.num_timesteps
        return True

    def _on_rollout_end(self) -> None:
        if self._last:
            self.curve.append([self.num_timesteps, round(float(np.mean(self._last)), 4)])


def findings(outcomes: list[BeaconOutcome]) -> Findings:
    """Return what the runs say."""
    runs: dict[str, dict[float | str, list[BeaconOutcome]]] = {}
    for outcome in outcomes:
        runs.setdefault(outcome.task, {}).setdefault(outcome.teacher, []).append(outcome)
    return Findings(
        claims=tuple(claim for name, groups in runs.items() for claim in _claims(name, groups)),
        tables=tuple(_table(name, groups) for name, groups in runs.items()),
        notes=(
            f"Steps to {SOLVED}: until {SOLVED} of the last {WINDOW} training episodes with a teacher were solved; Kaplan-Meier "
            "median of the seeds, 'never' where half do not get there within the budget.",
            f"Success is that of the policy that acts as it was trained, by chance, in {EPISODES} episodes: interquartile mean of "
            "the seeds [95 % interval].",
            "PPO alone has the settings of the suite 'exploration', all episodes count, and it is never shown a subgoal.",
        ),
    )


def _median(runs: list[BeaconOutcome]) -> float:
    times = [each.steps if each.solved_at is None else each.solved_at for each in runs]
    return float(kaplan_meier(times, [each.solved_at is not None for each in runs]).median)


def _success(runs: list[BeaconOutcome], name: str) -> str:
    values = [getattr(each, name) for each in runs]
    return (
        with_ends(aggregate({"runs": values}, within=(0.0, 1.0))) if len(values) > 1 else f"{values[0]:.2f}"
    )


def _claims(name: str, groups: Mapping[float | str, list[BeaconOutcome]]) -> Iterator[Claim]:
    medians = {teacher: _median(runs) for teacher, runs in groups.items()}
    falling = [medians[accuracy] for accuracy in ACCURACIES]
    yield Claim(
        f"{name}: the more of a teacher's subgoals are right, the fewer steps to a success of {SOLVED}.",
        all(sooner <= later for sooner, later in pairwise(falling)) and falling[0] < falling[-1],
        "; ".join(f"{accuracy:g}: {_steps(medians[accuracy])}" for accuracy in ACCURACIES),
    )
    alone = groups[ALONE]
    needed = min(medians[ALONE], alone[0].steps)
    yield Claim(
        f"{name}: with the oracle a tenth of PPO's budget is enough.",
        medians[1.0] <= 0.1 * needed,
        f"{_steps(medians[1.0])} to {_steps(medians[ALONE])} of PPO alone, whose budget is {alone[0].steps:,}",
    )
    oracle = groups[1.0]
    shown, gone = (float(np.mean([getattr(each, key) for each in oracle])) for key in ("shown", "gone"))
    yield Claim(
        f"{name}: what was learned with the oracle has at least 0.9 of its success without it.",
        gone >= 0.9 * shown and shown >= SOLVED,
        f"{_success(oracle, 'shown')} with it, {_success(oracle, 'gone')} without",
    )


def _table(name: str, groups: Mapping[float | str, list[BeaconOutcome]]) -> ResultTable:
    return ResultTable(
        f"{name}: {len(groups[ACCURACIES[0]])} seed(s), {groups[ACCURACIES[0]][0].steps:,} steps with a teacher",
        ("subgoals right", f"steps to {SOLVED}", "solved", "success with the teacher", "without"),
        (
            (
                str(teacher) if teacher == ALONE else f"{teacher:g}",
                _steps(_median(runs)),
                f"{sum(each.solved_at is not None for each in runs)} of {len(runs)}",
                _success(runs, "shown"),
                _success(runs, "gone"),
            )
            for teacher, runs in groups.items()
        ),
    )


def _steps(steps: float) -> str:
    return f"{steps:,.0f}" if np.isfinite(steps) else "never"
