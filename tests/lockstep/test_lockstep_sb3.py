"""The same stream on Stable-Baselines3's surfaces: at each step, per rollout, per replayed episode, and with virtual goals.

SB3 resets in the step that ends an episode, so its transitions are those of SAME_STEP, and it stores rewards as float32.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch as th
from script_reference import actions_at, hand_built
from stable_baselines3.common.buffers import DictReplayBuffer, DictRolloutBuffer, ReplayBuffer, RolloutBuffer
from stable_baselines3.common.vec_env import DummyVecEnv
from stable_baselines3.her.her_replay_buffer import HerReplayBuffer

from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.evaluation.tape import whole_episode
from shapegym.shaping.promises import Replay
from shapegym.shaping.surfaces.sb3_buffers import HindsightBuffer
from shapegym.shaping.surfaces.sb3_her import ShapedHerReplayBuffer
from shapegym.shaping.surfaces.sb3_replay import ShapedDictReplayBuffer, ShapedReplayBuffer
from shapegym.shaping.surfaces.sb3_rollout import ShapedDictRolloutBuffer, ShapedRolloutBuffer
from shapegym.shaping.surfaces.sb3_vec import MeasuringVecEnv, ShapedVecEnv
from shapegym.shaping.testing import examples
from shapegym.shaping.testing.scripted import SCRIPTED_FEATURES, ScriptedEnv
from shapegym.shaping.transitions import Episodes, Spec, Transitions
from shapegym.shaping.tree import compares_episodes, terms_of
from shapegym.shaping.types import Example, is_episodic

STEPS, ROLLOUT = 26, 13
CASES = [
    pytest.param(example, id=f"{name}-{number}")
    for name, shown in examples().items()
    for number, example in enumerate(shown)
]
lanes_of_the_matrix = pytest.mark.parametrize("lanes", [1, 3, pytest.param(16, marks=pytest.mark.slow)])
every_example = pytest.mark.parametrize("example", CASES)


def scripted(example: Example, lanes: int) -> DummyVecEnv:
    return DummyVecEnv([partial(ScriptedEnv, example.observation, lane) for lane in range(lanes)])


def bound(example: Example, lanes: int, **options: Any) -> RewardEngine:
    env = ScriptedEnv(example.observation)
    spec = Spec(lanes, env.observation_space, env.action_space, SCRIPTED_FEATURES)
    return RewardEngine(example.node, spec, **options)


def measured(engine: RewardEngine, example: Example, lanes: int) -> tuple[np.ndarray, list[Transitions]]:
    stream = list(hand_built(example.observation, lanes, STEPS, reset_rows=False))
    return np.stack([engine.measure(step).copy() for step in stream], axis=1), stream


def column(stream: list[Transitions], name: str) -> np.ndarray:
    return np.stack([getattr(step, name) for step in stream])


@lanes_of_the_matrix
@every_example
def test_the_vec_env_pays_at_each_step(example: Example, lanes: int) -> None:
    engine = bound(example, lanes, pay_at_end=True)
    venv = ShapedVecEnv(scripted(example, lanes), example.node, pay_at_end=True)
    venv.reset()
    for t, transitions in enumerate(hand_built(example.observation, lanes, STEPS, reset_rows=False)):
        expected, contributions, records = engine.step(transitions)
        _, rewards, _, infos = venv.step(actions_at(t, lanes))
        np.testing.assert_array_equal(venv.last_shaped_reward, expected)
        np.testing.assert_array_equal(rewards, expected.astype(np.float32))
        np.testing.assert_array_equal(list(venv.reward_parts.values()), contributions)
        told = {lane: info["shaping_episode"] for lane, info in enumerate(infos) if "shaping_episode" in info}
        assert told == {record.lane: record.as_info() for record in records}


@lanes_of_the_matrix
@every_example
def test_rollout_buffers_pay_each_rollout(example: Example, lanes: int) -> None:
    engine = bound(example, lanes, learn_every=None)  # what learns learns from each rollout before it is paid
    stream = list(hand_built(example.observation, lanes, STEPS, reset_rows=False))
    venv = MeasuringVecEnv(scripted(example, lanes), example.node, capacity=ROLLOUT)
    plain: Any = DictRolloutBuffer if example.observation == "dict" else RolloutBuffer
    shaped: Any = ShapedDictRolloutBuffer if example.observation == "dict" else ShapedRolloutBuffer
    buffer = shaped.in_place_of(
        plain(ROLLOUT, venv.observation_space, venv.action_space, n_envs=lanes), venv, keep_observations=False
    )
    obs = venv.reset()
    nothing = th.zeros(lanes)
    for start in range(0, STEPS, ROLLOUT):
        rows = slice(start, start + ROLLOUT)
        episodes = Episodes(
            *(column(stream[rows], name) for name in ("first", "terminated", "truncated", "active"))
        )
        task = column(stream[rows], "reward")
        parts = np.stack([engine.measure(step).copy() for step in stream[rows]], axis=1)
        if engine.waits:
            parts = engine.learn()
        _, expected, _ = engine.settle(parts, task, episodes, clock=start * lanes)
        buffer.reset()
        for t in range(start, start + ROLLOUT):
            actions = actions_at(t, lanes)
            next_obs, rewards, dones, _ = venv.step(actions)
            buffer.add(obs, actions, rewards, dones, nothing, nothing)
            obs = next_obs
        buffer.compute_returns_and_advantage(nothing, dones)
        np.testing.assert_allclose(buffer.rewards, expected, rtol=1e-6, atol=1e-6)


@lanes_of_the_matrix
@pytest.mark.parametrize("example", [case for case in CASES if not compares_episodes(case.values[0].node)])
def test_replay_buffers_pay_with_the_hindsight_of_whole_episodes(example: Example, lanes: int) -> None:
    engine = bound(example, lanes)
    parts, stream = measured(engine, example, lanes)
    plain: Any = DictReplayBuffer if example.observation == "dict" else ReplayBuffer
    shaped: Any = ShapedDictReplayBuffer if example.observation == "dict" else ShapedReplayBuffer
    buffer = filled(example, lanes, plain, shaped)
    first, last = column(stream, "first"), column(stream, "terminated") | column(stream, "truncated")
    for lane in range(lanes):
        ends = np.flatnonzero(last[:, lane])
        for begin, end in zip(np.flatnonzero(first[:, lane]), ends, strict=False):  # the last one is open
            steps = np.arange(begin, end + 1)
            block = np.ascontiguousarray(parts[:, steps, lane])[:, :, None]
            expected = engine.pay(block, whole_episode(len(steps), bool(stream[end].terminated[lane])))[:, 0]
            np.testing.assert_allclose(buffer.rewards[steps, lane], expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(buffer.task_rewards[:STEPS], column(stream, "reward"))


def relabels_alone(example: Example) -> bool:
    """Whether a virtual transition's reward can be computed from what a sample holds."""
    terms = terms_of(example.node)
    return (
        example.observation == "dict"
        and not is_episodic(example.node)
        and all(term.replay is Replay.RECOMPUTE and not term.reads for term in terms)
    )


