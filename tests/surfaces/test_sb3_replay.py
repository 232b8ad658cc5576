from copy import deepcopy
from dataclasses import dataclass
from typing import ClassVar

import gymnasium as gym
import numpy as np
import pytest
import torch
from sb3_contrib import QRDQN, TQC
from sb3_reference import Walk, additive, gated, potential
from stable_baselines3 import DDPG, DQN, SAC, TD3
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecNormalize

from shapegym.shaping.algebra import Constant, Scale, TaskReward, clip
from shapegym.shaping.combinators.gate import Gate, gate
from shapegym.shaping.errors import HindsightError, ObservationError, WiringError
from shapegym.shaping.promises import Replay
from shapegym.shaping.reading import WHOLE
from shapegym.shaping.surfaces.stored_rows import StoredRows
from shapegym.shaping.surfaces.wiring import engine_of, wire
from shapegym.shaping.terms.counts import CountBonus
from shapegym.shaping.terms.potential import Potential
from shapegym.shaping.transitions import Spec, Transitions
from shapegym.shaping.types import Term
from shapegym.shaping.weights.paying import paying
from shapegym.shaping.weights.schedules import Linear

torch.set_num_threads(1)
GAMMA = 0.9
PROGRESS = TaskReward() + Potential("features.progress")
GATED = gate(Potential("features.progress"), threshold=0.5)
FADING = TaskReward() + Constant(1.0) * Linear(1.0, 0.0, 400)
SETTINGS = {
    "train_freq": 1,
    "buffer_size": 1000,
    "learning_starts": 40,
    "batch_size": 8,
    "gamma": GAMMA,
    "seed": 0,
    "device": "cpu",
    "policy_kwargs": {"net_arch": [4]},
}


def toward(step):
    return potential(step, GAMMA)


def make_walks(count=2, kind="box", **kwargs):
    walks = [Walk(kind, lane, **kwargs) for lane in range(count)]
    return walks, DummyVecEnv([lambda walk=walk: walk for walk in walks])


def settings(**changes):
    return deepcopy({**SETTINGS, **changes})  # SB3 writes into the dicts that it is given


def make_dqn(venv, expression, policy="MlpPolicy", **kwargs):
    return wire(DQN(policy, venv, **settings(**kwargs)), expression)


def table(logs, values):
    """Shaped reward by what is unique in an observation."""
    return {
        float(step.obs[1]): values[t, lane]
        for lane, log in enumerate(logs)
        for t, step in enumerate(log[: len(values)])
    }


def sampled(model, batch=400, env=None):
    """Unnormalised (observation key, reward) of a sample."""
    data = model.replay_buffer.sample(batch, env=env)
    obs = data.observations.numpy()
    if env is not None:
        obs = env.unnormalize_obs(obs)
    return obs[:, -1], data.rewards.numpy()[:, 0]


@pytest.mark.parametrize(
    ("algorithm", "continuous"),
    [(DQN, False), (QRDQN, False), (SAC, True), (TD3, True), (DDPG, True), (TQC, True)],
)
def test_buffers_hold_the_shaped_rewards(algorithm, continuous):
    walks, venv = make_walks(continuous=continuous)
    model = algorithm("MlpPolicy", venv, **settings())
    wire(model, PROGRESS).learn(60)
    reference = additive([walk.log for walk in walks], GAMMA)
    np.testing.assert_allclose(model.replay_buffer.rewards[:30], reference, atol=1e-6)
    np.testing.assert_array_equal(
        model.replay_buffer.task_rewards[:30], [[walk.log[t].reward for walk in walks] for t in range(30)]
    )
    keys, rewards = sampled(model)
    lookup = table([walk.log for walk in walks], reference)
    np.testing.assert_allclose(rewards, [lookup[float(key)] for key in keys], atol=1e-6)
    assert len(model.env.drain_records()) == sum(
        s.terminated or s.truncated for walk in walks for s in walk.log
    )


