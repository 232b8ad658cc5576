"""Environments and numbers that are not quite what SB3 expects: what was settled is learned from, or a typed error says why not."""

from copy import deepcopy

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from sb3_reference import Walk, additive
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv, VecEnvWrapper, VecNormalize
from stable_baselines3.her.her_replay_buffer import HerReplayBuffer

from shapegym.shaping import sign
from shapegym.shaping.algebra import Constant, TaskReward, clip
from shapegym.shaping.errors import FeatureError, NonFiniteError, ObservationError, WiringError
from shapegym.shaping.surfaces.findings import check_wiring
from shapegym.shaping.surfaces.gym_env import ShapedEnv
from shapegym.shaping.surfaces.sb3_vec import ShapedVecEnv
from shapegym.shaping.surfaces.wiring import wire
from shapegym.shaping.terms.potential import Potential

torch.set_num_threads(1)
GAMMA = 0.9
PROGRESS = TaskReward() + Potential("obs[0]")
NET = {"policy_kwargs": {"net_arch": [4]}, "device": "cpu", "seed": 0, "gamma": GAMMA, "learning_rate": 0.0}


def ppo(venv, **kwargs):
    return PPO("MlpPolicy", venv, n_steps=10, batch_size=10, n_epochs=1, **deepcopy(NET), **kwargs)


def dqn(venv, **kwargs):
    policy = "MultiInputPolicy" if isinstance(venv.observation_space, spaces.Dict) else "MlpPolicy"
    return DQN(policy, venv, buffer_size=200, learning_starts=1000, train_freq=1, **deepcopy(NET), **kwargs)


def rewards_of(model, count):
    buffer = getattr(model, "replay_buffer", None) or model.rollout_buffer
    return buffer.rewards[:count]


# ---------------------------------------------------------------------- environments


class OtherBatch:
    """A batch of environments with another API."""

    def __init__(self, lanes):
        self.inner = DummyVecEnv([lambda lane=lane: lane for lane in lanes])

    def seed(self, seed):
        return [seed] * self.inner.num_envs

    def reset(self):
        return self.inner.reset(), {}

    def step_async(self, actions):
        self.inner.step_async(actions)

    def step_wait(self):
        obs, reward, dones, infos = self.inner.step_wait()
        return obs, reward, dones, np.zeros_like(dones), infos


class LikeSuperSuit(VecEnvWrapper):
    """Wraps what is no `VecEnv`, without SB3's constructor, and has no attributes to look up."""

    def __init__(self, lanes):
        self.venv = OtherBatch(lanes)
        self.num_envs, self.render_mode = len(lanes), None
        self.observation_space, self.action_space = lanes[0].observation_space, lanes[0].action_space

    def reset(self):
        return self.venv.reset()[0]

    def step_wait(self):
        obs, reward, terminated, truncated, infos = self.venv.step_wait()
        return obs, reward, terminated | truncated, infos

    def getattr_recursive(self, name):
        raise AttributeError(name)

    def getattr_depth_check(self, name, already_found):
        return None


class Bare(VecEnv):
    """Steps and resets, and refuses all else."""

    def __init__(self, lanes):
        self.inner = DummyVecEnv([lambda lane=lane: lane for lane in lanes])
        self.num_envs = len(lanes)
        self.observation_space, self.action_space = lanes[0].observation_space, lanes[0].action_space

    def _refuse(self, *args, **kwargs):
        raise NotImplementedError

    get_attr = set_attr = env_method = env_is_wrapped = has_attr = close = _refuse

    def reset(self):
        return self.inner.reset()

    def step_async(self, actions):
        self.inner.step_async(actions)

    def step_wait(self):
        return self.inner.step_wait()


WRAPS = (lambda venv: venv, lambda venv: VecNormalize(venv, norm_reward=False))


@pytest.mark.filterwarnings("ignore:The `render_mode`")  # of SB3's own wrappers
@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("kind", [LikeSuperSuit, Bare])
@pytest.mark.parametrize("make", [ppo, dqn])
def test_environments_that_answer_no_questions_are_wired(make, kind, wrap):
    if kind is Bare and wrap is not WRAPS[0]:
        pytest.skip("SB3's wrappers ask")
    lanes = [Walk(lane=lane) for lane in range(2)]
    model = wire(make(wrap(kind(lanes))), PROGRESS)
    assert check_wiring(model) == []
    model.learn(20)
    cut = np.array([[step.truncated for step in lane.log[:10]] for lane in lanes]).T & (make is ppo)
    expected = additive([lane.log for lane in lanes], GAMMA)[:10]
    np.testing.assert_allclose(rewards_of(model, 10)[~cut], expected[~cut], atol=1e-6)


def test_features_of_the_first_state_that_nobody_tells_are_an_error():
    model = wire(ppo(LikeSuperSuit([Walk()])), TaskReward() + Potential("features.progress"))
    with pytest.raises(FeatureError, match="progress"):
        model.learn(10)


@pytest.mark.parametrize("make", [ppo, dqn])
def test_environments_in_workers_are_wired(make):
    """What workers send is in tuples."""
    lanes = [Walk(lane=lane, cut=0.0) for lane in range(2)]
    venv = SubprocVecEnv([lambda lane=lane: lane for lane in lanes], start_method="fork")
    try:
        model = wire(make(venv), PROGRESS)
        model.learn(20)
        evaluation = EvalCallback(venv, eval_freq=4, n_eval_episodes=1, verbose=0, warn=False)
        with pytest.raises(WiringError, match="Do not step"):
            model.learn(20, callback=evaluation)
    finally:
        venv.close()
    assert np.isfinite(rewards_of(model, 10)).all()


