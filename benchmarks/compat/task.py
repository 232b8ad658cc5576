"""What every tool is held to: CartPole with a potential, and in NumPy what each of its steps must pay."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

import shapegym as sg

GAMMA = 0.99
REWARD = sg.TaskReward() + 0.5 * sg.Potential("obs[2]", gamma=GAMMA)


def make() -> gym.Env[Any, Any]:
    """Return the shaped task."""
    return sg.ShapedEnv(gym.make("CartPole-v1"), REWARD, gamma=GAMMA)


def paid(obs: np.ndarray, next_obs: np.ndarray, terminated: np.ndarray) -> np.ndarray:
    """Return what steps pay, (N,): 1 and half of what the potential, the pole's angle, gained (Ng, Harada & Russell 1999)."""
    after = np.where(np.asarray(terminated, dtype=bool).reshape(-1), 0.0, next_obs.reshape(-1, 4)[:, 2])
    return 1.0 + 0.5 * (GAMMA * after - obs.reshape(-1, 4)[:, 2])


def require_paid(tool: str, rewards: Any, obs: Any, next_obs: Any, terminated: Any) -> None:
    """Print how many steps a tool stored; exit with a message if one of them is not what `paid` says."""
    got = np.asarray(rewards, dtype=np.float64).reshape(-1)
    wanted = paid(np.asarray(obs), np.asarray(next_obs), np.asarray(terminated))
    wrong = int((np.abs(got - wanted) > 1e-5).sum())
    if wrong or len(got) != len(wanted) or not len(got):
        raise SystemExit(
            f"{tool}: {wrong} of {len(got)} stored rewards are not the shaped ones ({len(wanted)} expected)."
        )
    print(f"{tool}: {len(got)} stored rewards, all as the expression says")