@lanes_of_the_matrix
@pytest.mark.parametrize("example", [case for case in CASES if relabels_alone(case.values[0])])
def test_virtual_goals_are_paid_as_if_they_had_been_the_goal(example: Example, lanes: int) -> None:
    buffer = filled(
        example,
        lanes,
        partial(HerReplayBuffer, env=scripted(example, lanes), n_sampled_goal=4),
        ShapedHerReplayBuffer,
    )
    samples = buffer.sample(200)
    engine = bound(example, 200)
    dones = samples.dones.numpy().reshape(-1).astype(bool)
    obs, next_obs = (
        {key: values.numpy() for key, values in side.items()}
        for side in (samples.observations, samples.next_observations)
    )
    task = ScriptedEnv("dict").compute_reward(next_obs["achieved_goal"], next_obs["desired_goal"], None)
    transitions = Transitions(
        obs=obs,
        action=samples.actions.numpy().reshape(-1),
        next_obs=next_obs,
        reward=task,
        terminated=dones,
        truncated=np.zeros_like(dones),
        first=np.zeros_like(dones),
        active=np.ones_like(dones),
    )
    expected = engine.pay(engine.measure(transitions))
    pursued = {
        tuple(goal)
        for step in hand_built("dict", lanes, STEPS, reset_rows=False)
        for goal in step.obs["desired_goal"]
    }
    assert any(tuple(goal) not in pursued for goal in obs["desired_goal"])
    np.testing.assert_allclose(samples.rewards.numpy().reshape(-1), expected, rtol=1e-6, atol=1e-6)


def filled(example: Example, lanes: int, plain: Any, shaped: type[HindsightBuffer]) -> Any:
    venv = MeasuringVecEnv(scripted(example, lanes), example.node, capacity=1, pay_at_end=True)
    inner = plain(2 * STEPS * lanes, venv.observation_space, venv.action_space, n_envs=lanes)
    buffer: Any = shaped.in_place_of(inner, venv, keep_observations=False)
    obs = venv.reset()
    for t in range(STEPS):
        actions = actions_at(t, lanes)
        next_obs, rewards, dones, infos = venv.step(actions)
        successor = (
            {key: values.copy() for key, values in next_obs.items()}
            if isinstance(next_obs, dict)
            else next_obs.copy()
        )
        for lane in np.flatnonzero(dones):
            last = infos[lane]["terminal_observation"]
            for rows, value in (
                [(successor[key], last[key]) for key in last]
                if isinstance(last, dict)
                else [(successor, last)]
            ):
                rows[lane] = value
        buffer.add(obs, successor, actions, rewards, dones, infos)
        obs = next_obs
    return buffer
