"""SuperSuit: its SB3 vector environment of a PettingZoo game, wired; and a shaped game inside it, paid at once."""

import numpy as np
import supersuit
from pettingzoo.classic.rps.rps import parallel_env
from stable_baselines3 import PPO

import shapegym as sg
from shapegym.shaping.surfaces.parallel_env import ShapedParallelEnv

reward = sg.TaskReward() + sg.CountBonus("obs", beta=0.1)


def lanes(game):
    """Return two games of two players as four lanes of an SB3 vector environment."""
    return supersuit.concat_vec_envs_v1(
        supersuit.pettingzoo_env_to_vec_env_v1(game), 2, base_class="stable_baselines3"
    )


model = PPO("MlpPolicy", lanes(parallel_env()), n_steps=32, batch_size=32)
sg.wire(model, reward)
model.learn(128)
settled = model.rollout_buffer.settled
bonus = settled.shaped - settled.task
assert model.rollout_buffer.rewards.shape == (32, 4)
assert (bonus > 0).all()
assert (bonus < 0.1 + 1e-9).all()
assert set(np.unique(settled.task)) <= {-1.0, 0.0, 1.0}
assert not [finding for finding in sg.check_wiring(model) if finding.severity == "error"]
print("supersuit, wired: the bonus lies in the rollout buffer")

venv = lanes(ShapedParallelEnv(parallel_env(), reward))
venv.reset()
for _ in range(20):
    _, rewards, _, _ = venv.step(np.array([venv.action_space.sample() for _ in range(4)]))
    assert (np.abs(rewards - np.round(rewards)) > 0).any()
PPO("MlpPolicy", venv, n_steps=32, batch_size=32).learn(128)
print("supersuit, shaped inside: trains on what the game pays")
