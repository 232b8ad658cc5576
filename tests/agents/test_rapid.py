"""RAPID: what it imitates, that without imitation it is PPO, exact resume, all kinds of observations and actions."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from shapegym.agents.algorithms.rapid import RAPID
from shapegym.agents.checkpoint import load_checkpoint, save_checkpoint
from shapegym.agents.environments import make_vec_env
from shapegym.agents.errors import CheckpointError, SettingsError
from shapegym.agents.factory import make_agent, torch_threads
from shapegym.agents.state_tree import read_tree, write_tree
from shapegym.envs.registration import register_all
from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.arrays import tree_equal
from shapegym.shaping.terms.counts import CountBonus

register_all()

TINY = {"n_steps": 16, "batch_size": 16, "n_epochs": 2, "policy_kwargs": {"net_arch": [8]}}
BONUS = TaskReward() + 0.1 * CountBonus("features.state")


def corridor(seed: int | None = None, lanes: int = 2):
    return make_vec_env("shapegym/Corridor-v0", lanes, seed=seed, length=5, slip=0.2, max_steps=7)


def parameters(model) -> torch.Tensor:
    return torch.cat([value.flatten() for value in model.policy.state_dict().values()])


def log_prob(model) -> float:
    steps = model.best.episodes.steps
    with torch.no_grad():
        return -model._imitation_loss(steps).item()


# ---------------------------------------------------------------------- ranking


def test_episodes_are_ranked_by_the_task_whatever_is_paid():
    returns = {}
    for reward in (None, BONUS, 3 * TaskReward()):
        model = make_agent("RAPID", corridor(seed=0), reward, seed=0, **TINY)
        model.learning_rate = 0.0
        model._setup_lr_schedule()
        model.learn(128)
        returns[str(reward)] = model.best.returns.tolist()
        np.testing.assert_array_equal(
            model.best.returns, model.best.episodes.sums(model.best.episodes.steps.rewards)
        )
    first, *others = returns.values()
    assert set(first) == {0.0, 1.0}
    assert all(other == first for other in others)


def test_what_is_kept_are_the_pairs_that_the_policy_chose():
    """On a corridor without slipping, each observation of a kept episode follows from the one before and the action."""
    env = make_vec_env("shapegym/Corridor-v0", 3, seed=1, length=5, slip=0.0, max_steps=9)
    model = make_agent("RAPID", env, seed=1, **TINY).learn(960)
    best = model.best.episodes
    assert len(best.lengths) > 10
    for start, length in zip(best.starts, best.lengths, strict=True):
        places = best.steps.obs[start : start + length].argmax(-1)
        moves = np.diff(places)
        assert places[0] == 0 or length == 1
        right = best.steps.actions[start : start + length, 0]
        assert len(set(right[:-1][moves > 0])) <= 1
        assert best.steps.rewards[start : start + length - 1].sum() == 0


def test_a_rollout_that_was_stopped_leaves_no_episode_with_a_gap():
    class Stop(BaseCallback):
        def _on_step(self):
            return self.num_timesteps % 32 != 10

    model = make_agent("RAPID", corridor(seed=0), seed=0, **TINY)
    model.learn(64)
    model.learn(64, callback=Stop(), reset_num_timesteps=False)
    model.learn(64, reset_num_timesteps=False)
    kept = model.best.episodes
    assert (kept.lengths <= 7).all()
    assert all(kept.steps.obs[kept.starts].argmax(-1) == 0)


def test_what_makes_a_state_can_be_chosen():
    states = {}
    for key in (None, "obs", "features.state", ["features.state", "obs[0]"]):
        model = make_agent("RAPID", corridor(seed=0), seed=0, key=key, **TINY).learn(256)
        states[str(key)] = model.visits["size"]
    assert set(states.values()) == {4}  # nobody acts in the last
    coarse = make_agent(
        "RAPID", corridor(seed=0), seed=0, key="features.state", resolution=10.0, **TINY
    ).learn(256)
    assert coarse.visits["size"] == 1
    hashed = make_agent("RAPID", corridor(seed=0), seed=0, hash_bits=1, **TINY).learn(256)
    assert hashed.visits["size"] == 2


class Counter(gym.Env):
    """Three steps; a feature tells which."""

    observation_space = gym.spaces.Box(0, 1, (1,))
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(1, np.float32), {"step": 10}

    def step(self, action):
        self.steps += 1
        return np.zeros(1, np.float32), 0.0, self.steps == 3, False, {"step": 10 + self.steps}


def test_features_of_environments_that_are_objects_are_those_of_the_state_before_the_step():
    model = make_agent(
        "RAPID", DummyVecEnv([lambda: Monitor(Counter())]), key="features.step", seed=0, **TINY
    )
    for _ in range(3):
        model.learn(16, reset_num_timesteps=False)
    assert model.visits["size"] == 3  # of 10, 11, 12; 13 is never acted in
    assert len(set(model.best.episodes.steps.keys.reshape(-1, 3)[:, 0].tolist())) == 1


# ---------------------------------------------------------------------- imitation


def test_without_imitation_it_is_ppo():
    with torch_threads(1):
        ppo = make_agent("PPO", corridor(seed=3), BONUS, seed=3, **TINY).learn(128)
        rapid = make_agent("RAPID", corridor(seed=3), BONUS, seed=3, imitation_steps=0, **TINY).learn(128)
    assert torch.equal(parameters(ppo), parameters(rapid))


def test_imitation_makes_what_is_kept_likelier():
    settings = {**TINY, "imitation_steps": 0, "learning_rate": 0.01}
    model = make_agent("RAPID", corridor(seed=0), seed=0, buffer_size=20, **settings).learn(256)
    before = log_prob(model)
    model.imitation_steps = 40
    model._imitate()
    assert log_prob(model) > before + 0.05


def test_its_gradient_is_that_of_the_cross_entropy():
    model = make_agent("RAPID", corridor(seed=0), seed=0, imitation_steps=0, **TINY).learn(64)
    steps = model.best.episodes.steps
    model.policy.zero_grad()
    model._imitation_loss(steps).backward()
    found = model.policy.action_net.bias.grad.clone()
    with torch.no_grad():
        probabilities = model.policy.get_distribution(torch.as_tensor(steps.obs)).distribution.probs
    chosen = torch.nn.functional.one_hot(torch.as_tensor(steps.actions[:, 0]), probabilities.shape[1])
    torch.testing.assert_close(found, (probabilities - chosen).mean(0))


def test_imitation_becomes_less_and_ends():
    model = make_agent("RAPID", corridor(seed=0), seed=0, imitation_steps=3, imitate_until=256, **TINY)
    logger, made = Logger(None, []), []
    model.set_logger(logger)
    imitate = model._imitate
    model._imitate = lambda: (imitate(), made.append(logger.name_to_value["rapid/steps"]))
    model.learn(320, log_interval=100)
    assert made == sorted(made, reverse=True)
    assert made[0] == 2
    assert made[-2:] == [0, 0]
    assert sum(made) == int(sum(3 * (1 - step / 256) for step in range(32, 257, 32)))


def test_where_nothing_is_paid_it_repeats_what_saw_much_until_the_task_pays():
    """Thirty cells in a row within sixty steps: a random walk never sees the end, and PPO learns nothing of that."""
    found = {}
    for imitation_steps in (0, 10):
        env = make_vec_env("shapegym/Corridor-v0", 8, seed=0, length=30, max_steps=60, slip=0.0)
        settings = {
            "n_steps": 64,
            "batch_size": 512,
            "n_epochs": 2,
            "learning_rate": 1e-3,
            "buffer_size": 800,
        }
        with torch_threads(1):
            model = make_agent("RAPID", env, seed=0, imitation_steps=imitation_steps, **settings).learn(
                12_288
            )
        found[imitation_steps] = model.best.returns.mean()
    assert found == {0: 0.0, 10: 1.0}


# ---------------------------------------------------------------------- saving


@pytest.mark.parametrize("settings", [{}, {"key": "features.state", "hash_bits": 3}])
def test_a_resumed_run_repeats_the_uninterrupted_one(tmp_path, settings):
    options = {**TINY, **settings, "imitation_steps": 3, "imitate_until": 1000, "buffer_size": 30}
    with torch_threads(1):
        whole = make_agent("RAPID", corridor(seed=4), BONUS, seed=4, **options)
        whole.learn(96)
        save_checkpoint(tmp_path / "half", whole)
        whole.learn(96, reset_num_timesteps=False)
        resumed = load_checkpoint(tmp_path / "half", corridor(), BONUS)
        resumed.learn(96, reset_num_timesteps=False)
    assert torch.equal(parameters(whole), parameters(resumed))
    for name in ("visits", "began"):
        assert tree_equal(getattr(whole, name), getattr(resumed, name))
    assert tree_equal(whole.best.episodes.steps.obs, resumed.best.episodes.steps.obs)
    np.testing.assert_array_equal(whole.best.scores, resumed.best.scores)
    assert len(whole.best.scores) > 3


def test_sb3_saves_and_loads_it(tmp_path):
    model = make_agent("RAPID", corridor(seed=0), seed=0, **TINY).learn(128)
    model.save(tmp_path / "model.zip")
    loaded = RAPID.load(tmp_path / "model.zip")
    obs = np.eye(5, dtype=np.float32)
    np.testing.assert_array_equal(
        model.predict(obs, deterministic=True)[0], loaded.predict(obs, deterministic=True)[0]
    )
    np.testing.assert_array_equal(model.best.scores, loaded.best.scores)
    more = RAPID.load(
        tmp_path / "model.zip", env=corridor(seed=1, lanes=3)
    )  # other lanes: open episodes are forgotten
    more.learn(96, reset_num_timesteps=False)
    assert len(more.best.scores) > len(model.best.scores)


def test_a_crafted_table_of_visits_is_refused(tmp_path):
    model = make_agent("RAPID", corridor(seed=0), seed=0, **TINY).learn(64)
    model.visits["counts"][:] = 1
    save_checkpoint(tmp_path / "bad", model)
    with pytest.raises(CheckpointError, match="table of visits"):
        load_checkpoint(tmp_path / "bad", corridor())


# ---------------------------------------------------------------------- spaces


class Any(gym.Env):
    """Observations and actions of given spaces, drawn at random; five steps."""

    def __init__(self, observations: gym.Space, actions: gym.Space) -> None:
        self.observation_space, self.action_space = observations, actions

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        self.steps = 0
        return self.observation_space.sample(), {}

    def step(self, action):
        assert self.action_space.contains(action)
        self.steps += 1
        return self.observation_space.sample(), 1.0, False, self.steps == 5, {}


VECTOR = gym.spaces.Box(-1, 1, (3,), np.float32)
IMAGE = gym.spaces.Box(0, 255, (36, 36, 3), np.uint8)
DICT = gym.spaces.Dict({"image": IMAGE, "number": gym.spaces.Discrete(3), "vector": VECTOR})


@pytest.mark.parametrize(
    ("observations", "actions", "policy"),
    [
        (VECTOR, gym.spaces.Discrete(3), "MlpPolicy"),
        (gym.spaces.Discrete(4), gym.spaces.MultiDiscrete([2, 3]), "MlpPolicy"),
        (gym.spaces.MultiBinary(4), gym.spaces.MultiBinary(2), "MlpPolicy"),
        (VECTOR, gym.spaces.Box(-1, 1, (2,), np.float32), "MlpPolicy"),
        (IMAGE, gym.spaces.Discrete(3), "CnnPolicy"),
        (DICT, gym.spaces.Discrete(3), "MultiInputPolicy"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_all_kinds_of_observations_and_actions(observations, actions, policy):
    env = DummyVecEnv([lambda: Monitor(Any(observations, actions))] * 2)
    model = RAPID(policy, env, n_steps=10, batch_size=20, n_epochs=1, imitation_batch_size=16, seed=0)
    before = parameters(model)
    model.learn(40)
    assert model.best.returns.tolist() == [5.0] * 8
    assert not torch.equal(before, parameters(model))
    assert model.visits["size"] == len(np.unique(model.best.episodes.steps.keys))


def test_states_that_never_repeat_are_told(caplog):
    env = DummyVecEnv([lambda: Monitor(Any(VECTOR, gym.spaces.Discrete(2)))] * 4)
    for settings, told in (({}, 1), ({"hash_bits": 2}, 1)):
        RAPID("MlpPolicy", env, n_steps=100, batch_size=400, n_epochs=1, seed=0, **settings).learn(800)
        assert caplog.text.count("were all different") == told


def test_one_lane_and_episodes_of_one_step():
    env = make_vec_env("shapegym/Corridor-v0", 1, seed=0, length=5, max_steps=1)
    model = make_agent("RAPID", env, seed=0, **TINY).learn(64)
    assert (model.best.episodes.lengths == 1).all()
    assert len(model.best.scores) == 64


def test_episodes_that_never_end_take_bounded_memory_and_are_not_ranked():
    env = make_vec_env("shapegym/Corridor-v0", 2, seed=0, length=5, max_steps=10_000, slip=0.0)
    model = make_agent("RAPID", env, seed=0, longest=20, **{**TINY, "n_steps": 8}).learn(512)
    assert len(model.open.steps) < 20


# ---------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"local_weight": -1.0}, "RAPID: local_weight must be"),
        ({"buffer_size": 0}, "RAPID: buffer_size must be"),
        ({"imitation_steps": 0.5}, "RAPID: imitation_steps must be"),
        ({"hash_bits": 4, "resolution": 1.0}, "RAPID: signs of projections merge"),
        ({"key": "action"}, "'action' describes a step"),
        ({"key": "features.stat"}, "feature 'stat'.*Did you mean 'state'"),
        ({"key": "obs[9]"}, "reads column 9"),
        ({"key": "observation"}, "not a selector"),
    ],
)
def test_what_does_not_fit_is_said(settings, message):
    with pytest.raises(SettingsError, match=message):
        make_agent("RAPID", corridor(seed=0), seed=0, **TINY, **settings)


def test_observations_whose_meaning_moves_are_refused():
    with pytest.raises(SettingsError, match="norm_obs=False"):
        make_agent("RAPID", VecNormalize(corridor(seed=0)), seed=0, **TINY)
    env = VecNormalize(corridor(seed=0), norm_obs=False)
    model = make_agent("RAPID", env, seed=0, **TINY).learn(256)
    assert set(model.best.returns.tolist()) == {0.0, 1.0}  # the task's, not the normalised


def test_nothing_of_the_callbacks_is_saved(tmp_path):
    model = make_agent("RAPID", corridor(seed=0), seed=0, **TINY).learn(32)
    write_tree(tmp_path / "best.npz", {"best": model.best})
    assert tree_equal(
        read_tree(tmp_path / "best.npz")["best"].episodes.steps.obs, model.best.episodes.steps.obs
    )
    assert "_notes" in model._excluded_save_params()
