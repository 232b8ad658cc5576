"""Episodes of random actions, with what the task and the reward paid for each step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from shapegym.experiments.audit.shares import Shares, recorded_shares
from shapegym.shaping.audit.rollouts import Rollouts
from shapegym.shaping.surfaces.gym_env import ShapedEnv
from shapegym.shaping.types import Expression, is_episodic

_MOST_STEPS = 200_000
"""After so many, the recording stops, in the middle of an episode if need be."""


@dataclass(frozen=True, eq=False)
class Recording:
    """Recorded episodes."""

    rollouts: Rollouts  # with the rewards "task", "shaped" and their difference "shaping"
    shares: Shares  # who paid


def record(env: gym.Env, expression: Expression, gamma: float, episodes: int, seed: int) -> Recording:
    """Play random actions.

    Raises:
        ShapingError: the reward does not fit the environment, or no episode finishes.
    """
    shaped = ShapedEnv(env, expression, gamma=gamma, seed=seed, pay_at_end=is_episodic(expression))
    shaped.action_space.seed(seed)
    obs, info = shaped.reset(seed=seed)
    names = shaped.engine.addends[: shaped.engine.program.num_paid]
    rows: list[tuple[NDArray[Any], NDArray[Any], float, float, bool, bool]] = []
    returns: list[float] = []
    sums: list[dict[str, float]] = []
    sizes: dict[str, float] = {}
    here = _numbers(env, obs, info)
    while len(returns) < episodes and len(rows) < _MOST_STEPS:
        obs, paid, terminated, truncated, info = shaped.step(shaped.action_space.sample())
        after = _numbers(env, obs, info)
        rows.append(
            (here, after, info["task_reward"], paid, bool(terminated), bool(truncated and not terminated))
        )
        for name in names:
            part = info["reward_parts"][name]
            sizes[name] = sizes.get(name, 0.0) + abs(part)
        here = after
        if terminated or truncated:
            returns.append(info["shaping_episode"]["task_return"])
            sums.append({name: info["shaping_episode"]["parts"][name] for name in names})
            obs, info = shaped.reset()
            here = _numbers(env, obs, info)
    before, behind, task, total, ends, cuts = (np.array(column) for column in zip(*rows, strict=True))
    rollouts = Rollouts.of(
        before, behind, {"task": task, "shaped": total, "shaping": total - task}, ends, cuts
    )
    shares = recorded_shares("random", returns, sums, "step", sizes)
    return Recording(rollouts, shares)


def _numbers(env: gym.Env, obs: Any, info: dict[str, Any]) -> NDArray[np.float64]:
    """All numbers that an agent or a reward could read of a state: the observation and the declared features."""
    declared = env.get_wrapper_attr("features") if env.has_wrapper_attr("features") else {}
    entries = list(obs.values()) if isinstance(obs, dict) else [obs]
    entries += [info[name] for name in declared if name in info and name not in ("event", "success")]
    arrays = [np.asarray(entry) for entry in entries]
    return np.concatenate(
        [array.ravel().astype(np.float64) for array in arrays if array.dtype.kind in "biuf"]
    )
