"""The Gymnasium surface: one environment, each reward paid at its step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Unpack

import gymnasium as gym
import numpy as np
from gymnasium.utils import RecordConstructorArgs
from gymnasium.wrappers import Autoreset

from shapegym.shaping.files.reward_files import as_record
from shapegym.shaping.surfaces.binding import Binding, BindingOptions
from shapegym.shaping.surfaces.collect import declared_features, lane_features
from shapegym.shaping.surfaces.intake import as_info, as_returned, one_flag, one_reward, write_lane
from shapegym.shaping.types import Expression


class ShapedEnv(Binding, gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Pays the shaped reward of an expression instead of the task's; the task's own stays in ``info``.

    Every info gets ``task_reward``, ``shaped_reward`` and ``reward_parts`` (what each addend paid). The last one of an episode
    gets ``shaping_episode``: ``task_return``, ``shaped_return``, ``length``, ``success`` (if the environment says) and ``parts``,
    the sum of each addend. An episode that is reset before its end has it in the info of that reset. Around Gymnasium's
    ``Autoreset`` the step that only resets is no transition and pays 0.

    Time limits belong inside, ``ShapedEnv(TimeLimit(env, ...), ...)``: outside, the end of an episode is not seen here.

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
        RecordConstructorArgs.__init__(self, expression=as_record(expression), **options)
        gym.Wrapper.__init__(self, env)
        spaces = env.observation_space, env.action_space
        self._bind(expression, options, 1, *spaces, declared_features(env))
        self._lane = np.ones(1, dtype=bool)
        self._resets_itself = any(isinstance(layer, Autoreset) for layer in _layers(env))
        self._ended = True

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode."""
        obs, info = as_returned(self.env.reset(seed=seed, options=options), "reset")
        info = as_info(info)
        if self._started and not self._ended:
            for record in self._abandon(self._lane):
                info = self._told(info, {"shaping_episode": record.as_info()})
        self._begin(obs, info)
        return obs, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Advance by one step."""
        self._require_reset()
        collector = self._collector
        transitions = collector.transitions
        write_lane(transitions.action, 0, action, "action")
        self._started = False
        obs, task, terminated, truncated, info = as_returned(self.env.step(action), "step")
        if self._ended and self._resets_itself:
            self._begin(obs, info)
            nothing = [0.0] * len(self.engine.addends)
            return obs, 0.0, terminated, truncated, self._paid_info(info, 0.0, 0.0, nothing)
        features = lane_features(info, collector.names, "a step")
        transitions.reward[0] = reward = one_reward(task)
        transitions.terminated[0] = one_flag(terminated, "terminated")
        transitions.truncated[0] = one_flag(truncated, "truncated")
        collector.advance(features)
        write_lane(transitions.next_obs, 0, obs)
        shaped, contributions, records = self.engine.step(transitions)
        transitions.first[0] = self._ended = bool(terminated or truncated)
        self._started = True
        paid = float(shaped[0])
        info = self._paid_info(as_info(info), reward, paid, contributions[:, 0].tolist())
        if records:
            info = self._told(info, {"shaping_episode": records[0].as_info()})
        return obs, paid, terminated, truncated, info

    def _begin(self, obs: Any, info: Any) -> None:
        features = lane_features(info, self._collector.names_before, "reset")
        self._collector.begin_lane(0, obs)
        self._collector.begin_features(features, self._lane)
        self._started, self._ended = True, False


def _layers(env: gym.Env[Any, Any]) -> Iterator[gym.Env[Any, Any]]:
    yield env
    while isinstance(env, gym.Wrapper):
        env = env.env
        yield env