@pytest.mark.parametrize(("algorithm", "continuous"), [(DQN, False), (SAC, True)])
def test_the_bonus_alone_is_paid_and_fades_or_stops_as_it_is_asked(algorithm, continuous):
    """What was stored while there was a bonus is worth the task alone, once there is none."""
    for expression, pay in (
        (PROGRESS, "bonus"),
        (TaskReward() + 0.5 * Constant(1.0), "until:50"),
        (TaskReward() + 0.5 * Constant(1.0), "anneal:120"),
        (GATED, "bonus"),
    ):
        walks, venv = make_walks(continuous=continuous)
        model = wire(algorithm("MlpPolicy", venv, **settings()), paying(expression, pay))
        model.learn(60)
        logs = [walk.log for walk in walks]
        tasks = np.array([[step.reward for step in log] for log in zip(*logs, strict=True)])
        if pay == "bonus":
            whole = additive(logs, GAMMA) if expression is PROGRESS else gated(logs, toward, 0.5)
            wanted = whole - tasks
        else:
            wanted = tasks + (0.0 if pay == "until:50" else 0.25)
        lookup = table(logs, wanted)
        keys, rewards = sampled(model)
        np.testing.assert_allclose(rewards, [lookup[float(key)] for key in keys], atol=1e-6)
        np.testing.assert_array_equal(model.replay_buffer.task_rewards[:30], tasks[:30])


def test_dict_observations():
    walks, venv = make_walks(kind="dict")
    model = make_dqn(venv, TaskReward() + 0.2 * Potential("obs.achieved_goal"), "MultiInputPolicy")
    model.learn(60)
    np.testing.assert_allclose(
        model.replay_buffer.rewards[:30], additive([walk.log for walk in walks], GAMMA), atol=1e-6
    )


@pytest.mark.parametrize("wrap", [lambda venv: venv, lambda venv: VecNormalize(venv, norm_reward=False)])
@pytest.mark.parametrize("expression", [PROGRESS, FADING], ids=["pure", "moving"])
def test_normalised_observations_change_no_reward(wrap, expression):
    walks, venv = make_walks(1)
    wrapped = wrap(venv)
    model = make_dqn(wrapped, TaskReward() + Potential("obs[0]") if expression is PROGRESS else expression)
    model.learn(60)
    logs = [walk.log for walk in walks]
    reference = additive(logs, GAMMA)
    if expression is FADING:
        reference = np.array([[step.reward + 1 - 60 / 400 for step in logs[0]]]).T
    _, rewards = sampled(model, env=model.get_vec_normalize_env())
    assert set(np.round(rewards, 4)) <= set(np.round(reference[:, 0].astype(np.float32), 4))


def test_a_full_buffer_overwrites_its_oldest_rewards():
    walks, venv = make_walks()
    model = make_dqn(venv, PROGRESS, buffer_size=32)
    model.learn(90)
    reference = additive([walk.log for walk in walks], GAMMA)
    newest = np.roll(reference[-16:], len(reference) % 16, axis=0)
    np.testing.assert_allclose(model.replay_buffer.rewards, newest, atol=1e-6)


@pytest.mark.parametrize("size", [2000, 60])
def test_only_finished_episodes_of_a_gate_are_sampled(size):
    walks, venv = make_walks()
    model = make_dqn(venv, GATED, buffer_size=size)
    model.learn(200)
    logs = [walk.log for walk in walks]
    lookup = table(logs, gated(logs, toward, 0.5))
    keys, rewards = sampled(model)
    np.testing.assert_allclose(rewards, [lookup[float(key)] for key in keys], atol=1e-6)
    assert len({*keys}) > 30
    if size == 60:  # also what is left of episodes that are partly overwritten
        kept = {float(key) for key in model.replay_buffer.observations[..., 1].reshape(-1)}
        known = {key for key, value in lookup.items() if key in kept and not np.isnan(value)}
        assert {float(key) for key in sampled(model, 3000)[0]} == known


@pytest.mark.parametrize(
    "expression",
    [
        GATED,
        clip(GATED, -0.1, 0.2),
        Gate((TaskReward(), Potential("features.progress")), (0.5,), fragments="closed"),
    ],
    ids=["gate", "clip", "closed"],
)
def test_the_books_hold_what_whole_episodes_are_paid(expression):
    model = make_dqn(make_walks(1)[1], expression)
    model.learn(200)
    records = model.env.drain_records()
    ends = np.cumsum([record.length for record in records])
    paid = np.split(model.replay_buffer.rewards[: ends[-1], 0].astype(np.float64), ends[:-1])
    assert len(records) > 10
    booked = [record.shaped_return for record in records]
    np.testing.assert_allclose(booked, [episode.sum() for episode in paid], atol=1e-5)


