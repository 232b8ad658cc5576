"""Where the time of a training run goes: environment, policy, learner, and the reward term by term."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Self

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from shapegym.agents.callbacks import find_surface
from shapegym.agents.errors import SettingsError
from shapegym.shaping.surfaces.sb3_vec import MeasuringVecEnv

SECTIONS = ("environment", "policy", "learner", "reward", "other")
"""``policy``: choosing actions and bootstrapping values. ``learner``: updates and advantages. ``reward``: from transitions to
shaped rewards, terms included. ``other``: all else, such as evaluation, checkpoints, logs, copying between arrays and tensors."""


@dataclass(frozen=True)
class Costs:
    """What training took, in wall-clock time.

    Attributes:
        frames: global steps that were made.
        sections: seconds in each of `SECTIONS`.
        terms: seconds in each term and model of the reward, by its name; part of ``sections["reward"]``.
        resumed: how many times the run was continued.
        threads: that torch had; 0 where that is not known.
    """

    frames: int = 0
    sections: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(SECTIONS, 0.0))
    terms: Mapping[str, float] = field(default_factory=dict)
    resumed: int = 0
    threads: int = 0

    @property
    def seconds(self) -> float:
        """All of it."""
        return sum(self.sections.values())

    @property
    def frames_per_second(self) -> float:
        """Global steps a second, 0 before the first."""
        return self.frames / self.seconds if self.frames else 0.0

    def then(self, more: Costs) -> Costs:
        """Return the costs of a run that cost this before it was interrupted and ``more`` after it was resumed."""
        names = dict.fromkeys((*self.terms, *more.terms))
        return Costs(
            self.frames + more.frames,
            {name: self.sections[name] + more.sections[name] for name in SECTIONS},
            {name: self.terms.get(name, 0.0) + more.terms.get(name, 0.0) for name in names},
            self.resumed + more.resumed + 1,
            more.threads,
        )


class CostMeter:
    """Measures what ``model.learn`` spends its time on, while the block lasts.

        with CostMeter(model) as meter:
            model.learn(100_000)
        print(meter.costs().sections)

    Methods of the model, its policy, environment, reward engine and rollout buffer are called through stopwatches, set on these
    objects alone and taken away at the end; outside of the block nothing is slower. Every moment counts for exactly one section,
    the innermost, so sections add up to the wall-clock time of the block. Training is the same to the bit, and `model.save` within
    the block writes what it always writes.

    Args:
        model: with its environment, wired or not.

    Raises:
        SettingsError: if the model has no environment.
    """

    def __init__(self, model: BaseAlgorithm) -> None:
        if model.env is None:
            raise SettingsError("The model has no environment, so it cannot learn: call model.set_env(env).")
        self._model = model
        self._surface = find_surface(model.env)
        # The environment from its outermost wrapper, and what the surface wraps, if there is one.
        self._worlds: list[Any] = [_within_normalization(model.env)]
        if self._surface is not None:
            self._worlds = [
                *(world for world in self._worlds if world is not self._surface),
                self._surface.venv,
            ]
        program = None if self._surface is None else self._surface.engine.program
        self._reader_names = () if program is None else (*program.term_names, *program.model_names)
        self._seconds = [0.0] * (len(SECTIONS) + len(self._reader_names))
        self._current = SECTIONS.index("other")
        self._since = 0.0
        self._frames = 0
        self._running: ExitStack | None = None

    def __enter__(self) -> Self:
        with ExitStack() as watches:
            for section, things in self._watched().items():
                for thing, method in things:
                    timed = self._timed(getattr(thing, method), SECTIONS.index(section))
                    watches.enter_context(_replaced(thing, method, timed))
            innermost = self._worlds[-1]
            watches.enter_context(_replaced(innermost, "step_wait", self._counted(innermost)))
            watches.enter_context(_saved_without_watches(self._model))
            if self._surface is not None:
                self._surface.engine.instrument(self._timed_term)
                watches.callback(self._surface.engine.instrument)
            self._running = watches.pop_all()
        self._since = perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        running = self._running
        assert running is not None  # noqa: S101  # the block was entered
        self._tick()
        self._running = None
        running.close()

    def costs(self) -> Costs:
        """Return what was spent so far; within the block too."""
        if self._running is not None:
            self._tick()
        sections = dict(zip(SECTIONS, self._seconds, strict=False))
        terms = dict(zip(self._reader_names, self._seconds[len(SECTIONS) :], strict=True))
        sections["reward"] += sum(terms.values())
        return Costs(self._frames, sections, terms, threads=torch.get_num_threads())

    def _watched(self) -> dict[str, list[tuple[Any, str]]]:
        """The methods behind each section. Evaluation goes through none of them, as it has its own environment and `predict`."""
        model, surface = self._model, self._surface
        watched: dict[str, list[tuple[Any, str]]] = {
            "environment": [
                (world, method) for world in self._worlds for method in ("step_async", "step_wait")
            ],
            "learner": [(model, "train")],
        }
        if surface is not None:
            watched["reward"] = [(surface, "step_async"), (surface, "step_wait")]
            if isinstance(surface, MeasuringVecEnv):
                watched["reward"] += [
                    (surface, "settle"),
                    (surface.engine, "pay"),
                    (surface.engine, "remeasure"),
                ]
        if isinstance(model, OnPolicyAlgorithm):
            watched["policy"] = [(model.policy, "forward"), (model.policy, "predict_values")]
            watched["learner"].append((model.rollout_buffer, "compute_returns_and_advantage"))
        else:
            watched["policy"] = [(model, "_sample_action")]
        return watched

    def _timed(self, function: Callable[..., Any], account: int) -> Callable[..., Any]:
        """``function``, on its account except for what it calls that has an account of its own."""
        seconds = self._seconds

        def call(*args: Any, **kwargs: Any) -> Any:
            outer = self._current
            now = perf_counter()
            seconds[outer] += now - self._since
            self._since = now
            self._current = account
            try:
                return function(*args, **kwargs)
            finally:
                now = perf_counter()
                seconds[account] += now - self._since
                self._since = now
                self._current = outer

        return call

    def _timed_term(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        return self._timed(method, len(SECTIONS) + self._reader_names.index(name))

    def _counted(self, world: VecEnv) -> Callable[..., Any]:
        step_wait, lanes = world.step_wait, world.num_envs

        def call() -> Any:
            self._frames += lanes
            return step_wait()

        return call

    def _tick(self) -> None:
        now = perf_counter()
        self._seconds[self._current] += now - self._since
        self._since = now


@contextmanager
def _replaced(thing: Any, method: str, stand_in: Callable[..., Any]) -> Iterator[None]:
    """Let ``thing`` alone have another method."""
    before = vars(thing).get(method)
    setattr(thing, method, stand_in)
    try:
        yield
    finally:
        delattr(thing, method)
        if before is not None:
            setattr(thing, method, before)


@contextmanager
def _saved_without_watches(model: BaseAlgorithm) -> Iterator[None]:
    """Keep `model.save` from pickling the methods that stand in."""
    excluded = model._excluded_save_params

    def exclude() -> list[str]:
        return [*excluded(), "train", "_sample_action", "_excluded_save_params"]

    with _replaced(model, "_excluded_save_params", exclude):
        yield


def _within_normalization(env: VecEnv) -> VecEnv:
    """The environment without VecNormalize, which is left alone: a callback may pickle it."""
    while isinstance(env, VecNormalize):
        env = env.venv
    return env
