"""What a training run is asked for, complete and as data."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from annotated_types import Ge, Le, Lt

from shapegym.agents.settings import resolve_settings
from shapegym.experiments.errors import RunError
from shapegym.experiments.named import is_name, ready_rewards, require_data, reward_given
from shapegym.experiments.plain import plain
from shapegym.experiments.runs import run_folder
from shapegym.experiments.runs.evaluations import planned
from shapegym.shaping.discovery import import_modules
from shapegym.shaping.files.reward_files import names_files, to_data
from shapegym.shaping.limits import Count, Limited, Natural
from shapegym.shaping.types import Expression

MOST_STEPS = 2**53
"""Of a budget: floats, which schedules are computed in, count so far."""
SEEDS_END = 2**32
"""NumPy's global stream, which SB3 seeds, takes smaller ones."""
MOST_EPISODES = 10**6
"""Of an evaluation: they are kept until it ends."""

_Episodes: TypeAlias = Annotated[
    int, Ge(1), Le(MOST_EPISODES), "an integer of at least 1, and at most 1,000,000"
]

_RARE = ("train_kwargs", "eval_kwargs", "imports", "learn_every")
"""Fields that most requests leave empty."""


@dataclass(frozen=True)
class RunConfig(Limited):
    """A complete request, as ``config.yaml`` holds it.

    Attributes:
        env: id of the environment.
        steps: budget in global steps.
        algo: name of the algorithm.
        reward: an expression, the name of a ready reward, a reward file, or data (or YAML) of either, kept as data with what it
            imports (`shapegym.experiments.named.reward_given`); None for the plain task reward.
        seed: of everything.
        env_kwargs: arguments of the environment.
        train_kwargs: more of them, where the agent trains: a teacher, easier tasks.
        eval_kwargs: more of them, where it is judged. Spaces are the same in both.
        settings: hyper-parameters that differ from the table's.
        eval_every: global steps between evaluations; 0 evaluates at the end only.
        eval_episodes: of each evaluation. None, here or above, chooses such that evaluations take a bounded share of the steps
            (`shapegym.experiments.runs.evaluations`).
        checkpoint_every: global steps between checkpoints; 0 makes none.
        imports: modules of other people that define what the request names; imported by whoever runs it.
        learn_every: steps between two fits of what the reward learns, for algorithms with a replay buffer; None takes the default.
            (Others let it learn from every rollout.)
    """

    misfit = RunError

    env: str
    steps: Annotated[int, Ge(1), Le(MOST_STEPS), "an integer of at least 1, and at most 2**53"]
    algo: str = "PPO"
    reward: Any = None
    seed: Annotated[int, Ge(0), Lt(SEEDS_END), "an integer in [0, 2**32)"] = 0
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    train_kwargs: Mapping[str, Any] = field(default_factory=dict)
    eval_kwargs: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    eval_every: Natural | None = 0
    eval_episodes: _Episodes | None = None
    checkpoint_every: Natural = 0
    imports: tuple[str, ...] = ()
    learn_every: Count | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        reward, imports = _as_data(self.reward)
        object.__setattr__(self, "reward", reward)
        object.__setattr__(self, "imports", tuple(dict.fromkeys((*self.imports, *imports))))

    @classmethod
    def from_folder(cls, folder: Path) -> RunConfig:
        """Return the request of an existing run.

        Raises:
            RunError: if the folder's config is none.
        """
        data = run_folder.read_config(folder)
        known = {item.name for item in fields(cls)}
        if unknown := sorted(data.keys() - known):
            raise RunError(
                f"{folder / run_folder.CONFIG} has the unknown key {unknown[0]!r}. Known: {', '.join(sorted(known))}."
            )
        if missing := [key for key in ("env", "steps") if key not in data]:
            raise RunError(f"{folder / run_folder.CONFIG} lacks the key {missing[0]!r}.")
        return cls.from_data(data)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> RunConfig:
        """Return the request that `as_data` wrote. It leads to nothing beside it: a reward is data there, never the name of a file.

        Raises:
            RunError: if it is none.
        """
        require_data(data.get("reward"))
        if _is_file(data.get("reward")):
            raise RunError("A written request has its reward as data of an expression, not of a reward file.")
        return cls(**data)

    def expression(self) -> Expression | None:
        """Return the reward; None if it is the task's.

        Raises:
            RunError: for a name that is neither a node's nor a ready reward's.
            ShapingError: if the data describe no reward.
        """
        return None if self.reward is None else reward_given(self.reward).expression

    def settled(self) -> RunConfig:
        """Return the request with the evaluations that it has, also where it leaves them open.

        Raises:
            SettingsError: if the environment rejects its arguments.
        """
        if self.eval_every is not None and self.eval_episodes is not None:
            return self
        asked = None if self.eval_every is None else self.steps // self.eval_every if self.eval_every else 0
        points, episodes = planned(self.env, self.judged_on, self.steps, asked, self.eval_episodes)
        every = self.eval_every if self.eval_every is not None else -(-self.steps // points) if points else 0
        return replace(self, eval_every=every, eval_episodes=episodes)

    def as_data(self) -> dict[str, Any]:
        """Return the request as keys and values; without those of `_RARE` that say nothing, as in most."""
        return {key: value for key, value in asdict(self).items() if value or key not in _RARE}

    @property
    def trained_on(self) -> dict[str, Any]:
        """Arguments of the environment in which the agent trains, but for features that its reward reads."""
        return {**self.env_kwargs, **self.train_kwargs}

    @property
    def judged_on(self) -> dict[str, Any]:
        """Arguments of the environment in which it is evaluated."""
        return {**self.env_kwargs, **self.eval_kwargs}

    @property
    def modules(self) -> tuple[str, ...]:
        """Modules of other people that the request needs: its imports, and that of an environment ``module:id``."""
        module = self.env.rpartition(":")[0]
        return tuple(dict.fromkeys((*self.imports, *filter(None, [module]))))

    def import_modules(self) -> None:
        """Import what the request needs, before anything that it names is looked up.

        Raises:
            PluginError: if a module is not there or fails.
        """
        import_modules(self.modules, "The request of this run")


def request_of(config: RunConfig) -> dict[str, Any]:
    """Return what ``config.yaml`` holds: every hyper-parameter and field, so that later defaults do not change a run."""
    config.import_modules()
    config = config.settled()
    settings, reward = resolve_settings(config.algo, config.env, config.settings), config.expression()
    written = None if reward is None else to_data(reward)
    return plain(replace(config, settings=settings.as_dict(), reward=written).as_data())


def _as_data(reward: Any) -> tuple[Any, tuple[str, ...]]:
    """A reward as a request holds it, and the modules that define it.

    What is written as data stays so, because the modules that define its nodes may not be imported yet.
    """
    if is_name(reward):
        written = reward not in ready_rewards()
    else:
        given_as = isinstance(reward, (str, os.PathLike, Expression)) or _is_file(reward)
        written = not given_as and not names_files(reward)
    if written:
        return reward, ()
    given = reward_given(reward)
    return to_data(given.expression), given.imports


def _is_file(reward: Any) -> bool:
    """Whether a reward is the data of a reward file, not of an expression alone."""
    return isinstance(reward, Mapping) and "reward" in reward
