"""Suites: comparisons as data, tasks x strategies x seeds x budget.

A suite file (YAML, the strict part of it that reward files use) is the fields of `Suite`. For example:

    title: Two rewards on a corridor
    seeds: 5
    rewards:                      # the strategies of every task
      sparse: null                # the task's reward as the environment pays it
      count: {sum: [task_reward, {count_bonus: {key: features.state, beta: 0.1}}]}
    tasks:
      corridor: {env: shapegym/Corridor-v0, steps: 20000, tags: [tabular]}
    quick: {seeds: 2, budget: 0.1}
    imports: [mypackage.rewards]  # only for parts of your own: modules that Python can import

An entry is ``task/strategy``: ``corridor/count``. Ready suites lie in ``experiments/suites``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, StringConstraints, ValidationError

from shapegym.agents.algorithms.registry import algorithm_of
from shapegym.agents.settings import resolve_settings
from shapegym.experiments.errors import RunError
from shapegym.experiments.named import require_env
from shapegym.experiments.runs.evaluations import planned
from shapegym.experiments.runs.preflight import require_fit
from shapegym.experiments.runs.request import MOST_EPISODES, MOST_STEPS, SEEDS_END, RunConfig
from shapegym.experiments.sweeps.plan import MOST_RUNS, SOLVED, Job, Plan, in_fair_order, require_countable
from shapegym.experiments.sweeps.ready import path_of, ready_suites
from shapegym.experiments.sweeps.search.axes import Axis, Choices, parse_axis
from shapegym.experiments.sweeps.search.variants import require_axes
from shapegym.experiments.sweeps.strategies import imports_of, left_of, own_pay, written_out
from shapegym.experiments.sweeps.suite_file import Origin, explain, read_suite
from shapegym.shaping.discovery import import_modules
from shapegym.shaping.errors import ShapingError, said_as, suggest
from shapegym.shaping.files.marked_yaml import KeyPath

Name: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_+-]*$")]
"""Part of an id and of a folder's path."""

Seeds: TypeAlias = (
    Annotated[int, Field(ge=1, le=MOST_RUNS)]
    | Annotated[list[Annotated[int, Field(ge=0, lt=SEEDS_END)]], Field(min_length=1)]
)
"""How many, counted from 0, or which."""


MOST_POINTS = 10**6
"""Evaluations or checkpoints of a run."""


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, ser_json_inf_nan="constants")


class Evaluations(_Data):
    """On the task, while a run goes on.

    Attributes:
        points: evaluations of a run, evenly spaced over its budget.
        episodes: of each. None, here or above, chooses such that evaluations take a bounded share of the steps
            (`shapegym.experiments.runs.evaluations`).
    """

    points: int | None = Field(default=None, ge=1, le=MOST_POINTS)
    episodes: int | None = Field(default=None, ge=1, le=MOST_EPISODES)


class Learner(_Data):
    """Who learns from a strategy, where it is not the agent of all.

    Attributes:
        algo: name of the algorithm; None is that of the task.
        settings: hyper-parameters, on top of those of the task. A learner with an ``algo`` takes none of those.
        train_kwargs: arguments of the environment in which it trains, on top of those of the task.
        eval_kwargs: of the one in which it is judged.
    """

    algo: str | None = None
    settings: dict[str, Any] = {}
    train_kwargs: dict[str, Any] = {}
    eval_kwargs: dict[str, Any] = {}


class Task(_Data):
    """What the strategies are compared on.

    Attributes:
        env: id of the environment.
        steps: budget of a run in global steps.
        env_kwargs: arguments of the environment.
        algo: of this task; None is the suite's.
        settings: hyper-parameters, on top of the suite's. A task with its own ``algo`` takes none of the suite's.
        eval: on this task; what it leaves out is the suite's.
        tags: to choose tasks by.
        rewards: strategies of this task, beside or in place of the suite's of that name.
        pay: what of the rewards is paid on this task; None is the suite's.
        learners: of strategies on this task, on top of the suite's of that name.
    """

    env: str
    steps: int = Field(ge=1, le=MOST_STEPS)
    env_kwargs: dict[str, Any] = {}
    algo: str | None = None
    settings: dict[str, Any] = {}
    eval: Evaluations = Evaluations()
    tags: list[Name] = []
    rewards: dict[Name, Any] = {}
    pay: str | None = None
    learners: dict[Name, Learner] = {}


