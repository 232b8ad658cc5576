"""A rollout of random steps over states that recur, as a rollout buffer has it paid: judged, learned from, measured."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from stream_reference import random_stream

from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.transitions import Spec, Transitions
from shapegym.shaping.types import Expression


@dataclass
class Rollout:
    """What was paid, and for what: (T, B, ...) arrays."""

    parts: dict[str, np.ndarray]
    models: dict[str, Any]
    """What models remembered before."""
    before: np.ndarray
    after: np.ndarray
    first: np.ndarray
    active: np.ndarray

    def codes(self, model: str) -> list[np.ndarray]:
        """What the encoder of a model made of s_t and of s_{t+1}, (T, B, 3) each."""
        return [
            self.models[model].evaluate("encoder", rows.reshape(-1, 3).astype(np.float32)).reshape(rows.shape)
            for rows in (self.before, self.after)
        ]


def rollout(expression: Expression, *, steps: int = 40, lanes: int = 3, seed: int = 0) -> Rollout:
    """Return what an expression pays on states of three whole numbers, in episodes of about ten steps, with idle rows."""
    spec = Spec(lanes, gym.spaces.Box(-9.0, 9.0, (3,)), gym.spaces.Discrete(2), gamma=0.9)
    engine = RewardEngine(expression, spec, learn_every=None)
    models = dict(zip(engine.program.model_names, copy.deepcopy(engine.memories), strict=True))
    stream = random_stream(seed, steps, lanes, end=0.1, idle=0.1)
    at_once = []
    for step in stream:
        step.obs, step.next_obs = np.round(step.obs), np.round(step.next_obs)
        facts = (step.reward, step.terminated, step.truncated, step.first, step.active)
        at_once.append(engine.measure(Transitions(step.obs, step.action, step.next_obs, *facts)).copy())
    parts = engine.learn() if engine.waits else np.stack(at_once, axis=1)
    columns = (
        np.stack([getattr(step, name) for step in stream]) for name in ("obs", "next_obs", "first", "active")
    )
    return Rollout(dict(zip(engine.term_names, parts, strict=True)), models, *columns)


def paid_walk(expression: Expression, states: Any) -> np.ndarray:
    """Return what one lane is paid, (T,), for walking over T + 1 states, or over as many cells, one-hot, in one episode."""
    if np.ndim(states) == 1:
        states = np.eye(max(states) + 1)[states]
    engine = RewardEngine(
        expression, Spec(1, gym.spaces.Box(-np.inf, np.inf, states.shape[1:]), gym.spaces.Discrete(2))
    )
    no = np.zeros(1, dtype=bool)
    paid = []
    for t in range(len(states) - 1):
        facts = (np.zeros(1), no, no, no | (t == 0), ~no)
        step = Transitions(states[t : t + 1], np.zeros(1, int), states[t + 1 : t + 2], *facts)
        paid.append(engine.measure(step)[-1, 0])
    return np.array(paid)
