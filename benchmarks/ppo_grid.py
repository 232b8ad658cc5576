"""What the environment costs PPO on DoorKey-8x8: `python benchmarks/ppo_grid.py`.

Three agents take turns at learning in one process: on our vector form, on the minigrid package under SB3's DummyVecEnv, and on
lanes that cost nothing. The last shows the most that any environment could give these settings.
"""

from __future__ import annotations

import argparse
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from gymnasium.wrappers import FlattenObservation
from racing import Contestant, Spread, machine, race, ratio, table, tell
from stable_baselines3 import PPO
from stable_baselines3.common import env_util
from stable_baselines3.common.vec_env import VecEnv

from shapegym import make_vec_env
from shapegym.agents.bridge import VectorEnvBridge

ENV_ID = "MiniGrid-DoorKey-8x8-v0"
NATIVE, ORIGINAL, FREE = "shapegym", "minigrid, DummyVecEnv", "free lanes"
HORIZON, EPOCHS, MINIBATCHES = 128, 4, 4


class FreeLanes(gym.vector.VectorEnv):
    """Lanes that return the same observations for ever and end no episode."""

    def __init__(self, lanes: int, observation_space: gym.Space, action_space: gym.Space) -> None:
        self.num_envs = lanes
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
        self.single_observation_space, self.single_action_space = observation_space, action_space
        self.observation_space = batch_space(observation_space, lanes)
        self.action_space = batch_space(action_space, lanes)
        self._observation = np.zeros(self.observation_space.shape, self.observation_space.dtype)
        self._reward, self._ended = np.zeros(lanes), np.zeros(lanes, np.bool_)

    def reset(self, *, seed=None, options=None) -> tuple[Any, dict[str, Any]]:
        return self._observation, {}

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        return self._observation, self._reward, self._ended, self._ended, {}


def original_lanes(lanes: int) -> VecEnv:
    """MiniGrid as SB3's users have it: a flat image under a Monitor, one lane after the other."""
    import minigrid  # noqa: F401  registers the ids
    from minigrid.wrappers import ImgObsWrapper

    return env_util.make_vec_env(
        ENV_ID, lanes, seed=0, wrapper_class=lambda env: FlattenObservation(ImgObsWrapper(env))
    )


def learner(name: str, venv: VecEnv) -> Contestant:
    """An agent whose batch step is a rollout and the update that follows."""
    frames = HORIZON * venv.num_envs
    model = PPO(
        "MlpPolicy",
        venv,
        n_steps=HORIZON,
        n_epochs=EPOCHS,
        batch_size=frames // MINIBATCHES,
        seed=0,
        device="cpu",
    )
    return Contestant(
        name, frames, lambda rollouts: model.learn(rollouts * frames, reset_num_timesteps=False)
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--lanes", type=int, default=256, help="of our form and of the free one")
    parser.add_argument("--original-lanes", type=int, default=16, help="of minigrid")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=4.0, help="of an agent's turn in a round")
    options = parser.parse_args()
    native = make_vec_env(f"shapegym/{ENV_ID}", options.lanes, seed=0, observation="flat")
    free = FreeLanes(options.lanes, native.observation_space, native.action_space)
    contestants = [
        learner(NATIVE, native),
        learner(ORIGINAL, original_lanes(options.original_lanes)),
        learner(FREE, VectorEnvBridge(free)),
    ]
    tell("learning: " + ", ".join(contestant.name for contestant in contestants))
    results = race(contestants, options.rounds, options.seconds)
    rows = []
    for contestant in contestants:
        name, lanes = contestant.name, contestant.frames // HORIZON
        faster = "" if name == NATIVE else ratio(results, NATIVE, name).text(2)
        rows.append((name, f"{lanes}", Spread.of(results[name]).text(), faster))
    print(
        machine("numpy", "numba", "torch", "stable_baselines3"),
        f"{torch.get_num_threads()} threads of torch (its own choice); MlpPolicy, rollouts of {HORIZON} steps, "
        f"{EPOCHS} epochs of {MINIBATCHES} minibatches. Medians [quartiles] of {options.rounds} rounds.\n",
        sep="; ",
    )
    print(table(("PPO on DoorKey-8x8", "lanes", "frames/s", "shapegym / this"), rows))


if __name__ == "__main__":
    main()