def test_an_episode_abandoned_by_a_reset_is_never_sampled():
    walks, venv = make_walks(cut=0.05)
    model = make_dqn(venv, GATED)
    for _ in range(6):
        model.learn(20)  # resets the environment
    logs = [walk.log for walk in walks]
    reference = gated(logs, toward, 0.5)
    assert np.isnan(reference[:50]).any()
    lookup = table(logs, reference)
    keys, rewards = sampled(model)
    np.testing.assert_allclose(rewards, [lookup[float(key)] for key in keys], atol=1e-6)


def test_sampling_before_an_episode_has_ended_is_an_error():
    _, venv = make_walks(cut=0.0)
    with pytest.raises(HindsightError, match="learning_starts"):
        make_dqn(venv, GATED, learning_starts=2).learn(10)


def test_an_episode_longer_than_the_buffer_is_an_error():
    class Endless(Walk):
        def step(self, action):
            obs, _, _, _, info = super().step(action)
            return obs, 0.0, False, False, info

    venv = DummyVecEnv([Endless])
    with pytest.raises(HindsightError, match="longer than the buffer"):
        make_dqn(venv, GATED, buffer_size=16, learning_starts=1000).learn(40)


def test_moving_parts_are_those_of_the_moment_of_sampling():
    walks, venv = make_walks()
    model = make_dqn(venv, FADING)
    model.learn(100)
    assert engine_of(model).clock == 100
    task = table(
        [walk.log for walk in walks], np.array([[step.reward for step in walk.log] for walk in walks]).T
    )
    keys, rewards = sampled(model)
    np.testing.assert_allclose(rewards, [task[float(key)] + 0.75 for key in keys], atol=1e-6)


def test_lifetime_counts_are_those_of_the_moment_of_sampling():
    walks, venv = make_walks(kind="discrete")
    model = make_dqn(venv, TaskReward() * 0.0 + CountBonus("obs"))
    model.learn(100)
    cells = [step.next_obs for walk in walks for step in walk.log]
    data = model.replay_buffer.sample(200)
    reached = data.next_observations.numpy()[:, 0]
    np.testing.assert_allclose(
        data.rewards.numpy()[:, 0], [cells.count(cell) ** -0.5 for cell in reached], rtol=1e-5
    )


@pytest.mark.parametrize("size", [2000, 60])
def test_a_gate_over_moving_parts_measures_whole_episodes_again(size):
    walks, venv = make_walks()
    model = make_dqn(venv, gate(Constant(1.0) * Linear(1.0, 0.0, 400), threshold=0.5), buffer_size=size)
    model.learn(200)
    logs = [walk.log for walk in walks]
    lookup = table(logs, gated(logs, lambda step: 0.5, 0.5))
    assert {1.5, -0.125, 0.375} <= set(lookup.values())
    keys, rewards = sampled(model)
    np.testing.assert_allclose(rewards, [lookup[float(key)] for key in keys], atol=1e-6)


def test_steps_that_were_not_stored_leave_no_half_episodes():
    walks, venv = make_walks()
    model = make_dqn(venv, GATED)
    for _ in range(4):
        model.learn(50, reset_num_timesteps=False)
        model.env.step(
            np.zeros(2, dtype=int)
        )  # SB3 does not see it, and stores what follows after what it saw last
    buffer = model.replay_buffer
    for lane, walk in enumerate(walks):
        lengths = {float(step.obs[1]): 0 for step in walk.log}
        for step in walk.log:
            lengths[float(step.obs[1])] = sum(other.episode == step.episode for other in walk.log)
        rows = np.flatnonzero(buffer.episode_length[:, lane])
        keys = buffer.observations[rows, lane, 1]
        assert [lengths[float(key)] for key in keys] == buffer.episode_length[rows, lane].tolist()
        missing = sum(step.terminated or step.truncated for step in walk.log) - len(
            np.unique(buffer.episode_start[rows, lane])
        )
        assert missing > 0


