from copy import deepcopy

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from sb3_reference import Walk, potential
from stable_baselines3 import DQN, SAC
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecNormalize
from stable_baselines3.her.her_replay_buffer import HerReplayBuffer

from shapegym.shaping.algebra import Constant, TaskReward
from shapegym.shaping.combinators.gate import gate
from shapegym.shaping.errors import HindsightError
from shapegym.shaping.states.distance import Distance
from shapegym.shaping.states.functions import state_function
from shapegym.shaping.surfaces.wiring import wire
from shapegym.shaping.terms.counts import CountBonus
from shapegym.shaping.terms.events import Event
from shapegym.shaping.terms.goals import StateReward
from shapegym.shaping.terms.potential import Potential
from shapegym.shaping.weights.paying import paying
from shapegym.shaping.weights.schedules import Linear, OnPlateau

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


def test_the_bonus_alone_is_paid_on_virtual_goals_too():
    walks, venv = make_walks()
    model = make_model(venv, paying(NEARER, "bonus"))
    model.learn(100)
    buffer, tasks = model.replay_buffer, np.array([[step.reward for step in walk.log] for walk in walks]).T
    np.testing.assert_array_equal(buffer.task_rewards[: buffer.pos], tasks[: buffer.pos])
    data = buffer.sample(300)
    goals, near, next_near = (
        obs[key].numpy()[:, 0]
        for obs, key in (
            (data.observations, "desired_goal"),
            (data.observations, "achieved_goal"),
            (data.next_observations, "achieved_goal"),
        )
    )
    assert (goals != 5).sum() > 100
    ends = data.dones.numpy()[:, 0] > 0
    bonus = np.where(ends, 0.0, -GAMMA * abs(next_near - goals)) + abs(near - goals)
    np.testing.assert_allclose(data.rewards.numpy()[:, 0], bonus, atol=1e-5)


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
    stamped = CountBonus("features.progress", scope="episode")
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


# ---------------------------------------------------------------------- what SB3 stores otherwise than it was given


class Goals(gym.Env):
    """A walk on 8 cells to a cell that is drawn anew in every episode, with goals of any kind; records nothing."""

    action_space = spaces.Discrete(2)

    def __init__(self, goal_space, show, features=None):
        self.show, self.features_of = show, features or (lambda cell, goal: {})
        self.observation_space = spaces.Dict(
            dict.fromkeys(("observation", "achieved_goal", "desired_goal"), goal_space)
        )

    def _look(self):
        look = {"observation": self.show(self.cell), "achieved_goal": self.show(self.cell)}
        return {**look, "desired_goal": self.show(self.goal)}, self.features_of(self.cell, self.goal)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time, self.cell, self.goal = 0, *map(int, self.np_random.integers(0, 8, 2))
        return self._look()

    def step(self, action):
        self.time += 1
        self.cell = min(max(self.cell + 2 * int(action) - 1, 0), 7)
        obs, info = self._look()
        reward = self.compute_reward(obs["achieved_goal"], obs["desired_goal"], info)
        return obs, float(np.asarray(reward).reshape(-1)[0]), False, self.time >= 10, info

    def compute_reward(self, achieved_goal, desired_goal, info):
        same = np.asarray(achieved_goal) == np.asarray(desired_goal)
        return -1.0 + same.reshape(len(same) if same.ndim else 1, -1).all(axis=1)


def picture(shape, axis):
    def show(cell):
        image = np.zeros(shape, dtype=np.uint8)
        image[(slice(None),) * axis + (5 * cell,)] = 30 * cell + 10
        return image

    return show


def box(shape, dtype=np.float32):
    return spaces.Box(0, 255, shape, dtype)


KINDS = {
    "channels last": (box((40, 44, 3), np.uint8), picture((40, 44, 3), 0)),
    "channels first": (box((3, 40, 44), np.uint8), picture((3, 40, 44), 1)),
    "square": (box((40, 40, 3), np.uint8), picture((40, 40, 3), 0)),
    "Discrete": (spaces.Discrete(8), lambda cell: cell),
    "Discrete from 5": (spaces.Discrete(8, start=5), lambda cell: cell + 5),
    "MultiDiscrete": (spaces.MultiDiscrete([4, 2]), lambda cell: np.array(divmod(cell, 2))),
    "MultiBinary": (
        spaces.MultiBinary(3),
        lambda cell: np.array([cell >> bit & 1 for bit in range(3)], np.int8),
    ),
    "float64": (box((2,), np.float64), lambda cell: np.array([cell, 0.1 * cell])),
}
WRAPPERS = {
    "plain": lambda venv: venv,
    "stacked": lambda venv: VecFrameStack(venv, 2),
    "normalised": lambda venv: VecNormalize(venv, norm_reward=False),
}
SPREAD = 0.01


