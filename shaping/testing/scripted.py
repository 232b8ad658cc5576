"""A small environment that plays a fixed script, and the examples that every node gives of itself on it.

It shows every kind of observation, feature and episode end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from shapegym.shaping.files.schema import know_all_nodes
from shapegym.shaping.terms.output import ModelOutput
from shapegym.shaping.types import NODES, Example, Model, ObservationKind
from shapegym.texts import encode, text_space

GAMMA = 0.9
"""The discount of every example, for agents that train on one."""

SCRIPTED_FEATURES: dict[str, gym.Space] = {
    "agent_pos": spaces.Box(0, 4, (2,), np.int64),
    "goal_pos": spaces.Box(0, 4, (2,), np.int64),
    "progress": spaces.Box(0.0, 1.0, (), np.float64),
    "event": spaces.Discrete(4),
    "caption": text_space(24),
    "success": spaces.Box(0, 1, (), np.bool_),
    "limb": spaces.Dict(
        {"strain": spaces.Discrete(3), "joint": spaces.Dict({"angle": spaces.Box(-1.0, 1.0, (), np.float64)})}
    ),
}
"""What `ScriptedEnv` declares and gives in every info; one feature nests."""

_SPACES: dict[str, gym.Space] = {
    "box": spaces.Box(-1.0, 1.0, (3,), np.float32),
    "discrete": spaces.Discrete(7),
    "dict": spaces.Dict(
        {
            "observation": spaces.Box(-1.0, 1.0, (3,), np.float32),
            "achieved_goal": spaces.Box(-1.0, 1.0, (2,), np.float32),
            "desired_goal": spaces.Box(-1.0, 1.0, (2,), np.float32),
        }
    ),
}
_CAPTIONS = encode(("", "you take the key", "the door is locked", "you open the door"), 24)
"""Of each event."""

_LENGTHS = (1, 4, 2, 6, 3)
_ENDS = ((True, False), (False, True), (True, True))


@dataclass(frozen=True)
class Episode:
    """One scripted episode of T steps.

    Attributes:
        observations: T + 1 members of the observation space.
        features: T + 1 dicts.
        rewards: (T,).
        terminated: how it ends.
        truncated: how it ends; both may be true.
    """

    observations: tuple[Any, ...]
    features: tuple[dict[str, Any], ...]
    rewards: np.ndarray
    terminated: bool
    truncated: bool


def scripted_episode(observation: ObservationKind, lane: int, number: int) -> Episode:
    """Return episode ``number`` of a lane: lanes are out of phase, states recur, episodes end in every way, some after one step."""
    length = _LENGTHS[(lane + number) % len(_LENGTHS)]
    terminated, truncated = _ENDS[(2 * lane + number) % len(_ENDS)]
    numbers = np.random.default_rng([lane, number]).integers(0, 2**16, (length + 1, 10))
    vectors = ((numbers[:, :3] % 9 - 4) / 4).astype(np.float32)  # quarters: exact in float32, and seen again
    reached = ((numbers[:, 3:5] % 9 - 4) / 4).astype(np.float32)
    cells = numbers[:, 5:7] % 5
    members: dict[ObservationKind, Any] = {
        "box": vectors,
        "discrete": (numbers[:, 3] % 7).tolist(),
        "dict": [
            {"observation": vectors[t], "achieved_goal": reached[t], "desired_goal": reached[0]}
            for t in range(length + 1)
        ],
    }
    features = tuple(
        {
            "agent_pos": cells[t],
            "goal_pos": cells[0, ::-1].copy(),
            "progress": int(numbers[t, 7]) % 9 / 8,
            "event": int(numbers[t, 8]) % 4,
            "caption": _CAPTIONS[numbers[t, 8] % 4],
            "success": t == length and terminated and not truncated,
            "limb": {"strain": int(numbers[t, 8]) % 3, "joint": {"angle": int(numbers[t, 7]) % 9 / 4 - 1}},
        }
        for t in range(length + 1)
    )
    rewards = (numbers[:length, 9] % 4 - 1) / 2
    return Episode(tuple(members[observation]), features, rewards, terminated, truncated)


class ScriptedEnv(gym.Env[Any, Any]):
    """Plays `scripted_episode` after `scripted_episode`, whatever the actions.

    Args:
        observation: Box, Discrete, or the Dict of a goal-conditioned task.
        lane: which script.
        declare: whether ``features`` declares the features (they are in the infos anyway).
    """

    def __init__(self, observation: ObservationKind = "box", lane: int = 0, *, declare: bool = True) -> None:
        self.observation_space = _SPACES[observation]
        self.action_space = spaces.Discrete(3)
        self.features = SCRIPTED_FEATURES if declare else None
        self._observation: ObservationKind = observation
        self._lane = lane
        self._number = -1

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin the lane's next episode; a seed begins the one of that number."""
        super().reset(seed=seed)
        self._number = seed if seed is not None else self._number + 1
        self._episode = scripted_episode(self._observation, self._lane, self._number)
        self._t = 0
        return self._episode.observations[0], dict(self._episode.features[0])

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Play the next scripted step."""
        episode = self._episode
        self._t += 1
        last = self._t == len(episode.rewards)
        return (
            episode.observations[self._t],
            float(episode.rewards[self._t - 1]),
            last and episode.terminated,
            last and episode.truncated,
            dict(episode.features[self._t]),
        )

    def compute_reward(self, achieved_goal: np.ndarray, desired_goal: np.ndarray, info: Any) -> np.ndarray:
        """Return 1 where a virtual goal is reached, for hindsight relabelling."""
        return np.all(np.asarray(achieved_goal) == np.asarray(desired_goal), axis=-1).astype(np.float64)


def examples() -> dict[str, tuple[Example, ...]]:
    """Return expressions that show every registered node, by its name in reward files; a model is shown by its first output."""
    know_all_nodes()
    return {name: tuple(map(_as_expression, node.examples())) for name, node in sorted(NODES.items())}


def _as_expression(example: Example) -> Example:
    node = example.node
    return Example(ModelOutput(node), example.observation) if isinstance(node, Model) else example