def test_stacked_frames_and_images_are_measured_as_the_environment_gave_them():
    walks, venv = make_walks(1, kind="image")
    expression = TaskReward() * 0.0 + CountBonus("obs[0]") * Linear(1.0, 0.0, 200)
    model = DQN(
        "CnnPolicy",
        VecFrameStack(venv, 2),
        **settings(learning_starts=1000, policy_kwargs={}, buffer_size=100),
    )
    wire(model, expression).learn(50)
    data = model.replay_buffer.sample(60)
    pixel = [int(step.next_obs[0, 0, 0]) for step in walks[0].log]
    newest = data.next_observations.numpy()[:, -1, 0, 0]
    expected = [0.75 * pixel.count(value) ** -0.5 for value in newest]
    np.testing.assert_allclose(data.rewards.numpy()[:, 0], expected, rtol=1e-5)


@pytest.mark.parametrize("expression", [PROGRESS, FADING], ids=["pure", "moving"])
def test_n_step_returns_add_shaped_rewards(expression):
    walks, venv = make_walks()
    model = make_dqn(venv, expression, n_steps=3)
    model.learn(100)
    logs = [walk.log for walk in walks]
    rewards = additive(logs, GAMMA)
    if expression is FADING:
        rewards = np.array([[step.reward + 0.75 for step in log] for log in logs]).T
    lookup = {}
    for lane, log in enumerate(logs):
        for t, step in enumerate(log):
            total = 0.0
            for i in range(3):
                if t + i >= len(log):
                    break
                total += GAMMA**i * rewards[t + i, lane]
                if log[t + i].terminated or log[t + i].truncated:
                    break
            lookup[float(step.obs[1])] = total
    keys, returns = sampled(model)
    np.testing.assert_allclose(returns, [lookup[float(key)] for key in keys], atol=1e-5)


def test_what_n_step_returns_cannot_add_is_an_error():
    _, venv = make_walks()
    with pytest.raises(HindsightError, match="n_steps=1"):
        make_dqn(venv, GATED, n_steps=3)


def test_memory_efficient_buffers():
    walks, venv = make_walks()
    options = {"optimize_memory_usage": True, "replay_buffer_kwargs": {"handle_timeout_termination": False}}
    model = make_dqn(venv, PROGRESS, **options)
    model.learn(60)
    np.testing.assert_allclose(
        model.replay_buffer.rewards[:30], additive([walk.log for walk in walks], GAMMA), atol=1e-6
    )
    with pytest.raises(WiringError, match="optimize_memory_usage"):
        make_dqn(make_walks()[1], GATED, **options)


@pytest.mark.parametrize("key", ["features.progress", "obs[0]"])
def test_memory_efficient_buffers_measure_again(key):
    walks, venv = make_walks()
    options = {"optimize_memory_usage": True, "replay_buffer_kwargs": {"handle_timeout_termination": False}}
    model = make_dqn(venv, TaskReward() + CountBonus(key, beta=0.75), **options)
    model.learn(60)
    cells = [round(5 * step.next_progress) for walk in walks for step in walk.log]
    rewards = {
        float(step.obs[1]): step.reward + 0.75 * cells.count(round(5 * step.next_progress)) ** -0.5
        for walk in walks
        for step in walk.log
    }
    keys, sampled_rewards = sampled(model, 300)
    np.testing.assert_allclose(sampled_rewards, [rewards[float(key)] for key in keys], atol=1e-6)


def stored_observations(model):
    """Numbers that the buffer keeps of observations beside SB3's own."""
    kept = model.replay_buffer.memory._rows
    return sum(
        leaf.size
        for side in ("obs", "next_obs")
        for leaf in (
            kept[side].values() if isinstance(kept.get(side), dict) else [kept.get(side, np.empty(0))]
        )
    )


@pytest.mark.parametrize(
    ("expression", "numbers"),
    [
        (CountBonus("features.progress"), 0),
        (Constant(1.0) * Linear(1.0, 0.0, 10), 0),
        (
            TaskReward() + Potential("obs[0]") + CountBonus("features.progress"),
            0,
        ),  # the potential never moves
        (CountBonus("obs[0]"), 2 * 1000 * 2),
    ],
)
def test_no_observation_is_kept_that_nobody_reads_again(expression, numbers):
    _, venv = make_walks(1)
    model = make_dqn(VecNormalize(venv, norm_reward=False), expression)
    model.learn(60)
    model.replay_buffer.sample(20)
    assert stored_observations(model) == numbers


