"""The demonstration as data: two sparse tasks, four rewards each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shapegym.experiments.potentials import deep_sea_lag, doorkey_progress
from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.terms.counts import CountBonus
from shapegym.shaping.terms.events import Compare, Event
from shapegym.shaping.terms.potential import Potential
from shapegym.shaping.types import Expression

COLOURS = {"sparse": "#7a7a7a", "potential": "#0072b2", "count": "#009e73", "misleading": "#d55e00"}
"""Distinct to colour-blind eyes (Okabe & Ito 2008)."""

PICKED_UP = 5
"""Event id of grid worlds: "you pick up an object"."""


@dataclass(frozen=True)
class DemoTask:
    """A task, and the rewards that are compared on it."""

    name: str  # short name
    title: str  # for people
    trap: str  # what the misleading bonus pays for, as a title
    env_id: str  # the environment
    steps: int  # budget of a run
    strategies: Mapping[str, Expression]  # name -> reward
    labels: Mapping[str, str]  # name -> what it is, for legends
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)  # arguments of the environment
    settings: Mapping[str, Any] = field(default_factory=dict)  # PPO's settings that differ from the table's


TASK = TaskReward()

DOORKEY = DemoTask(
    name="doorkey",
    title="MiniGrid DoorKey 6x6",
    trap="Misleading: a bonus for picking up the key",
    env_id="shapegym/MiniGrid-DoorKey-6x6-v0",
    steps=80_000,
    strategies={
        "sparse": TASK,
        "potential": TASK + 0.2 * Potential(doorkey_progress),
        "count": TASK + CountBonus("obs", beta=0.02),
        "misleading": TASK + Event("features.event", 0.3, equals=PICKED_UP),
    },
    labels={
        "sparse": "task reward only",
        "potential": "+ potential",
        "count": "+ count bonus",
        "misleading": "+ misleading bonus",
    },
    settings={"learning_rate": 1e-3},
)

DEEP_SEA = DemoTask(
    name="deep_sea",
    title="DeepSea, 14 x 14",
    trap="Misleading: a bonus for staying at the left edge",
    env_id="shapegym/DeepSea-v0",
    steps=150_000,
    strategies={
        "sparse": TASK,
        "potential": TASK + 0.5 * Potential(deep_sea_lag),
        "count": TASK + CountBonus("features.state", beta=0.1),
        "misleading": TASK + 0.1 * Compare("features.agent_pos[1]", "==", 0.0),
    },
    labels=DOORKEY.labels,
    env_kwargs={"size": 14},
    settings={"num_envs": 32, "n_steps": 40, "batch_size": 320},
)

TASKS = (DOORKEY, DEEP_SEA)
