"""Every algorithm on a shaped reward, from one call."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.vec_env import DummyVecEnv

from shapegym.agents.algorithms.registry import ALGORITHMS
from shapegym.agents.environments import make_vec_env
from shapegym.agents.errors import SettingsError
from shapegym.agents.factory import make_agent
from shapegym.agents.policies import policy_name, require_readable
from shapegym.agents.settings import resolve_settings
from shapegym.agents.threads import torch_threads
from shapegym.envs.registration import register_all
from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.errors import DiscountError
from shapegym.shaping.states.functions import Read
from shapegym.shaping.surfaces.wiring import engine_of
from shapegym.shaping.terms.potential import Potential
from shapegym.shaping.weights.blend import blend
from shapegym.shaping.weights.multipliers import constrained

register_all()

TINY = {
    "PPO": {"n_steps": 16, "batch_size": 32, "policy_kwargs": {"net_arch": [8]}},
    "RecurrentPPO": {
        "n_steps": 16,
        "batch_size": 32,
        "policy_kwargs": {"net_arch": [8], "lstm_hidden_size": 4},
    },
    "A2C": {"n_steps": 4, "policy_kwargs": {"net_arch": [8]}},
    "ConstrainedPPO": {"n_steps": 16, "batch_size": 32, "policy_kwargs": {"net_arch": [8]}},
    "TwoHeadPPO": {"n_steps": 16, "batch_size": 32, "policy_kwargs": {"net_arch": [8]}},
    "RAPID": {"n_steps": 16, "batch_size": 32, "policy_kwargs": {"net_arch": [8]}},
    "BARFI": {"n_steps": 16, "n_updates": 2, "warmup": 1, "policy_kwargs": {"net_arch": [8]}},
    **{
        algo: {
            "learning_starts": 20,
            "buffer_size": 500,
            "batch_size": 16,
            "policy_kwargs": {"net_arch": [8]},
        }
        for algo in ("DQN", "QRDQN", "SAC", "TD3")
    },
}
CONTINUOUS = "shapegym/PointMaze-v0"
REWARD = TaskReward() + 0.5 * Potential(Read("features.agent_pos[0]"))
REWARDS = {
    "BARFI": blend(TaskReward(), Potential(Read("features.agent_pos[0]")), initial=(1, 0.5)),
    "ConstrainedPPO": constrained(REWARD, {TaskReward(): 0.5}, every=2),
}
"""Rewards of the algorithms that learn their weights."""


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_every_algorithm_trains_on_a_shaped_reward(algo):
    env_id = CONTINUOUS if algo in ("SAC", "TD3") else "shapegym/Corridor-v0"
    with torch_threads(1):
        reward = REWARDS.get(algo, REWARD)
        model = make_agent(algo, env_id, reward, seed=1, num_envs=2, **TINY[algo])
        model.learn(200)
    assert type(model) is ALGORITHMS[algo]
    assert engine_of(model).clock >= 200
    assert engine_of(model).spec.gamma == model.gamma
    assert model.num_timesteps >= 200


def test_without_a_reward_the_model_is_plain():
    model = make_agent("A2C", make_vec_env("shapegym/Corridor-v0", 2), gamma=0.5)
    assert model.gamma == 0.5
    assert model.env.num_envs == 2


def test_the_seed_decides_everything():
    def run(seed):
        model = make_agent("PPO", "shapegym/Corridor-v0", REWARD, seed=seed, num_envs=2, **TINY["PPO"]).learn(
            64
        )
        return torch.cat([parameter.flatten() for parameter in model.policy.parameters()])

    with torch_threads(1):
        first = run(3)
        assert torch.equal(first, run(3))
        assert not torch.equal(first, run(4))


def test_settings_are_taken_and_overridden():
    settings = resolve_settings(
        "TD3", CONTINUOUS, {"num_envs": 2, "action_noise_std": 0.3, "buffer_size": 100}
    )
    model = make_agent("TD3", CONTINUOUS, settings=settings, gamma=0.9)
    assert (model.n_envs, model.gamma, model.buffer_size) == (2, 0.9, 100)
    assert isinstance(model.action_noise, NormalActionNoise)
    np.testing.assert_allclose(model.action_noise._sigma, 0.3)
    assert make_agent("TD3", CONTINUOUS, num_envs=1, action_noise_std=0, buffer_size=9).action_noise is None


@pytest.mark.parametrize(
    ("algo", "env", "overrides", "message"),
    [
        ("SAC", "shapegym/Corridor-v0", {}, r"needs Box actions.*Use PPO, A2C, RecurrentPPO, DQN, QRDQN"),
        ("DQN", CONTINUOUS, {}, r"needs Discrete actions.*SAC, TD3"),
        ("PPO", "shapegym/Corridor-v0", {"n_step": 4}, "Did you mean 'n_steps'"),
        ("PPO", "shapegym/Corridor-v0", {"num_envs": 1, "n_steps": 1}, "PPO with MlpPolicy rejects"),
        ("PPO", gym.make("CartPole-v1"), {}, "DummyVecEnv"),
        ("PPO", "shapegym/Corridor-v0", {"settings": resolve_settings("A2C")}, "for A2C, not for PPO"),
    ],
)
def test_what_does_not_fit_is_said(algo, env, overrides, message):
    with pytest.raises(SettingsError, match=message):
        make_agent(algo, env, **overrides)


def test_a_potential_with_another_discount_is_refused():
    with pytest.raises(DiscountError, match=r"gamma=0\.5"):
        make_agent(
            "A2C", "shapegym/Corridor-v0", Potential(Read("features.agent_pos[0]"), gamma=0.5), num_envs=1
        )


def test_a_vec_env_of_single_environments_works_too():
    model = make_agent("A2C", DummyVecEnv([lambda: gym.make("shapegym/Corridor-v0")]), REWARD, **TINY["A2C"])
    assert model.learn(20).num_timesteps == 20


def test_a_number_of_lanes_that_the_vec_env_does_not_have_is_refused():
    with pytest.raises(SettingsError, match="the VecEnv has 2 lanes"):
        make_agent("PPO", make_vec_env("shapegym/Corridor-v0", 2), num_envs=8)


class Blank(gym.Env):
    """Shows what its space has."""

    action_space = gym.spaces.Discrete(2)

    def __init__(self, observation_space):
        self.observation_space = observation_space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        return self.observation_space.sample(), 0.0, False, False, {}


VECTOR = gym.spaces.Box(-1, 1, (2,))
PIXELS = gym.spaces.Box(0, 255, (40, 40, 3), np.uint8)
SMALL_PIXELS = gym.spaces.Box(0, 255, (7, 7, 3), np.uint8)


@pytest.mark.parametrize(
    ("algo", "space", "policy"),
    [
        ("PPO", VECTOR, "MlpPolicy"),
        ("PPO", PIXELS, "CnnPolicy"),
        ("PPO", gym.spaces.Box(0, 255, (3, 40, 40), np.uint8), "CnnPolicy"),
        ("PPO", SMALL_PIXELS, "MlpPolicy"),
        ("DQN", gym.spaces.Dict(a=VECTOR, b=gym.spaces.Discrete(3)), "MultiInputPolicy"),
        ("RecurrentPPO", gym.spaces.Dict(a=VECTOR), "MultiInputLstmPolicy"),
    ],
)
def test_the_policy_reads_what_the_environment_shows(algo, space, policy):
    model = make_agent(
        algo, DummyVecEnv([lambda: Blank(space)] * 2), TaskReward(), **{**TINY[algo], "policy_kwargs": {}}
    )
    assert policy_name(model) == policy
    assert model.learn(20).num_timesteps >= 20


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (gym.spaces.Tuple((VECTOR, VECTOR)), "a Tuple cannot be the observation.*FlattenObservation"),
        (gym.spaces.Dict(a=gym.spaces.Dict(b=VECTOR)), "entry 'a'.*cannot be an entry of a Dict.*Flatten"),
        (gym.spaces.Dict(a=SMALL_PIXELS), "entry 'a'.*36 x 36 pixels|need 36 x 36"),
        (gym.spaces.Text(3), "arrays of a fixed shape.*TransformObservation"),
        (gym.spaces.Discrete(3, start=1), "count from 0.*Subtract 1"),
    ],
)
def test_observations_that_no_policy_reads_are_refused_with_what_to_do(space, message):
    with pytest.raises(SettingsError, match=message):
        require_readable("PPO", space)


def test_an_environment_with_nested_observations_is_refused_by_its_id():
    gym.register("Nested-v0", entry_point=lambda: Blank(gym.spaces.Dict(a=gym.spaces.Tuple((VECTOR,)))))
    try:
        with pytest.raises(SettingsError, match="entry 'a'"):
            make_agent("PPO", "Nested-v0")
    finally:
        del gym.registry["Nested-v0"]
