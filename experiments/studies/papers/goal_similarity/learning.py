"""What PPO learns on MiniGrid's DoorKey, paid beside the task for captions that are like the mission."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from shapegym.agents.environments import make_vec_env
from shapegym.agents.evaluation import evaluate
from shapegym.agents.factory import make_agent
from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.similarity.encoder import Encoder
from shapegym.shaping.similarity.goal import GoalSimilarity
from shapegym.shaping.terms.counts import CountBonus
from shapegym.shaping.terms.goals import StateReward
from shapegym.shaping.types import Expression

ENV = "shapegym/MiniGrid-DoorKey-6x6-v0"
WEIGHT, GAMMA = 0.1, 0.99
STEPS, CHECKS = 96_000, 8
LANES = 16

FIRST = CountBonus("features.caption", exponent=math.inf, scope="episode")
"""1 for what is said for the first time in the episode."""


class Run(NamedTuple):
    """A training run."""

    reward: str
    encoder: Encoder
    seed: int
    steps: int


def rewards(encoder: Encoder) -> dict[str, Expression]:
    """Return what each agent is trained on."""
    near = GoalSimilarity("features.mission", encoder=encoder)
    return {
        "task": TaskReward(),
        "similarity": TaskReward() + WEIGHT * StateReward(near) * FIRST,
        "any caption": TaskReward() + WEIGHT * FIRST,
    }


def successes(run: Run) -> list[float]:
    """Return the success rate over 50 episodes at `CHECKS` points of training."""
    lanes = make_vec_env(ENV, LANES, seed=run.seed, features=("caption", "mission"))
    model = make_agent(
        "PPO", lanes, rewards(run.encoder)[run.reward], seed=run.seed, gamma=GAMMA, batch_size=256, n_epochs=4
    )
    found = []
    for _ in range(CHECKS):
        model.learn(run.steps // CHECKS, reset_num_timesteps=False)
        played = evaluate(model, ENV, 50, seed=10_000 + run.seed, deterministic=False)
        found.append(float(played.success_rate or 0.0))
    return found


def steps_to(rates: list[float], steps: int, enough: float = 0.8) -> float:
    """Return the environment steps to the first check with that success rate; infinite if there is none."""
    reached = np.flatnonzero(np.array(rates) >= enough)
    return float((reached[0] + 1) * (steps // CHECKS)) if reached.size else math.inf
