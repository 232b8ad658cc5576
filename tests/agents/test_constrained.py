"""Constrained PPO: heads that add up to one critic, exact resume, parts held where they should be."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import DummyVecEnv

from shapegym.agents.algorithms.constrained import ConstrainedPPO
from shapegym.agents.callbacks import ShapingCallback
from shapegym.agents.checkpoint import load_checkpoint, save_checkpoint
from shapegym.agents.environments import make_vec_env
from shapegym.agents.errors import SettingsError
from shapegym.agents.factory import make_agent
from shapegym.agents.threads import torch_threads
from shapegym.envs.registration import register_all
from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.states.functions import Read
from shapegym.shaping.surfaces.sb3_rollout import ShapedRolloutBuffer
from shapegym.shaping.surfaces.wiring import engine_of, wire
from shapegym.shaping.terms.goals import StateReward
from shapegym.shaping.weights.bandit import UCB1, choose_by
from shapegym.shaping.weights.multipliers import Multiplier, constrained

register_all()

TASK = TaskReward()
STATE = StateReward(Read("features.state"))
TINY = {"n_steps": 16, "batch_size": 16, "n_epochs": 2, "policy_kwargs": {"net_arch": [8]}}


def corridor(seed: int | None = None):
    return make_vec_env("shapegym/Corridor-v0", 2, seed=seed, length=5, slip=0.2, max_steps=7)


def parameters(model) -> torch.Tensor:
    return torch.cat([value.flatten() for value in model.policy.state_dict().values()])


def test_advantages_of_the_heads_add_up_to_those_of_one_critic():
    """With weights that stand still, sum_k w_k A_k is the advantage that SB3 computes from the mixed values and rewards."""
    reward = constrained(TASK, {STATE: 1.0}, "at_least", every=10**9, start=0.4) + 0.3 * STATE
    with torch_threads(1):
        model = make_agent("ConstrainedPPO", corridor(seed=0), reward, seed=0, **TINY)
        model.learn(64)
        seen = []
        credit = model._credit
        model._credit = lambda: (seen.append(model.rollout_buffer.advantages.copy()), credit())
        model.learn(64, reset_num_timesteps=False)
    assert model.policy.num_parts == 3
    weights = model.policy.head_weights.numpy()
    weight = Multiplier(STATE, 1.0, "at_least").weight(0.4)
    np.testing.assert_allclose(weights, [1 - weight, weight, 1.0], rtol=1e-6)
    buffer = model.rollout_buffer  # flattened by the update: (lanes * steps, heads)
    by_head = (buffer.returns - buffer.values).reshape(2, 16, 3).swapaxes(0, 1)
    assert model._cuts.found  # an episode was truncated
    np.testing.assert_allclose(by_head @ weights, seen[-1], rtol=1e-4, atol=1e-5)
    standardised = (by_head - by_head.mean((0, 1))) / by_head.std((0, 1))
    np.testing.assert_allclose(
        buffer.advantages.reshape(2, 16).T, standardised @ weights, rtol=1e-3, atol=1e-4
    )


def test_a_resumed_run_repeats_the_uninterrupted_one(tmp_path):
    reward = constrained(TASK, {STATE: 1.0}, every=3)
    with torch_threads(1):
        whole = make_agent("ConstrainedPPO", corridor(seed=4), reward, seed=4, **TINY)
        whole.learn(64)
        save_checkpoint(tmp_path / "half", whole)
        whole.learn(64, reset_num_timesteps=False)
        resumed = load_checkpoint(tmp_path / "half", corridor(), reward)
        resumed.learn(64, reset_num_timesteps=False)
    assert torch.equal(parameters(whole), parameters(resumed))
    assert engine_of(whole).states[-1]["mu"] == engine_of(resumed).states[-1]["mu"] != 0.0


@pytest.mark.parametrize("reward", [None, TASK + STATE])
def test_without_a_constrained_reward_it_says_what_to_do(reward):
    model = make_agent("ConstrainedPPO", corridor(seed=0), reward, seed=0, **TINY)
    with pytest.raises(SettingsError, match=r"constrained\(objective"):
        model.learn(64)


class Effort(gym.Env):
    """Ten steps of choosing an effort of 0, 0.5 or 1, which is what the task pays and, as a feature, what it costs."""

    observation_space = gym.spaces.Box(0, 1, (1,))
    action_space = gym.spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(1, np.float32), {"effort": 0.0}

    def step(self, action):
        self.steps += 1
        effort = float(action) / 2
        return np.zeros(1, np.float32), effort, self.steps == 10, False, {"effort": effort}


def trained(algorithm, reward) -> float:
    """The effort of an episode under the trained policy."""
    settings = {"n_steps": 40, "batch_size": 160, "n_epochs": 4, "learning_rate": 1e-2, "ent_coef": 0.1}
    envs = DummyVecEnv([Effort] * 4)
    model = algorithm("MlpPolicy", envs, gamma=0.9, seed=0, policy_kwargs={"net_arch": [8]}, **settings)
    wire(model, reward)
    with torch_threads(1):
        model.learn(8_000)
    with torch.no_grad():
        distribution = model.policy.get_distribution(torch.zeros(1, 1)).distribution
    return float(distribution.probs[0] @ torch.tensor([0.0, 0.5, 1.0])) * 10


def test_a_part_is_held_under_its_threshold_where_ppo_lets_it_go():
    effort = StateReward(Read("features.effort"))
    assert trained(PPO, TASK + 0.0 * effort) > 8.0
    held = constrained(TASK, {effort: 4.0}, "at_most", every=4, learning_rate=0.02)
    assert trained(ConstrainedPPO, held) == pytest.approx(4.0, abs=0.75)


def test_what_moves_is_logged():
    reward = constrained(TASK, {STATE: 1.0}, every=2) + choose_by(UCB1(2, period=20), STATE, 0.0)
    model = make_agent("ConstrainedPPO", corridor(seed=0), reward, seed=0, **TINY)
    logger = Logger(None, [])
    model.set_logger(logger)
    model.learn(32, callback=ShapingCallback(), log_interval=100)
    engine = engine_of(model)
    terms = dict(zip(engine.term_names, engine.states, strict=True))
    assert logger.name_to_value["shaping/now/ucb1"] == terms["ucb1"]["arm"]
    weight = Multiplier(STATE, 1.0, every=2).weight(terms["multiplier"]["mu"])
    assert logger.name_to_value["shaping/now/multiplier"] == pytest.approx(weight)
    assert logger.name_to_value["constraint/weight/state_reward"] == pytest.approx(-weight)


def test_rollouts_are_paid_as_for_any_agent():
    model = make_agent("ConstrainedPPO", corridor(seed=0), constrained(TASK, {STATE: 1.0}), seed=0, **TINY)
    assert isinstance(model.rollout_buffer, ShapedRolloutBuffer)
