"""An environment and a reward of your own: say in ``info`` what can be measured, and write the reward over that.

A robot fetches water from a well and pours it over a plant. The task pays 1 at the end and nothing on the way; the potential says
how far there is to go. Run it: python examples/own_environment.py
"""

import gymnasium as gym
import numpy as np

import shapegym as sg

LAST = 11  # row and column
WELL, PLANT = np.array([0, LAST]), np.array([LAST, 0])
MOVES = np.array([[0, 1], [0, -1], [1, 0], [-1, 0]])


class Watering(gym.Env):
    """The garden. Declared ``features`` are checked when a reward is bound; undeclared ones with the first infos."""

    def __init__(self):
        self.observation_space, self.action_space = gym.spaces.Box(0, 1, (3,)), gym.spaces.Discrete(4)
        self.features = {"agent_pos": gym.spaces.Box(0, LAST, (2,), np.int64)}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.pos, self.water = self.np_random.integers(0, LAST + 1, 2), False
        return self._obs(), {"agent_pos": self.pos}

    def step(self, action):
        self.pos = np.clip(self.pos + MOVES[action], 0, LAST)
        self.water |= bool((self.pos == WELL).all())
        done = self.water and bool((self.pos == PLANT).all())
        return self._obs(), float(done), done, False, {"agent_pos": self.pos, "success": done}

    def _obs(self):
        return np.array([*self.pos / LAST, self.water], np.float32)


gym.register("Watering-v0", Watering, max_episode_steps=100, disable_env_checker=True)


@sg.state_function(reads=("agent_pos",))
def way_left(obs, features):
    """Minus the steps that are left: from arrays with a leading lane axis, one number a lane."""
    to_well, to_plant = (np.abs(features["agent_pos"] - goal).sum(axis=1) for goal in (WELL, PLANT))
    return -np.where(obs[:, 2] == 1, to_plant, to_well + 2 * LAST)


def main(steps=40_000, episodes=100):
    """Train without and with the potential, and judge both by the task."""
    reward = sg.TaskReward() + 0.1 * sg.Potential(way_left)  # sg.guarantee_of(reward): keeps optimal policies
    for name, paid in (("task reward alone", sg.TaskReward()), ("with the potential", reward)):
        model = sg.make_agent("PPO", "Watering-v0", paid, seed=0, learning_rate=1e-3).learn(steps)
        judged = sg.evaluate(model, "Watering-v0", episodes=episodes, deterministic=False)
        print(f"{name}: {judged.success_rate:.0%} of the episodes end with a watered plant")


if __name__ == "__main__":
    main()
