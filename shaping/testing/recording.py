"""Recorded experience for the compliance checks: an expression, and the transitions of an environment under random actions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from shapegym.shaping.arrays import join_rows, stack_members
from shapegym.shaping.errors import FeatureError, suggest
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.states.names import names_in, path_in, value_in
from shapegym.shaping.transitions import Experience, Spec, Transitions
from shapegym.shaping.tree import models_of
from shapegym.shaping.types import Expression
from shapegym.texts import Text

LEARN_EVERY = 16
"""Steps between two fits in these checks."""

_EXACT: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-12}
ROUNDED: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-5}
"""How far the outputs of models may differ with the size of a batch."""


@dataclass(frozen=True)
class Bench:
    """What is checked, and on what."""

    expression: Expression
    spec: Spec
    stream: list[Transitions]
    reads_models: bool

    @classmethod
    def of(
        cls, expression: Expression, env: str | Callable[[], gym.Env[Any, Any]], **recording: Any
    ) -> Bench:
        """Record for a check; keywords as `record`."""
        spec, stream = record(expression, env, **recording)
        return cls(expression, spec, stream, bool(models_of(expression)))

    def engine(self, **changes: Any) -> RewardEngine:
        """Return a fresh engine; keywords as `RewardEngine`."""
        return RewardEngine(
            self.expression, self.spec, **{"pay_at_end": True, "learn_every": LEARN_EVERY} | changes
        )

    def pay(self, engine: RewardEngine, stream: Sequence[Transitions]) -> np.ndarray:
        """Return the shaped rewards of a stream, (T, B)."""
        return np.stack([engine.step(transitions)[0] for transitions in stream])

    def close(self, left: Any, right: Any) -> bool:
        """To the rounding of sums, or of models if some are read."""
        return bool(np.allclose(left, right, **(ROUNDED if self.reads_models else _EXACT)))

    def same(self, left: Any, right: Any) -> bool:
        """To the last bit, unless a model is read."""
        return self.close(left, right) if self.reads_models else np.array_equal(left, right)

    @property
    def experience(self) -> Experience:
        """The stream as a block."""
        counts = np.cumsum([0, *(int(step.active.sum()) for step in self.stream[:-1])])
        return Experience(join_rows(np.stack, self.stream), counts)

    @property
    def batch(self) -> Transitions:
        """All rows of the stream at once."""
        return join_rows(np.concatenate, self.stream)


def record(
    expression: Expression,
    env: str | Callable[[], gym.Env[Any, Any]],
    *,
    lanes: int,
    steps: int,
    gamma: float | None = None,
    seed: int = 0,
    worlds: tuple[int, ...] = (),
) -> tuple[Spec, list[Transitions]]:
    """Return the transitions that random actions cause, with a row that is no transition after each episode, and their spec."""
    envs = [gym.make(env) if isinstance(env, str) else env() for _ in range(lanes)]
    space, actions = envs[0].observation_space, envs[0].action_space
    declared = envs[0].get_wrapper_attr("features") if envs[0].has_wrapper_attr("features") else None
    spec = Spec(lanes, space, actions, declared, gamma, seed, worlds=worlds)
    engine = RewardEngine(expression, spec, pay_at_end=True)
    before, after = engine.reads_before, tuple(dict.fromkeys((*engine.reads, *engine.reads_before)))
    actions.seed(seed)
    starts = [one.reset(seed=seed + lane) for lane, one in enumerate(envs)]
    obs = stack_members(space, [start[0] for start in starts])
    features = _features([start[1] for start in starts], before)
    first, active = np.ones(lanes, dtype=bool), np.ones(lanes, dtype=bool)
    stream = []
    for _ in range(steps):
        chosen = [actions.sample() for _ in envs]
        results = [
            one.step(action) if goes_on else _reset_as_step(one)
            for one, action, goes_on in zip(envs, chosen, active, strict=True)
        ]
        next_obs, reward, terminated, truncated, infos = zip(*results, strict=True)
        transitions = Transitions(
            obs=obs,
            action=stack_members(actions, chosen),
            next_obs=stack_members(space, next_obs),
            reward=np.array(reward, dtype=np.float64),
            terminated=np.array(terminated),
            truncated=np.array(truncated),
            first=first,
            active=active,
            features=features,
            next_features=_features(infos, after),
        )
        if engine.previous:
            engine.previous.add_to(transitions)
        stream.append(transitions)
        obs, features = transitions.next_obs, {name: transitions.next_features[name] for name in before}
        first, active = ~active, ~(transitions.terminated | transitions.truncated)
    return spec, stream


def _reset_as_step(env: gym.Env[Any, Any]) -> tuple[Any, float, bool, bool, dict[str, Any]]:
    obs, info = env.reset()
    return obs, 0.0, False, False, info


def _read(value: Any) -> np.ndarray:
    return value.row if isinstance(value, Text) else np.asarray(value)


def _features(infos: Sequence[dict[str, Any]], names: Sequence[str]) -> dict[str, np.ndarray]:
    for name in names:
        if any(path_in(info, name) is None for info in infos):
            raise FeatureError(
                f"The feature {name!r} is not in every info.{suggest(name, names_in(infos[0]))}"
            )
    return {name: np.stack([_read(value_in(info, name)) for info in infos]) for name in names}
