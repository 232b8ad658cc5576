"""Learned terms: the engine keeps experience and calls `fit`, before a rollout is paid or every so many steps."""

from dataclasses import dataclass
from typing import ClassVar

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import DQN, PPO

import shapegym as sg
from shapegym.agents.environments import make_vec_env
from shapegym.shaping.errors import StateFileError
from shapegym.shaping.files.state_files import load_engine, save_engine
from shapegym.shaping.promises import Replay
from shapegym.shaping.surfaces.vector_env import ShapedVectorEnv
from shapegym.shaping.surfaces.wiring import engine_of
from shapegym.shaping.testing import check_expression
from shapegym.shaping.testing.scripted import ScriptedEnv
from shapegym.shaping.transitions import Experience, Spec, State, Transitions
from shapegym.shaping.types import NODES, Term


@dataclass(frozen=True)
class MeanAction(Term):
    """The mean of all actions of the last fit."""

    learned: ClassVar[bool] = True
    replay: ClassVar[Replay] = Replay.FROZEN

    def init(self, spec: Spec) -> State:
        return {"mean": np.zeros(1), "fits": 0, "rows": 0}

    def fit(self, experience: Experience, state: State, *inputs: np.ndarray) -> dict[str, float]:
        batch = experience.rows()
        state["mean"] = np.array([batch.action.mean()])
        state["fits"] += 1
        state["rows"] = len(batch.reward)
        assert batch.obs.shape[0] == batch.next_obs.shape[0] == len(batch.first)
        return {"mean": float(state["mean"][0])}

    def measure(self, transitions: Transitions, state: State, *inputs: np.ndarray) -> np.ndarray:
        return np.full(transitions.num_lanes, state["mean"][0])


@pytest.fixture(autouse=True)
def _unregister():
    yield
    # Registered by its definition above: other tests go through all nodes, and this one is none of the project's.
    NODES.pop("mean_action", None)


NODES.pop("mean_action", None)


@pytest.fixture
def registered():
    NODES["mean_action"] = MeanAction


def test_a_rollout_is_paid_with_what_was_learned_from_it() -> None:
    model = PPO(
        "MlpPolicy", make_vec_env("shapegym/Corridor-v0", 2, seed=0), n_steps=16, batch_size=8, n_epochs=1
    )
    sg.wire(model, sg.TaskReward() + MeanAction())
    for _ in range(2):
        model.learn(32, reset_num_timesteps=False)
        settled = model.rollout_buffer.settled
        mean = model.rollout_buffer.actions.mean()
        assert np.allclose(settled.contributions[1], mean)
        assert np.allclose(settled.shaped, settled.contributions.sum(axis=0))
        assert settled.parts.shape == (2, 16, 2)
    engine = engine_of(model)
    assert engine.states[1]["fits"] == 2
    assert engine.states[1]["rows"] == 32
    assert len(engine._recorder) == 0
    assert engine.fitted == {"mean_action/mean": pytest.approx(mean)}


def test_elsewhere_it_learns_every_so_many_steps_and_pays_from_then_on() -> None:
    env = sg.ShapedEnv(ScriptedEnv(), sg.TaskReward() + MeanAction())
    env.engine.learn_every = 10
    env.reset(seed=0)
    env.action_space.seed(0)
    paid, actions = [], []
    for _ in range(25):
        action = env.action_space.sample()
        _, _, terminated, truncated, info = env.step(action)
        actions.append(action)
        paid.append(info["reward_parts"]["mean_action"])
        if terminated or truncated:
            env.reset()
    assert paid[:10] == [0.0] * 10
    assert np.allclose(paid[10:20], np.mean(actions[:10]))
    assert np.allclose(paid[20:], np.mean(actions[10:20]))


def test_a_replay_buffer_measures_stored_transitions_with_the_latest_fit() -> None:
    model = DQN(
        "MlpPolicy", make_vec_env("shapegym/Corridor-v0", 1, seed=0), learning_starts=1000, buffer_size=500
    )
    sg.wire(model, sg.TaskReward() + MeanAction())
    engine_of(model).learn_every = 50
    model.learn(120)
    mean = engine_of(model).states[1]["mean"][0]
    assert mean > 0
    batch = model.replay_buffer.sample(64)
    task = np.isin(batch.rewards.numpy() - np.float32(mean), [0.0, 1.0])
    assert np.allclose(batch.rewards.numpy()[task], mean, atol=1.0001)
    assert (np.abs(batch.rewards.numpy() - mean) < 1e-6).any()


def test_rows_that_are_no_transitions_are_not_learned_from() -> None:
    envs = gym.make_vec("shapegym/Corridor-v0", 3, autoreset_mode=gym.vector.AutoresetMode.NEXT_STEP)
    shaped = ShapedVectorEnv(envs, sg.TaskReward() + MeanAction())
    shaped.engine.learn_every = 400
    shaped.reset(seed=0)
    shaped.action_space.seed(0)
    for _ in range(400):
        shaped.step(shaped.action_space.sample())
    assert shaped.engine.states[1]["fits"] == 1
    assert shaped.engine.states[1]["rows"] == shaped.engine.clock < 1200


def test_experience_survives_a_saved_state(tmp_path, registered) -> None:
    def make():
        env = sg.ShapedEnv(gym.make("shapegym/Corridor-v0"), sg.TaskReward() + MeanAction())
        env.engine.learn_every = 30
        return env

    one, other = make(), make()
    one.reset(seed=3)
    for step in range(20):
        one.step(step % 2)
    save_engine(one.engine, tmp_path / "state.npz")
    load_engine(other.engine, tmp_path / "state.npz")
    assert len(other.engine._recorder) == 20
    other.reset(seed=3)
    for step in range(20):
        other.env.step(step % 2)
    for env in (one, other):
        for _ in range(10):
            env.step(1)
    assert one.engine.states[1]["fits"] == other.engine.states[1]["fits"] == 1
    assert np.array_equal(one.engine.states[1]["mean"], other.engine.states[1]["mean"])
    plain = sg.ShapedEnv(gym.make("shapegym/Corridor-v0"), sg.TaskReward())
    with pytest.raises(StateFileError, match="another expression"):
        load_engine(plain.engine, tmp_path / "state.npz")


def test_a_learned_term_keeps_the_contract(registered) -> None:
    check_expression(sg.TaskReward() + MeanAction(), steps=150)


def test_a_term_that_says_it_learns_must_say_how() -> None:
    @dataclass(frozen=True)
    class Forgetful(Term):
        learned: ClassVar[bool] = True

        def measure(self, transitions, state, *inputs):
            return np.zeros(transitions.num_lanes)

    NODES.pop("forgetful", None)
    env = sg.ShapedEnv(gym.make("shapegym/Corridor-v0"), sg.TaskReward() + Forgetful())
    env.engine.learn_every = 1
    env.reset(seed=0)
    with pytest.raises(NotImplementedError, match="Forgetful is learned"):
        env.step(0)
