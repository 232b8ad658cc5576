"""What can be asked of subgoals, as data: who lays them out, how they are shown, and how often they are wrong or hidden."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

Showing = Literal["relative", "representation", "language"]

PUBLISHED: Mapping[tuple[str, str], Mapping[str, float]] = {
    ("KeyCorridorS3R3", "representation"): {"Llama": 0.985, "DeepSeek": 0.906, "Qwen": 0.996},
    ("KeyCorridorS6R3", "representation"): {"Llama": 0.932, "DeepSeek": 0.762, "Qwen": 0.959},
    ("ObstructedMaze-1Dlh", "representation"): {"Llama": 0.989, "DeepSeek": 0.739, "Qwen": 0.742},
    ("ObstructedMaze-1Dlhb", "representation"): {"Llama": 0.486, "DeepSeek": 0.518, "Qwen": 0.482},
    ("MultiRoom-N2-S4", "representation"): {"Llama": 0.930, "DeepSeek": 0.273, "Qwen": 0.559},
    ("MultiRoom-N4-S5", "representation"): {"Llama": 0.548, "DeepSeek": 0.175, "Qwen": 0.352},
    ("KeyCorridorS3R3", "relative"): {"Llama": 0.974, "DeepSeek": 0.334, "Qwen": 0.981},
    ("KeyCorridorS6R3", "relative"): {"Llama": 0.914, "DeepSeek": 0.365, "Qwen": 0.881},
    ("MultiRoom-N4-S5", "relative"): {"Llama": 0.540, "DeepSeek": 0.129, "Qwen": 0.360},
}
"""(task, way of showing) -> model -> share of subgoals that were right, as measured by Ruiz-Gonzalez et al. (2024)."""


@dataclass(frozen=True)
class Guidance:
    """The option `subgoals` of grid worlds.

    Attributes:
        teacher: "oracle" for the planner's plan, "none" for no subgoals (what an agent that has learned with a teacher sees
            without it), or the path of a file of plans that somebody was asked for (`recorded.py`).
        show: "relative", "representation" or "language" (`showing.py`).
        accuracy: The probability that a subgoal is right; `PUBLISHED` has those of some language models.
        mean: Cells by which a wrong place is off on average, of "relative".
        spread: Their standard deviation. (2.57 and 2.54 are DeepSeek's on KeyCorridorS3R3.)
        hidden: The share of episodes whose subgoals are not shown, though they are reached and paid as ever: so that the agent
            learns to do without.
        seed: Whose mistakes; another teacher of the same accuracy errs elsewhere.

    Raises:
        TypeError, ValueError: A value is none of these.
    """

    teacher: str = "oracle"
    show: Showing = "relative"
    accuracy: float = 1.0
    mean: float = 2.57
    spread: float = 2.54
    hidden: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.teacher, str) or not self.teacher:
            raise TypeError(f"subgoals: teacher must be 'oracle', 'none' or a file, got {self.teacher!r}")
        if self.show not in get_args(Showing):
            raise ValueError(f"subgoals: show must be one of {get_args(Showing)}, got {self.show!r}")
        for name, most in (("accuracy", 1.0), ("hidden", 1.0), ("mean", 1e6), ("spread", 1e6)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
                raise ValueError(f"subgoals: {name} must be a number from 0 to {most:g}, got {value!r}")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or not 0 <= self.seed < 2**63:
            raise ValueError(f"subgoals: seed must be an integer that is not negative, got {self.seed!r}")

    def __str__(self) -> str:
        return json.dumps({item.name: getattr(self, item.name) for item in fields(self)}, sort_keys=True)


def guidance_of(asked: str | Mapping[str, Any] | Guidance) -> Guidance:
    """Read the option: a `Guidance`, its fields, or a teacher alone.

    Raises:
        TypeError, ValueError: It is none; says what there is.
    """
    if isinstance(asked, Guidance):
        return asked
    if isinstance(asked, str | Path):
        return Guidance(str(asked))
    known = [item.name for item in fields(Guidance)]
    if not isinstance(asked, Mapping) or not set(asked) <= set(known):
        raise TypeError(f"subgoals must be a teacher, or some of {known} with values, got {asked!r}")
    return Guidance(**asked)