@state_function
def spread(obs, features):
    """How unlike goal and achieved goal are, in all their numbers; the shapes must be what the environment gives."""
    achieved, goal = (np.asarray(obs[key], dtype=float) for key in ("achieved_goal", "desired_goal"))
    assert achieved.shape == goal.shape, (achieved.shape, goal.shape)
    return -SPREAD * np.abs(achieved - goal).reshape(len(goal), -1).sum(axis=1)


def cell_of(values, show):
    """Which cell a row of stored numbers, in any order of axes, shows; of stacked ones the newest."""
    shown = [np.asarray(show(cell), dtype=float).ravel() for cell in range(8)]
    rows = []
    for row in values.reshape(len(values), -1).astype(float):
        newest = row.reshape(-1, shown[0].size)[-1]
        rows.append(
            min(
                range(8),
                key=lambda cell: (
                    np.abs(np.sort(shown[cell]) - np.sort(newest)).sum()
                    if shown[0].size > 9
                    else np.abs(shown[cell] - newest).sum()
                ),
            )
        )
    return np.array(rows)


@pytest.mark.parametrize(
    ("kind", "wrapper"),
    [(kind, "plain") for kind in KINDS]
    + [("float64", "stacked"), ("float64", "normalised"), ("channels first", "stacked")],
)
def test_terms_read_goals_as_the_environment_gave_them(kind, wrapper):
    goal_space, show = KINDS[kind]
    venv = WRAPPERS[wrapper](DummyVecEnv([lambda: Goals(goal_space, show) for _ in range(2)]))
    model = make_model(venv, TaskReward() * 0.0 + Potential(spread), buffer_size=200, learning_starts=1000)
    model.learn(120)
    env = model.get_vec_normalize_env()
    data = model.replay_buffer.sample(200, env=env)
    before, after = (
        {key: value.numpy() for key, value in side.items()}
        for side in (data.observations, data.next_observations)
    )
    if env is not None:
        before, after = env.unnormalize_obs(before), env.unnormalize_obs(after)
    now, then, goal = (
        cell_of(values, show)
        for values in (before["achieved_goal"], after["achieved_goal"], before["desired_goal"])
    )
    size = [
        [np.abs(np.asarray(show(a), float) - np.asarray(show(b), float)).sum() for b in range(8)]
        for a in range(8)
    ]
    phi = -SPREAD * np.array(size)
    np.testing.assert_allclose(
        data.rewards.numpy()[:, 0], GAMMA * phi[then, goal] - phi[now, goal], rtol=1e-5, atol=1e-5
    )
    assert len(set(goal)) > 3


# ---------------------------------------------------------------------- goals that HER cannot exchange

NUMBER = (box((1,)), lambda cell: np.array([cell], dtype=np.float32))


def goals_with(**features):
    """Environments whose infos have features of a cell and a goal."""
    tell = lambda cell, goal: {name: value(cell, goal) for name, value in features.items()}  # noqa: E731
    return DummyVecEnv([lambda: Goals(*NUMBER, tell)])


@pytest.mark.parametrize(
    "expression",
    [
        TaskReward() + Potential(Distance("features.where", "features.goal_pos")),
        TaskReward() + StateReward("features.target"),
        TaskReward() + Event("features.success"),
        TaskReward() + Potential("features.distance_to_it"),
    ],
)
def test_what_names_the_goal_elsewhere_is_refused_when_it_is_wired(expression):
    names = ("where", "goal_pos", "target", "success", "distance_to_it")
    venv = goals_with(**dict.fromkeys(names, lambda cell, goal: np.array([cell])))
    with pytest.raises(HindsightError, match=r"HER exchanges the goal"):
        make_model(venv, expression)


@pytest.mark.parametrize(
    "value",
    [
        lambda cell, goal: np.array([goal]),
        lambda cell, goal: goal,
        lambda cell, goal: -abs(goal - cell),
        lambda cell, goal: float((goal - cell) ** 2),
    ],
)
def test_a_feature_that_holds_the_goal_is_found_before_a_batch_is_relabelled(value):
    model = make_model(goals_with(x=value), TaskReward() + Potential("features.x"), learning_starts=1000)
    model.learn(100)
    with pytest.raises(HindsightError, match=r"features\.x"):
        model.replay_buffer.sample(20)


def test_weights_that_follow_success_and_features_of_the_agent_are_fine():
    weighted = Potential("features.where") * OnPlateau(1.0, metric="success")
    venv = goals_with(where=lambda cell, goal: cell / 7, success=lambda cell, goal: cell == goal)
    model = make_model(venv, TaskReward() + weighted + CountBonus("features.where"))
    model.learn(100)
    model.replay_buffer.sample(20)
