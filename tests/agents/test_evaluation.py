"""Evaluation: exact quotas, the plain task, and nothing outside notices."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from sb3_contrib import RecurrentPPO
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from shapegym.agents.environments import make_vec_env
from shapegym.agents.errors import AgentError, EvaluationError
from shapegym.agents.evaluation import evaluate
from shapegym.agents.finite.oracle import OptimalPolicy, RandomPolicy
from shapegym.envs.registration import build, register_all
from shapegym.envs.tabular.solver import optimal_return, random_return
from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.surfaces.sb3_vec import ShapedVecEnv

register_all()


class LaneLength(gym.Env):
    """Every episode of lane i takes 1 + 3 i steps and pays i a step: the quick lanes would crowd out the slow ones."""

    observation_space = gym.spaces.Box(0, 1, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, lane):
        self.lane = lane

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.t += 1
        return np.zeros(1, np.float32), float(self.lane), self.t == 1 + 3 * self.lane, False, {}


class Recorder:
    """Follows the protocol of recurrent policies and remembers what it was given."""

    def __init__(self):
        self.starts = []

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        count = np.zeros(len(observation)) if state is None else state[0]
        count = np.where(episode_start, 0, count) + 1
        self.starts.append(count)
        return np.zeros(len(observation), int), (count,)


def test_every_lane_plays_its_quota_however_long_its_episodes():
    venv = DummyVecEnv([lambda lane=lane: LaneLength(lane) for lane in range(3)])
    policy = Recorder()
    result = evaluate(policy, venv, 7)
    assert result.lengths.tolist() == [1, 1, 1, 4, 4, 7, 7]
    assert result.returns.tolist() == [0, 0, 0, 4, 4, 14, 14]
    assert result.successes is None
    assert result.success_rate is None
    assert result.as_row() == {
        "episodes": 7,
        "success_rate": None,
        "mean_return": 36 / 7,
        "mean_length": 25 / 7,
    }
    # The policy's memory came back, and was told where episodes start: steps into the episode, by lane.
    assert np.array(policy.starts)[:8, 1].tolist() == [1, 2, 3, 4, 1, 2, 3, 4]
    assert np.array(policy.starts)[:3, 0].tolist() == [1, 1, 1]


@pytest.mark.parametrize("algorithm", [PPO, DQN])
def test_the_mode_of_a_policy_is_set_once_and_is_free_again(algorithm, monkeypatch):
    model, modes = algorithm("MlpPolicy", LaneLength(0), device="cpu"), []
    policy = type(model.policy)
    change = policy.set_training_mode
    monkeypatch.setattr(
        policy, "set_training_mode", lambda self, mode: (modes.append(mode), change(self, mode))
    )
    evaluate(model, DummyVecEnv([lambda lane=lane: LaneLength(lane) for lane in range(3)]), 7)
    assert modes == [False]
    model.policy.set_training_mode(True)
    assert model.policy.training
    broken = DummyVecEnv([lambda: LaneLength(0)])
    monkeypatch.setattr(broken.envs[0], "step", None)
    with pytest.raises(TypeError):
        evaluate(model, broken, 1)
    model.policy.set_training_mode(True)
    assert modes == [False, True, False, True]


def test_fewer_episodes_than_lanes():
    venv = DummyVecEnv([lambda lane=lane: LaneLength(lane) for lane in range(5)])
    assert evaluate(Recorder(), venv, 2).lengths.tolist() == [1, 4]


@pytest.mark.parametrize("observation", ["one_hot", "coordinates", "index"])
@pytest.mark.parametrize(
    "env_id", ["shapegym/KeyDoorSmall-v0", "shapegym/DeepSea-v0", "shapegym/FourRooms-v0"]
)
def test_the_oracle_earns_what_the_solver_computes(env_id, observation):
    knobs = {**gym.spec(env_id).kwargs, "observation": observation}
    task = build(**knobs).task
    oracle = OptimalPolicy(gym.make(env_id, observation=observation))
    result = evaluate(oracle, env_id, 4, observation=observation)
    assert result.mean_return == pytest.approx(optimal_return(task), abs=1e-9)
    assert result.success_rate == 1.0


def test_the_random_policy_earns_what_the_solver_computes():
    env_id, knobs = "shapegym/Corridor-v0", {"length": 4, "max_steps": 8}
    task = build(**{**gym.spec(env_id).kwargs, **knobs}).task
    result = evaluate(RandomPolicy(gym.spaces.Discrete(2), seed=3), env_id, 4000, **knobs)
    error = result.returns.std() / np.sqrt(len(result.returns))
    assert abs(result.mean_return - random_return(task)) < 4 * error
    np.testing.assert_array_equal(result.successes, result.returns == 1)


def test_the_oracle_solves_a_task_that_pays_at_every_step():
    result = evaluate(OptimalPolicy("shapegym/TomatoWatering-v0"), "shapegym/TomatoWatering-v0", 20)
    assert result.mean_return == pytest.approx(6.84, abs=0.3)


def test_the_oracle_needs_a_finite_task():
    with pytest.raises(AgentError, match="no finite task"):
        OptimalPolicy("CartPole-v1")


@pytest.mark.parametrize("algorithm", [PPO, DQN])
def test_evaluation_repeats_and_leaves_the_global_streams_alone(algorithm):
    model = algorithm("MlpPolicy", make_vec_env("shapegym/Corridor-v0", 2, length=4), seed=0)
    model.exploration_rate = 0.5  # of DQN, which explores by other streams than PPO
    streams = np.random.get_state()[1].copy(), torch.get_rng_state().clone()  # noqa: NPY002
    results = [
        evaluate(model, "shapegym/Corridor-v0", 9, seed=4, deterministic=False, length=4) for _ in range(2)
    ]
    assert results[0].lengths.tolist() == results[1].lengths.tolist()
    assert len(set(results[0].lengths.tolist())) > 1
    np.testing.assert_array_equal(np.random.get_state()[1], streams[0])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), streams[1])
    other = evaluate(model, "shapegym/Corridor-v0", 9, seed=5, deterministic=False, length=4)
    assert other.lengths.tolist() != results[0].lengths.tolist()


def test_recurrent_policies_are_evaluated_with_their_memory():
    venv = make_vec_env("shapegym/Corridor-v0", 2, length=3)
    model = RecurrentPPO(
        "MlpLstmPolicy", venv, n_steps=8, batch_size=16, seed=0, policy_kwargs={"lstm_hidden_size": 4}
    )
    assert len(evaluate(model, "shapegym/Corridor-v0", 3, length=3).returns) == 3


def test_a_model_trained_on_normalised_observations_sees_such():
    knobs = {"length": 4, "observation": "coordinates"}
    normalised = VecNormalize(make_vec_env("shapegym/Corridor-v0", 2, **knobs), norm_reward=False)
    model = PPO("MlpPolicy", normalised, seed=0, n_steps=8, batch_size=16).learn(64)
    seen = []
    predict, count = model.predict, normalised.obs_rms.count
    model.predict = lambda obs, *rest: (seen.append(obs.copy()), predict(obs, *rest))[1]
    evaluate(model, "shapegym/Corridor-v0", 2, **knobs)
    np.testing.assert_array_equal(seen[0], normalised.normalize_obs(np.zeros((2, 1), np.float32)))
    assert not np.array_equal(seen[0], np.zeros((2, 1)))
    assert normalised.obs_rms.count == count


@pytest.mark.parametrize("layer", [VecNormalize, lambda venv: ShapedVecEnv(venv, TaskReward())])
def test_anything_but_the_plain_task_is_refused(layer):
    with pytest.raises(EvaluationError, match="plain task"):
        evaluate(Recorder(), layer(make_vec_env("shapegym/Corridor-v0", 2)), 2)


@pytest.mark.parametrize("episodes", [0, -1, 2.5, True])
def test_the_number_of_episodes_is_checked(episodes):
    with pytest.raises(EvaluationError, match="episodes"):
        evaluate(Recorder(), "shapegym/Corridor-v0", episodes)
