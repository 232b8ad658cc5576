from copy import deepcopy

import numpy as np
import pytest
import torch
from sb3_reference import Walk, potential
from stable_baselines3 import DQN, SAC
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from stable_baselines3.her.her_replay_buffer import HerReplayBuffer

from shapegym.shaping.algebra import Constant, TaskReward
from shapegym.shaping.combinators.gate import gate
from shapegym.shaping.errors import HindsightError
from shapegym.shaping.states.distance import Distance
from shapegym.shaping.surfaces.wiring import wire
from shapegym.shaping.terms.potential import Potential
from shapegym.shaping.weights.dynamic_potential import DynamicPotential
from shapegym.shaping.weights.schedules import Linear

torch.set_num_threads(1)
GAMMA = 0.9
NEARER = TaskReward() + Potential(Distance("obs.achieved_goal", "obs.desired_goal", "l1"))
FADING = NEARER + Constant(1.0) * Linear(1.0, 0.0, 400)
SETTINGS = {
    "learning_starts": 80,
    "batch_size": 8,
    "buffer_size": 1000,
    "gamma": GAMMA,
    "seed": 0,
    "device": "cpu",
    "train_freq": 1,
    "policy_kwargs": {"net_arch": [4]},
    "replay_buffer_class": HerReplayBuffer,
    "replay_buffer_kwargs": {"n_sampled_goal": 4, "goal_selection_strategy": "future"},
}


def make_walks(count=2, **kwargs):
    walks = [Walk("dict", lane, **kwargs) for lane in range(count)]
    return walks, DummyVecEnv([lambda walk=walk: walk for walk in walks])


def make_model(venv, expression, algorithm=DQN, **kwargs):
    return wire(algorithm("MultiInputPolicy", venv, **deepcopy({**SETTINGS, **kwargs})), expression)


def expected(walks, data, bonus, env=None):
    """r(achieved', g) + gamma Phi(s', g) - Phi(s, g) + bonus in a plain loop, with the goal g that was sampled."""
    steps = {float(step.obs["observation"][1]): step for walk in walks for step in walk.log}
    obs = {key: value.numpy() for key, value in data.observations.items()}
    obs = obs if env is None else env.unnormalize_obs(obs)
    rewards, virtual = [], 0
    for number in range(len(data.rewards)):
        step = steps[min(steps, key=lambda key: abs(key - float(obs["observation"][number, 1])))]
        goal = round(float(obs["desired_goal"][number, 0]))
        virtual += goal != 5
        near, next_near = (
            -abs(step.obs["achieved_goal"][0] - goal),
            -abs(step.next_obs["achieved_goal"][0] - goal),
        )
        task = 1.0 if abs(step.next_obs["achieved_goal"][0] - goal) < 0.5 else -0.125
        rewards.append(task + (0.0 if step.terminated else GAMMA * next_near) - near + bonus)
    return np.array(rewards), virtual


@pytest.mark.parametrize("expression", [NEARER, FADING], ids=["pure", "moving"])
@pytest.mark.parametrize("algorithm", [DQN, SAC])
def test_virtual_goals_get_shaped_rewards_too(algorithm, expression):
    walks, venv = make_walks(continuous=algorithm is SAC)
    model = make_model(venv, expression, algorithm)
    model.learn(100)
    data = model.replay_buffer.sample(300)
    reference, virtual = expected(walks, data, 0.75 if expression is FADING else 0.0)
    assert virtual > 100
    np.testing.assert_allclose(data.rewards.numpy()[:, 0], reference, atol=1e-5)


def test_distances_are_negated():
    phi = Distance("obs.achieved_goal", "obs.desired_goal", "l1")
    obs = {"achieved_goal": np.array([[1.0]]), "desired_goal": np.array([[4.0]])}
    assert phi.value(obs, {}) == -3.0  # what the plain loop above takes for granted


def test_normalised_goals_are_relabelled_as_they_were():
    walks, venv = make_walks()
    model = make_model(VecNormalize(venv, norm_reward=False, clip_obs=1000.0), NEARER)
    model.learn(100)
    env = model.get_vec_normalize_env()
    data = model.replay_buffer.sample(200, env=env)
    reference, virtual = expected(walks, data, 0.0, env)
    assert virtual > 100
    np.testing.assert_allclose(data.rewards.numpy()[:, 0], reference, atol=1e-4)


def test_real_rewards_and_full_buffers():
    walks, venv = make_walks()
    model = make_model(venv, NEARER, buffer_size=60)
    model.learn(100)
    reference = np.array(
        [
            [
                step.reward
                + (0 if step.terminated else GAMMA * 5 * (step.next_progress - 1))
                - 5 * (step.progress - 1)
                for step in walk.log
            ]
            for walk in walks
        ]
    ).T
    newest = np.roll(reference[-30:], len(reference) % 30, axis=0)
    np.testing.assert_allclose(model.replay_buffer.rewards, newest, atol=1e-5)
    data = model.replay_buffer.sample(200)
    np.testing.assert_allclose(data.rewards.numpy()[:, 0], expected(walks, data, 0.0)[0], atol=1e-5)


def test_stamped_parts_are_kept_for_virtual_goals():
    _walks, venv = make_walks()
    stamped = DynamicPotential("features.progress", Linear(1.0, 0.0, 10_000))
    model = make_model(venv, TaskReward() * 0.0 + stamped)
    model.learn(100)
    buffer = model.replay_buffer
    stored = {
        float(key): reward
        for key, reward in zip(
            buffer.observations["observation"][:50, :, 1].reshape(-1),
            buffer.rewards[:50].reshape(-1),
            strict=True,
        )
    }
    data = buffer.sample(200)
    keys = data.observations["observation"].numpy()[:, 1]
    np.testing.assert_allclose(data.rewards.numpy()[:, 0], [stored[float(key)] for key in keys], atol=1e-6)


def test_features_and_terminal_states_are_what_they_were_for_virtual_goals():
    walks, venv = make_walks()
    model = make_model(venv, TaskReward() * 0.0 + Potential("features.progress"))
    model.learn(100)
    steps = {float(step.obs["observation"][1]): potential(step, GAMMA) for walk in walks for step in walk.log}
    data = model.replay_buffer.sample(200)
    keys = data.observations["observation"].numpy()[:, 1]
    np.testing.assert_allclose(data.rewards.numpy()[:, 0], [steps[float(key)] for key in keys], atol=1e-6)
    assert data.dones.any()


def test_an_episodic_expression_has_no_outcome_for_a_virtual_goal():
    _, venv = make_walks()
    with pytest.raises(HindsightError, match="HER"):
        make_model(venv, gate(Potential("features.progress"), threshold=0.5))


def test_a_saved_buffer_goes_on_with_virtual_goals(tmp_path):
    walks, venv = make_walks()
    model = make_model(venv, NEARER)
    model.learn(100)
    model.save_replay_buffer(tmp_path / "buffer.pkl")
    again = DQN("MultiInputPolicy", make_walks()[1], **deepcopy(SETTINGS))
    again.load_replay_buffer(tmp_path / "buffer.pkl", truncate_last_traj=False)
    wire(again, NEARER)
    data = again.replay_buffer.sample(200)
    np.testing.assert_allclose(data.rewards.numpy()[:, 0], expected(walks, data, 0.0)[0], atol=1e-5)
    again.learn(20)
