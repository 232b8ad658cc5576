"""The Gymnasium surface: one environment, each reward paid at its step."""

from __future__ import annotations

from typing import Any, Unpack

import gymnasium as gym
import numpy as np
from gymnasium.utils import RecordConstructorArgs

from shapegym.shaping.arrays import tree_write
from shapegym.shaping.surfaces.binding import Binding, BindingOptions
from shapegym.shaping.surfaces.collect import declared_features, lane_features
from shapegym.shaping.types import Expression


class ShapedEnv(Binding, gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Pays the shaped reward of an expression instead of the task's; the task's own stays in ``info``.

    Every info gets ``task_reward``, ``shaped_reward`` and ``reward_parts`` (what each addend paid). The last one of an episode
    gets ``shaping_episode``: ``task_return``, ``shaped_return``, ``length``, ``success`` and ``parts``, the sum of each addend.

    Args:
        env: the environment. Features are read from its infos; declared ones (``env.features``) are checked at once.
        expression: the reward.
        options: see `BindingOptions`.

    Raises:
        ShapingError: if the expression cannot be bound to this environment.
    """

    def __init__(
        self, env: gym.Env[Any, Any], expression: Expression, **options: Unpack[BindingOptions]
    ) -> None:
        RecordConstructorArgs.__init__(self, expression=expression, **options)
        gym.Wrapper.__init__(self, env)
        spaces = env.observation_space, env.action_space
        self._bind(expression, options, 1, *spaces, declared_features(env))
        self._lane = np.ones(1, dtype=bool)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode."""
        obs, info = self.env.reset(seed=seed, options=options)
        collector = self._collector
        features = lane_features(info, collector.names_before, "reset")
        collector.begin_lane(0, obs)
        collector.begin_features(features, self._lane)
        self._started = True
        return obs, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Advance by one step."""
        self._require_reset()
        obs, reward, terminated, truncated, info = self.env.step(action)
        collector = self._collector
        transitions = collector.advance(lane_features(info, collector.names, "a step"))
        tree_write(transitions.next_obs, 0, obs)
        tree_write(transitions.action, 0, action)
        transitions.reward[0] = reward
        transitions.terminated[0] = terminated
        transitions.truncated[0] = truncated
        shaped, contributions, records = self.engine.step(transitions)
        transitions.first[0] = terminated or truncated
        paid = float(shaped[0])
        info = self._paid_info(info, float(reward), paid, contributions[:, 0].tolist())
        if records:
            info["shaping_episode"] = records[0].as_info()
        return obs, paid, terminated, truncated, info