def test_of_dict_observations_single_entries_are_kept():
    _, venv = make_walks(1, kind="dict")
    model = make_dqn(VecFrameStack(venv, 2), CountBonus("obs.achieved_goal"), "MultiInputPolicy")
    model.learn(60)
    model.replay_buffer.sample(20)
    assert stored_observations(model) == 2 * 1000 * 1


def test_a_term_that_reads_without_saying_so_is_told():
    @dataclass(frozen=True)
    class Secret(Term):
        replay: ClassVar[Replay] = Replay.FROZEN

        def measure(self, transitions, state, *inputs):
            return transitions.next_obs[:, 0].astype(float)

    class Open(Secret):
        entries = (WHOLE,)

    _, venv = make_walks(1)
    make_dqn(VecNormalize(venv, norm_reward=False), Open()).learn(60)
    with pytest.raises(ObservationError, match="WHOLE"):
        make_dqn(VecNormalize(make_walks(1)[1], norm_reward=False), Secret()).learn(60)


def test_a_reward_edited_by_a_callback_is_an_error():
    class Edits(BaseCallback):
        def _on_step(self):
            self.locals["rewards"] += 1000
            return True

    _, venv = make_walks()
    with pytest.raises(WiringError, match="callback"):
        make_dqn(venv, PROGRESS).learn(10, callback=Edits())


def test_another_environment_after_wiring_is_an_error():
    _, venv = make_walks()
    model = make_dqn(venv, PROGRESS)
    model.set_env(make_walks()[1])
    with pytest.raises(WiringError, match="set_env"):
        model.learn(10)


@pytest.mark.parametrize("expression", [PROGRESS, GATED, FADING], ids=["pure", "gated", "moving"])
def test_a_saved_buffer_is_loaded_before_wiring(tmp_path, expression):
    _, venv = make_walks()
    model = make_dqn(venv, expression)
    model.learn(100)
    model.save_replay_buffer(tmp_path / "buffer.pkl")
    again = DQN("MlpPolicy", make_walks()[1], **settings())
    again.load_replay_buffer(tmp_path / "buffer.pkl")
    with pytest.raises(WiringError, match="wire"):
        again.replay_buffer.sample(4)
    wire(again, expression)
    rewards = again.replay_buffer.rewards.copy()
    np.testing.assert_array_equal(rewards, model.replay_buffer.rewards)
    again.learn(100)
    for unlike, changes in (
        (expression + 2.0, {}),
        (Scale(expression, 2.0), {}),  # equal terms, other rewards
        (expression, {"gamma": 0.5}),
    ):
        other = DQN("MlpPolicy", make_walks()[1], **settings(**changes))
        other.load_replay_buffer(tmp_path / "buffer.pkl")
        with pytest.raises(WiringError, match="Wire the expression that filled it"):
            wire(other, unlike)


def test_an_emptied_buffer_is_empty():
    _, venv = make_walks()
    model = make_dqn(venv, GATED)
    model.learn(100)
    model.replay_buffer.reset()
    with pytest.raises(HindsightError, match="No episode"):
        model.replay_buffer.sample(4)


def test_a_feature_that_begins_as_an_integer_is_kept_whole():
    spec = Spec(1, gym.spaces.Discrete(2), gym.spaces.Discrete(2))
    memory = StoredRows(spec, 4, keep_observations=True)
    lanes = np.zeros(1, dtype=np.int64)
    no = np.zeros(1, dtype=bool)
    for step, value in enumerate((0, 0.5, 1)):
        features = {"progress": np.array([value])}
        memory.write(step, Transitions(lanes, lanes, lanes, lanes * 0.0, no, no, no, ~no, features, features))
    again = memory.read(np.arange(3), None, None, np.zeros(3))
    np.testing.assert_array_equal(again.features["progress"], [0.0, 0.5, 1.0])
    np.testing.assert_array_equal(again.next_features["progress"], [0.0, 0.5, 1.0])
