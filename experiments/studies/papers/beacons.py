"""A teacher's subgoals make learnable what PPO alone does not learn, the sooner the more of them are right; then it can go.

PPO on KeyCorridorS3R3 and MultiRoom-N4-S5 with the planner's subgoals, of which each is right with probability 1, 0.93, 0.55 or 0
and else displaced (the errors of Words as Beacons, in all directions). In a quarter of the episodes the subgoals are paid but not
shown, so that the policy learns to do without. PPO alone has the settings and the budget of the suite ``exploration``. Beside
these: subgoals shown as objects and as sentences, and, where there is its transcript, a language model's for `LAYOUTS` layouts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from stable_baselines3.common.callbacks import BaseCallback

from shapegym.agents import evaluate, make_agent, make_vec_env
from shapegym.agents.beacons import Asked, ask_for_subgoals
from shapegym.agents.threads import torch_threads
from shapegym.envs.grid.beacons.guidance import Showing
from shapegym.experiments.errors import RunError
from shapegym.experiments.stats import aggregate, kaplan_meier
from shapegym.experiments.studies.claims import Claim, Findings, ResultTable, StudyRequest, with_ends
from shapegym.experiments.sweeps.entry import sweep
from shapegym.experiments.sweeps.results import ResultRow, scores, steps_to
from shapegym.shaping import Subgoal, TaskReward
from shapegym.shaping.asking.chat import Request
from shapegym.shaping.asking.transcript import Transcript
from shapegym.shaping.json_lines import append_rows, read_rows

SEEDS = 5
FOLDER = Path("sweeps") / "beacons"
ROWS = "results.jsonl"

SUITE = "exploration"
"""Whose strategy `sparse` is PPO alone."""

ACCURACIES = (1.0, 0.93, 0.55, 0.0)
SOLVED = 0.8
LAYOUTS = 64
"""That a language model was asked about."""
MODEL = "Qwen2.5-Coder-1.5B-Instruct"
TRANSCRIPT = "experiments/results/beacons/coder.jsonl"
"""What it said, relative to the repository; without it nothing is made of its subgoals."""
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
    entry: str
    steps: int  # with a teacher, right or wrong
    short: int  # with one that is right


TASKS = {
    "KeyCorridorS3R3": Task("shapegym/MiniGrid-KeyCorridorS3R3-v0", "key_corridor_s3r3", 1_000_000, 250_000),
    "MultiRoom-N4-S5": Task("shapegym/MiniGrid-MultiRoom-N4-S5-v1", "multi_room_n4", 150_000, 150_000),
}


@dataclass(frozen=True)
class Lesson:
    """How a policy is taught."""

    accuracy: float = 1.0  # of the planner's subgoals, that are right
    show: Showing = "relative"
    layouts: int = 0  # to which the task is kept; 0: endless
    asked: bool = False  # whether they are a language model's in place of the planner's

    def __str__(self) -> str:
        who = MODEL if self.asked else f"{self.accuracy:g}"
        seen = "" if self.show == "relative" else f", shown by {self.show}"
        return who + seen + (f", on {self.layouts} layouts" if self.layouts else "")


GRADED = tuple(map(Lesson, ACCURACIES))
LESSONS = (
    *GRADED,
    Lesson(show="representation"),
    Lesson(show="language"),
    Lesson(layouts=LAYOUTS),
    Lesson(layouts=LAYOUTS, asked=True),
)


RunKey = tuple[str, Lesson, int, int]
Groups = dict[Lesson, list["BeaconOutcome"]]
"""lesson -> its runs."""


@dataclass(frozen=True)
class BeaconRun:
    """A run with a teacher that is to be made."""

    task: str
    lesson: Lesson
    seed: int
    steps: int
    folder: str

    @property
    def key(self) -> RunKey:
        """What makes it another run than others."""
        return self.task, self.lesson, self.seed, self.steps

    @property
    def plans(self) -> Path:
        """The file of what a language model said of the task."""
        return Path(self.folder) / f"{self.task}.plans.jsonl"


@dataclass(frozen=True)
class BeaconOutcome:
    """What came of it."""

    task: str
    lesson: Lesson
    seed: int
    steps: int
    solved_at: int | None  # steps until `SOLVED` of the last `WINDOW` episodes with a teacher were solved
    shown: float  # success after training, with the teacher
    gone: float  # and without any
    curve: list[list[float]] = field(default_factory=list)  # (steps, success of the window)

    @property
    def key(self) -> RunKey:
        """Of which run."""
        return self.task, self.lesson, self.seed, self.steps


def run(request: StudyRequest) -> Findings:
    """Go on where a study before this one stopped, with the rows in ``sweeps/beacons/``, and compare with PPO alone."""
    folder = FOLDER.with_name("beacons-quick") if request.quick else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    asked = list(_runs(request, str(folder)))
    done = {outcome.key: outcome for outcome in outcomes_in(folder)}
    missing = [each for each in asked if each.key not in done]
    for each in {each.task: each for each in missing if each.lesson.asked}.values():
        said_of(each.task, each.plans)
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
            yield BeaconOutcome(**{**row, "lesson": Lesson(**row["lesson"])})
        except (TypeError, KeyError) as error:
            raise RunError(f"A row of {folder / ROWS} is no run of this study: {error}") from error


def _runs(request: StudyRequest, folder: str) -> Iterator[BeaconRun]:
    """Seed by seed, so that what is done first compares all teachers."""
    lessons = [each for each in LESSONS if not each.asked or Path(TRANSCRIPT).is_file()]
    for seed in request.seeds:
        for name, task in TASKS.items():
            for lesson in lessons:
                steps = task.steps if lesson in GRADED else task.short
                yield BeaconRun(name, lesson, seed, 8_192 if request.quick else steps, folder)


def said_of(task: str, file: Path) -> Asked:
    """Write what the language model said of the layouts of a task to a file; nobody is asked."""
    transcript = Transcript(Path(TRANSCRIPT), None, Request)
    return ask_for_subgoals(TASKS[task].env, range(LAYOUTS), transcript, file)


def train(job: BeaconRun) -> BeaconOutcome:
    """Train and evaluate one policy, and keep its row."""
    env, lesson = TASKS[job.task].env, job.lesson
    teacher = str(job.plans) if lesson.asked else "oracle"
    taught = {"teacher": teacher, "show": lesson.show, "accuracy": lesson.accuracy, "seed": job.seed}
    where = {"layouts": lesson.layouts} if lesson.layouts else {}
    settings = {name: value for name, value in SETTINGS.items() if name != "num_envs"}
    with torch_threads(1):
        venv = make_vec_env(
            env, SETTINGS["num_envs"], seed=job.seed, subgoals={**taught, "hidden": HIDDEN}, **where
        )
        model = make_agent("PPO", venv, TaskReward() + Subgoal(ALPHA), seed=job.seed, **settings)
        watch = Watched()
        model.learn(job.steps, callback=watch)
        venv.close()
        shown, gone = (
            evaluate(model, env, EPISODES, seed=EVALUATION_SEED, deterministic=False, **kwargs).success_rate
            for kwargs in (
                {"subgoals": taught, **where},
                {"subgoals": {"teacher": "none", "show": lesson.show}},
            )
        )
    outcome = BeaconOutcome(
        job.task, lesson, job.seed, job.steps, watch.solved_at, shown, gone, curve=watch.curve
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
        runs.setdefault(outcome.task, {}).setdefault(outcome.lesson, []).append(outcome)
    rows = {
        name: tuple(row for row in alone if (row.task, row.strategy) == (task.entry, "sparse"))
        for name, task in TASKS.items()
    }
    return Findings(
        claims=tuple(claim for name, groups in runs.items() for claim in _claims(name, groups, rows[name])),
        tables=(*(_table(name, groups, rows[name]) for name, groups in runs.items()), *_agreement()),
        notes=(
            f"Steps to {SOLVED} with a teacher: until {SOLVED} of the last {WINDOW} training episodes whose subgoals were shown "
            "were solved; of PPO alone: the first such evaluation. Kaplan-Meier medians of the seeds, 'never' where half do not "
            "get there within the budget.",
            f"Success with a teacher: of the policy that acts by chance, as it was trained, in {EPISODES} episodes; of PPO alone: "
            "of its last evaluation. Interquartile mean of the seeds [95 % interval].",
            "Without a teacher layouts are new ones, also where the policy was trained on a few.",
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
    ordered = [_median_of(groups[lesson]) for lesson in GRADED]
    yield Claim(
        f"{name}: the more of a teacher's subgoals are right, the fewer steps to a success of {SOLVED}.",
        all(sooner <= later for sooner, later in pairwise(ordered)) and ordered[0] < ordered[-1],
        "; ".join(f"{lesson}: {_steps(median)}" for lesson, median in zip(GRADED, ordered, strict=True)),
    )
    if alone:
        needed, budget = _median(*steps_to(alone, SOLVED)), alone[0].steps
        yield Claim(
            f"{name}: with the oracle a tenth of PPO's budget is enough.",
            ordered[0] <= 0.1 * min(needed, budget),
            f"{_steps(ordered[0])} to {_steps(needed)} of PPO alone, whose budget is {budget:,}",
        )
    oracle = groups[GRADED[0]]
    shown, gone = (float(np.mean([getattr(each, key) for each in oracle])) for key in ("shown", "gone"))
    yield Claim(
        f"{name}: what was learned with the oracle keeps at least 0.9 of its success without it.",
        gone >= 0.9 * shown and shown >= SOLVED,
        f"{_success(each.shown for each in oracle)} with it, {_success(each.gone for each in oracle)} without",
    )


def _table(name: str, groups: Groups, alone: tuple[ResultRow, ...]) -> ResultTable:
    rows: list[tuple[str, ...]] = [
        (
            str(lesson),
            f"{runs[0].steps:,}",
            _steps(_median_of(runs)),
            f"{sum(each.solved_at is not None for each in runs)} of {len(runs)}",
            _success(each.shown for each in runs),
            _success(each.gone for each in runs),
        )
        for lesson, runs in groups.items()
    ]
    if alone:
        times, events = steps_to(alone, SOLVED)
        lone = (f"{alone[0].steps:,}", _steps(_median(times, events)), f"{events.sum()} of {len(alone)}")
        rows.append(("PPO alone", *lone, "", _success(scores(alone, "success_rate"))))
    return ResultTable(
        f"{name}: {len(next(iter(groups.values())))} seed(s)",
        ("subgoals right", "steps", f"steps to {SOLVED}", "solved", "success with the teacher", "without"),
        rows,
    )


def _agreement() -> tuple[ResultTable, ...]:
    """How the subgoals of the language model compare with the planner's, where there is its transcript."""
    if not Path(TRANSCRIPT).is_file():
        return ()
    with TemporaryDirectory() as folder:
        said = {name: said_of(name, Path(folder) / "plans.jsonl") for name in TASKS}
    rows = [
        (name, each.layouts, each.wanted, each.accuracy, each.whole, each.unreadable)
        for name, each in said.items()
    ]
    columns = ("task", "layouts", "subgoals", "right", "plans that are whole", "unreadable")
    return (ResultTable(f"Subgoals of {MODEL} beside the planner's", columns, rows),)


def _steps(steps: float) -> str:
    return f"{steps:,.0f}" if np.isfinite(steps) else "never"
