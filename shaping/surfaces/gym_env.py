"""The Gymnasium surface: one environment, each reward paid at its step."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import gymnasium as gym
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.utils import RecordConstructorArgs

from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.files.state_files import load_engine, save_engine
from shapegym.shaping.surfaces.collect import Collector, as_declaration, lane_features, write_lane
from shapegym.shaping.transitions import Spec
from shapegym.shaping.types import Expression


class ShapedEnv(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Pays the shaped reward of an expression instead of the task's; the task's own stays in ``info``.

    Every info gets ``task_reward``, ``shaped_reward`` and ``reward_parts`` (what each addend paid). The last one of an episode
    gets ``shaping_episode``: ``task_return``, ``shaped_return``, ``length``, ``success`` and ``parts``, the sum of each addend.

    Args:
        env: the environment. Features are read from its infos; declared ones (``env.features``) are checked at once.
        expression: the reward.
        gamma: the agent's discount, for potentials.
        seed: of the random choices that terms make.
        on_nonfinite: a NaN or infinite part is an error ("raise"), or counts as 0 with a warning ("zero").
        pay_at_end: allow episodic nodes, paying an episode's sum at its last step: late credit, so a different algorithm.

    Attributes:
        engine: the `RewardEngine`.

    Raises:
        HindsightError: if the expression is episodic and ``pay_at_end`` was not asked for.
        ShapingError: if a term cannot be measured on this environment.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        expression: Expression,
        *,
        gamma: float | None = None,
        seed: int = 0,
        on_nonfinite: Literal["raise", "zero"] = "raise",
        pay_at_end: bool = False,
    ) -> None:
        RecordConstructorArgs.__init__(
            self,
            expression=expression,
            gamma=gamma,
            seed=seed,
            on_nonfinite=on_nonfinite,
            pay_at_end=pay_at_end,
        )
        gym.Wrapper.__init__(self, env)
        features = as_declaration(
            env.get_wrapper_attr("features") if env.has_wrapper_attr("features") else None
        )
        spec = Spec(1, env.observation_space, env.action_space, features, gamma, seed)
        self.engine = RewardEngine(expression, spec, on_nonfinite=on_nonfinite, pay_at_end=pay_at_end)
        self.engine.require_online("ShapedEnv")
        self._collector = Collector(self.engine)
        self._lane = np.ones(1, dtype=bool)
        self._started = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode.

        Raises:
            FeatureError: if a potential reads a feature that the first info lacks.
        """
        obs, info = self.env.reset(seed=seed, options=options)
        collector = self._collector
        features = lane_features(info, collector.names_before, "reset")
        collector.begin_lane(0, obs)
        collector.begin_features(features, self._lane)
        self._started = True
        return obs, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Advance by one step.

        Raises:
            ResetNeeded: before the first reset.
            FeatureError: if a term reads a feature that the info lacks.
            NonFiniteError: for a NaN or infinite part, if ``on_nonfinite="raise"``.
        """
        if not self._started:
            raise ResetNeeded("Call reset() before step().")
        obs, reward, terminated, truncated, info = self.env.step(action)
        collector = self._collector
        transitions = collector.advance()
        write_lane(transitions.next_obs, 0, obs)
        write_lane(transitions.action, 0, action)
        transitions.reward[0] = reward
        transitions.terminated[0] = terminated
        transitions.truncated[0] = truncated
        collector.keep(lane_features(info, collector.names, "a step"))
        shaped, contributions, records = self.engine.step(transitions)
        transitions.first[0] = terminated or truncated
        paid = float(shaped[0])
        info = {
            **info,
            "task_reward": float(reward),
            "shaped_reward": paid,
            "reward_parts": dict(zip(self.engine.addends, contributions[:, 0].tolist(), strict=True)),
        }
        if records:
            info["shaping_episode"] = records[0].as_info()
        return obs, paid, terminated, truncated, info

    def save(self, path: str | Path) -> None:
        """Save what the terms remember; see `shapegym.shaping.files.state_files`."""
        save_engine(self.engine, path)

    def load(self, path: str | Path) -> None:
        """Continue from `save`; then reset, because a file holds no environment.

        Raises:
            StateFileError: if the file is corrupt or belongs to another expression; nothing has changed.
        """
        load_engine(self.engine, path)
        self._started = False