class Quick(_Data):
    """A part of the suite that gives an answer soon.

    Attributes:
        tasks: by name; with ``tags``, those that either names. Neither: all.
        tags: see there.
        seeds: None is the suite's.
        budget: factor on the steps of a run.
    """

    tasks: list[Name] = []
    tags: list[Name] = []
    seeds: Seeds | None = None
    budget: float = Field(default=1.0, gt=0, le=1, allow_inf_nan=False)

    def includes(self, name: str, task: Task) -> bool:
        """Whether a task belongs to it."""
        return not (self.tasks or self.tags) or name in self.tasks or bool(set(self.tags) & set(task.tags))


class Suite(_Data):
    """A comparison. Read it with `load_suite`, which checks it.

    Attributes:
        title: one line.
        about: what it asks, and how its numbers are to be read.
        seeds: of every entry; strategies are paired by them.
        algo: name of the algorithm.
        settings: hyper-parameters that differ from the table's.
        eval: on the task, while runs go on.
        checkpoints: of a run, evenly spaced; what an interrupted run loses at most is the way from the last.
        rewards: strategies of every task: name -> a reward as reward files write it (with what it imports as a mapping of
            ``reward`` and ``imports``), the name of a ready reward, a reward file (relative to the suite's), or null for the task
            reward. From Python also expressions and paths. A mapping of ``reward`` and ``pay`` says what of one is paid.
        learners: by the name of a strategy that needs an agent of its own.
        only_on: tags of the tasks that have a strategy of ``rewards``, by its name; without it, all have.
        tasks: by name.
        pay: what of the rewards is paid (`shapegym.shaping.weights.paying`): "both", "task", "bonus", "anneal:STEPS" or
            "until:STEPS". A task's own goes before the suite's, a reward's own before both. One without a bonus stays as it is,
            unless it is its own that asks for the bonus.
        quick: the part that ``--quick`` runs.
        solved: the success rate whose first time reports tell.
        sweep: fields to vary: path -> a list of values, or a range as `shapegym.experiments.sweeps.search.axes` writes it.
        imports: modules of other people that define what the suite names.
    """

    title: str = Field(min_length=1)
    about: str = ""
    seeds: Seeds
    algo: str = "PPO"
    settings: dict[str, Any] = {}
    eval: Evaluations = Evaluations()
    checkpoints: int = Field(default=1, ge=0, le=MOST_POINTS)
    rewards: dict[Name, Any] = {}
    tasks: dict[Name, Task] = Field(min_length=1)
    pay: str = "both"
    learners: dict[Name, Learner] = {}
    only_on: dict[Name, Annotated[list[Name], Field(min_length=1)]] = {}
    quick: Quick | None = None
    solved: float = Field(default=SOLVED, gt=0, le=1)
    sweep: dict[str, Annotated[list[Any], Field(min_length=1)] | str] = {}
    imports: list[str] = []

    _origin: Origin = PrivateAttr(default=Origin.of_data({}))
    _planned: dict[tuple[str, int], tuple[int, int]] = PrivateAttr(default_factory=dict)

    @property
    def name(self) -> str:
        """That of its file."""
        return self._origin.path.stem

    @property
    def path(self) -> Path:
        """Its file."""
        return self._origin.path

    def as_source(self) -> str | dict[str, Any]:
        """What `load_suite` makes this suite from again, wherever its file is then: the name of a ready one, else name and data."""
        if self._origin.path == path_of(self.name):
            return self.name
        return {"name": self.name, "suite": self.model_dump(mode="json")}

    @property
    def axes(self) -> tuple[Axis, ...]:
        """What ``sweep`` says, for `shapegym.experiments.sweeps.search`."""
        return tuple(_axis(path, values) for path, values in self.sweep.items())

    def strategies(self, task: str) -> dict[str, Any]:
        """The rewards that are compared on a task: name -> data, None for the task reward."""
        return {name: self._paid(task, name) for name in self._rewards(task)}

    def entries(self, *, quick: bool = False, only: str = "") -> list[tuple[str, str]]:
        """Pairs of task and strategy, in the order of the file.

        Args:
            quick: those of the quick part.
            only: those whose ``task/strategy`` contains this text.

        Raises:
            RunError: if there is no quick part, or nothing is left.
        """
        part = self._part(quick)
        found = [
            (name, strategy)
            for name, task in self.tasks.items()
            if part.includes(name, task)
            for strategy in self._rewards(name)
            if only in f"{name}/{strategy}"
        ]
        if not found:
            shown = self.name if self._origin.path == path_of(self.name) else self._origin.path
            raise RunError(
                f"No entry of {self.name} contains {only!r}. `shapegym suites {shown}` lists them."
            )
        return found

    def plan(self, quick: bool = False, seeds: int | Sequence[int] | None = None, only: str = "") -> Plan:
        """Return the runs, each checked to fit its environment and agent.

        Args:
            quick: the quick part.
            seeds: how many or which, in place of the suite's.
            only: entries that contain this text.

        Raises:
            RunError: if there is nothing to run, or something in it does not fit; names file, line and key.
        """
        entries = self.entries(quick=quick, only=only)
        asked = (self._part(quick).seeds or self.seeds) if seeds is None else seeds
        many = asked if isinstance(asked, int) else len(asked)
        if many < 1:
            raise RunError(f"A comparison needs at least one seed, got {seeds!r}.")
        require_countable(many * len(entries), f"The entries and seeds ({len(entries):,} x {many:,})")
        chosen = _listed(asked)
        for task, strategy in entries:
            own = ("rewards", strategy) if strategy in self.tasks[task].rewards else ()
            with self._origin.at("tasks", task, *own):
                require_fit(self.request(task, strategy, chosen[0], quick=quick))
        jobs = (
            Job(task, strategy, self.request(task, strategy, seed, quick=quick))
            for task, strategy in entries
            for seed in chosen
        )
        plan = Plan(
            self.name + "-quick" * quick, self.title + " (quick)" * quick, in_fair_order(jobs), self.solved
        )
        for axis in self.axes:
            with self._origin.at("sweep", axis.path):
                require_axes(plan, [axis])
        return plan

    def seeds_of(self, *, quick: bool = False) -> list[int]:
        """The seeds of every entry."""
        return _listed(self._part(quick).seeds or self.seeds)

    def steps_of(self, task: str, *, quick: bool = False) -> int:
        """The budget of a run."""
        return max(1, round(self.tasks[task].steps * self._part(quick).budget))

    def request(self, task: str, strategy: str, seed: int, *, quick: bool = False) -> RunConfig:
        """Return what a run of an entry asks for."""
        of, reward = self.tasks[task], self._rewards(task)[strategy]
        steps = self.steps_of(task, quick=quick)
        points, episodes = self._evaluations(task, steps)
        return RunConfig(
            env=of.env,
            steps=steps,
            algo=self.algo_of(task, strategy),
            reward=self._paid(task, strategy),
            seed=seed,
            env_kwargs=of.env_kwargs,
            train_kwargs=self._merged(task, strategy, "train_kwargs"),
            eval_kwargs=self._merged(task, strategy, "eval_kwargs"),
            settings=self.settings_of(task, strategy),
            eval_every=-(-steps // points) if points else 0,
            eval_episodes=episodes,
            checkpoint_every=-(-steps // (self.checkpoints + 1)) if self.checkpoints else 0,
            imports=(*self.imports, *imports_of(reward)),
        )

    def _evaluations(self, task: str, steps: int) -> tuple[int, int]:
        """Evaluations of a run, and episodes of each."""
        if (task, steps) not in self._planned:
            of = self.tasks[task]
            points, episodes = of.eval.points or self.eval.points, of.eval.episodes or self.eval.episodes
            self._planned[task, steps] = planned(of.env, of.env_kwargs, steps, points, episodes)
        return self._planned[task, steps]

    def algo_of(self, task: str, strategy: str) -> str:
        """The name of the algorithm of an entry."""
        own = (learner.algo for learner in self._learners(task, strategy))
        return next((algo for algo in own if algo), self.tasks[task].algo or self.algo)

    def settings_of(self, task: str, strategy: str) -> dict[str, Any]:
        """The hyper-parameters of an entry that differ from the table's."""
        of, learners = self.tasks[task], self._learners(task, strategy)
        shared = {**(self.settings if of.algo in (None, self.algo) else {}), **of.settings}
        settings = {} if any(learner.algo for learner in learners) else shared
        return {**settings, **self._merged(task, strategy, "settings")}

    def _merged(self, task: str, strategy: str, field: str) -> dict[str, Any]:
        """A mapping of those who learn from a strategy, in one."""
        merged: dict[str, Any] = {}
        for learner in reversed(self._learners(task, strategy)):
            merged |= getattr(learner, field)
        return merged

    def _learners(self, task: str, strategy: str) -> list[Learner]:
        """Who learns from a strategy, the nearest first."""
        of = (self.tasks[task].learners, self.learners)
        return [learners[strategy] for learners in of if strategy in learners]

    def _rewards(self, task: str) -> dict[str, Any]:
        of = self.tasks[task]
        shared = {
            name: reward
            for name, reward in self.rewards.items()
            if name not in self.only_on or set(self.only_on[name]) & set(of.tags)
        }
        return {**shared, **of.rewards}

    def _paid(self, task: str, strategy: str) -> Any:
        """What is left of a reward where only that is paid which the nearest ``pay`` says, as data."""
        of_task = self.tasks[task].pay
        return left_of(self._rewards(task)[strategy], self.pay if of_task is None else of_task)

    def _part(self, quick: bool) -> Quick:
        if quick and self.quick is None:
            raise RunError(f"{self.name} has no quick part: run it whole, or give it the key 'quick'.")
        return self.quick if quick and self.quick is not None else Quick()


def load_suite(source: str | Path | Mapping[str, Any] | Suite) -> Suite:
    """Return a ready suite by its name, that of a file (``.yaml``), or one made from the data of a file.

    What it imports is imported. Everything but the fit of rewards to environments is checked, which `Suite.plan` does.

    Raises:
        RunError: for a file or data that are no suite; names file, line and key, and what would fit.
    """
    data, origin = _read(source)
    try:
        suite = Suite.model_validate(data)
    except ValidationError as error:
        raise explain(error, origin, _fields_at) from None
    suite._origin = origin
    for place, module in enumerate(suite.imports):
        with origin.at("imports", place):
            import_modules([module], "The suite", beside=True)
    _check_lists(suite, origin)
    stored = _is_stored(source)
    _complete(suite.rewards, ("rewards",), origin, stored=stored)
    for name, task in suite.tasks.items():
        _complete(task.rewards, ("tasks", name, "rewards"), origin, stored=stored)
        _check_task(suite, name, task, origin)
        _check_pay(suite, name, task, origin)
    return suite


def _read(source: str | Path | Mapping[str, Any] | Suite) -> tuple[Any, Origin]:
    if isinstance(source, Suite):
        return source.model_dump(), source._origin
    if isinstance(source, Mapping):
        if _is_stored(source):
            return deepcopy(source["suite"]), Origin.of_data(source["suite"], f"{source['name']}.yaml")
        return deepcopy(dict(source)), Origin.of_data(source)
    if Path(source).suffix in (".yaml", ".yml"):
        return read_suite(Path(source))
    if (path := path_of(str(source))) is None:
        raise RunError(
            f"There is no suite {str(source)!r}.{suggest(str(source), ready_suites())} Or give a file: suite.yaml. One of your own "
            "is known by name once the module that registers it is imported: --import MODULE."
        )
    return read_suite(path)


def _is_stored(source: Any) -> bool:
    """Whether it is what `Suite.as_source` wrote."""
    return isinstance(source, Mapping) and source.keys() == {"name", "suite"}


def _listed(seeds: int | Sequence[int]) -> list[int]:
    return list(range(seeds)) if isinstance(seeds, int) else list(seeds)


def _axis(path: str, values: list[Any] | str) -> Axis:
    return Choices(path, tuple(values)) if isinstance(values, list) else parse_axis(f"{path}={values}")


def _complete(rewards: dict[str, Any], path: KeyPath, origin: Origin, *, stored: bool) -> None:
    for name, given in rewards.items():
        with origin.at(*path, name):
            rewards[name] = written_out(given, origin.path.parent, stored=stored)


def _check_lists(suite: Suite, origin: Origin) -> None:
    """Nothing is there twice, and what the quick part names exists."""
    quick = suite.quick or Quick()
    for part, seeds in (((), suite.seeds), (("quick",), quick.seeds)):
        listed = seeds if isinstance(seeds, list) else []
        for place, seed in enumerate(listed):
            if seed in listed[:place]:
                raise origin.error((*part, "seeds", place), f"The seed {seed} is there twice.")
    for field, values in suite.sweep.items():
        with origin.at("sweep", field):
            _axis(field, values)
    tags = dict.fromkeys(tag for task in suite.tasks.values() for tag in task.tags)
    lists: list[tuple[KeyPath, str, Sequence[str], Collection[str]]] = [
        (("quick", "tasks"), "task", quick.tasks, suite.tasks),
        (("quick", "tags"), "tag", quick.tags, tags),
    ]
    for strategy, wanted in suite.only_on.items():
        lists.append((("only_on", strategy), "tag", wanted, tags))
        if strategy not in suite.rewards:
            raise origin.error(
                ("only_on", strategy),
                f"The suite's rewards have no {strategy!r}.{suggest(strategy, suite.rewards)}",
            )
    for path, kind, names, known in lists:
        for place, name in enumerate(names):
            if name not in known:
                raise origin.error((*path, place), f"There is no {kind} {name!r}.{suggest(name, known)}")


def _check_task(suite: Suite, name: str, task: Task, origin: Origin) -> None:
    if not suite._rewards(name):
        raise origin.error(("tasks", name), f"{name} has no strategies: give it 'rewards', or the suite.")
    with origin.at("tasks", name, "env"):
        require_env(task.env)
    here: KeyPath = ("tasks", name)
    with origin.at(*(here if task.algo else ()), "algo"):
        algorithm_of(task.algo or suite.algo)
    strategies = suite._rewards(name)
    for where, learners in (((), suite.learners), (here, task.learners)):
        for strategy, learner in learners.items():
            known = strategies if where else {each for task in suite.tasks for each in suite._rewards(task)}
            if strategy not in known:
                raise origin.error(
                    (*where, "learners", strategy),
                    f"There is no strategy {strategy!r}.{suggest(strategy, known)}",
                )
            with origin.at(*where, "learners", strategy, *(("algo",) if learner.algo else ())):
                algorithm_of(learner.algo or task.algo or suite.algo)
    for strategy in strategies:
        algo = suite.algo_of(name, strategy)
        for key, value in suite.settings_of(name, strategy).items():
            with origin.at(*_place_of(suite, name, strategy, key), "settings", key):
                resolve_settings(algo, task.env, {key: value})


def _place_of(suite: Suite, name: str, strategy: str, key: str) -> KeyPath:
    """Where a hyper-parameter of an entry is set: the nearest place that names it."""
    task, here = suite.tasks[name], ("tasks", name)
    for where, learners in ((here, task.learners), ((), suite.learners)):
        if strategy in learners and key in learners[strategy].settings:
            return (*where, "learners", strategy)
    return here if key in task.settings else ()


def _check_pay(suite: Suite, name: str, task: Task, origin: Origin) -> None:
    """What of the rewards is to be paid on a task can be told apart from the rest."""
    here: KeyPath = ("tasks", name)
    for strategy, reward in suite._rewards(name).items():
        if own_pay(reward) is not None:
            said: KeyPath = (*(here if strategy in task.rewards else ()), "rewards", strategy)
        else:
            said = () if task.pay is None else here
        with origin.at(*said, "pay"), said_as(RunError, ShapingError, f"{name}/{strategy}: ", ""):
            suite._paid(name, strategy)


def _fields_at(path: KeyPath) -> list[str]:
    """The keys of the mapping at a path of a suite file."""
    kinds: dict[str, type[BaseModel]] = {
        "tasks": Task,
        "eval": Evaluations,
        "quick": Quick,
        "learners": Learner,
    }
    named = [str(key) for key in path if key in kinds]
    return list((kinds[named[-1]] if named else Suite).model_fields)