def test_environments_that_are_shaped_in_their_workers_are_refused():
    shaped = SubprocVecEnv([lambda: ShapedEnv(Walk(), TaskReward() + Constant(1.0))], start_method="fork")
    try:
        with pytest.raises(WiringError, match="shaped already"):
            wire(ppo(shaped), PROGRESS)
        venv = ShapedVecEnv(shaped, PROGRESS, gamma=GAMMA)
        venv.reset()
        with pytest.raises(WiringError, match="shaped already"):
            venv.step(np.zeros(1, dtype=int))
    finally:
        shaped.close()


# ---------------------------------------------------------------------- numbers


class Pays(gym.Env):
    """Pays what it is told, over and over, in episodes of five steps that are truncated; goals are where it is."""

    action_space = spaces.Discrete(2)

    def __init__(self, rewards, goals=False):
        self.rewards, self.goals, self.made = rewards, goals, 0
        place = spaces.Box(-9.0, 9.0, (1,), np.float32)
        keys = ("observation", "achieved_goal", "desired_goal")
        self.observation_space = spaces.Dict(dict.fromkeys(keys, place)) if goals else place

    def _look(self):
        place = np.array([self.time], dtype=np.float32)
        return (
            {"observation": place, "achieved_goal": place, "desired_goal": place + 1} if self.goals else place
        )

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        return self._look(), {}

    def step(self, action):
        self.time += 1
        self.made += 1
        reward = self.rewards[(self.made - 1) % len(self.rewards)]
        return self._look(), reward, False, self.time == 5, {}

    def compute_reward(self, achieved_goal, desired_goal, info):
        return np.array([self.rewards[int(place) - 1] for place in achieved_goal[:, 0]])


NAN, INF = float("nan"), float("inf")
STRANGE = [1.0, NAN, 1e30, INF, -1e30, 2.0, -INF, 0.5, 1.0, NAN]
ONLY_STATE = 0.5 * Potential("obs[0]", gamma=GAMMA)

SETTLED = {
    "sign": (sign(TaskReward()), np.sign(np.nan_to_num(STRANGE, posinf=0.0, neginf=0.0))),
    "clip": (clip(TaskReward(), -3.0, 3.0), np.clip(np.nan_to_num(STRANGE, posinf=0.0, neginf=0.0), -3, 3)),
    "no task": (ONLY_STATE, [0.5 * (GAMMA * after - after + 1) for after in (1, 2, 3, 4, 5)] * 2),
}


@pytest.mark.filterwarnings("ignore:Part")
@pytest.mark.parametrize("name", SETTLED)
def test_a_rollout_learns_from_what_was_settled_and_keeps_its_bootstraps(name):
    expression, settled = SETTLED[name]
    model = wire(ppo(DummyVecEnv([lambda: Pays(STRANGE)])), expression, on_nonfinite="zero")
    model.learn(10)
    bootstrap = np.zeros(10)
    bootstrap[[4, 9]] = GAMMA * model.policy.predict_values(torch.tensor([[5.0]])).item()
    np.testing.assert_allclose(model.rollout_buffer.settled.shaped[:, 0], settled, atol=1e-6)
    np.testing.assert_allclose(rewards_of(model, 10)[:, 0], settled + bootstrap, atol=1e-5)
    assert np.isfinite(model.rollout_buffer.advantages).all()


@pytest.mark.filterwarnings("ignore:Part")
@pytest.mark.parametrize("kwargs", [{}, {"n_steps": 3}])
@pytest.mark.parametrize("name", SETTLED)
def test_a_replay_buffer_holds_what_was_settled(name, kwargs):
    expression, settled = SETTLED[name]
    model = wire(dqn(DummyVecEnv([lambda: Pays(STRANGE)]), **kwargs), expression, on_nonfinite="zero")
    model.learn(10)
    np.testing.assert_allclose(rewards_of(model, 10)[:, 0], settled, atol=1e-6)
    assert torch.isfinite(model.replay_buffer.sample(50).rewards).all()


@pytest.mark.filterwarnings("ignore:Part")
def test_virtual_transitions_are_paid_what_counts():
    venv = DummyVecEnv([lambda: Pays(STRANGE[:5], goals=True)])
    model = wire(dqn(venv, replay_buffer_class=HerReplayBuffer), sign(TaskReward()), on_nonfinite="zero")
    model.learn(10)
    data = model.replay_buffer.sample(100)
    places = data.next_observations["achieved_goal"].numpy()[:, 0].astype(int)
    np.testing.assert_array_equal(data.rewards.numpy()[:, 0], SETTLED["sign"][1][places - 1])


@pytest.mark.parametrize("make", [ppo, dqn])
def test_the_same_numbers_are_an_error_unless_asked_for(make):
    with pytest.raises(NonFiniteError, match="task_reward"):
        wire(make(DummyVecEnv([lambda: Pays(STRANGE)])), TaskReward()).learn(10)


@pytest.mark.parametrize("make", [ppo, dqn])
def test_a_shaped_reward_that_no_buffer_holds_is_an_error(make):
    with pytest.raises(NonFiniteError, match=r"1e\+39.*clip"):
        wire(make(DummyVecEnv([lambda: Pays([1.0])])), TaskReward() * 1e39).learn(10)


@pytest.mark.parametrize(
    "reward", [np.array([1.0, 0.5]), None, "much", 1j, {"angle": 1.0}, [[1.0], [2.0, 3.0]]]
)
@pytest.mark.parametrize("make", [ppo, dqn])
def test_rewards_that_are_no_number_are_named(make, reward):
    with pytest.raises(ObservationError, match="reward"):
        wire(make(DummyVecEnv([lambda: Pays([reward])])), PROGRESS).learn(10)
