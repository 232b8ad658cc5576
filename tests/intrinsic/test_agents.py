"""Learned bonuses with every kind of agent; and what a stored transition is worth later: measured again, or stamped."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from sb3_contrib import QRDQN, MaskablePPO, RecurrentPPO
from stable_baselines3 import DQN, SAC, TD3
from stable_baselines3.common.vec_env import DummyVecEnv

import shapegym as sg
from shapegym.shaping.surfaces.wiring import engine_of
from shapegym.shaping.testing import ScriptedEnv

ICM = sg.ICM(width=3, hidden=8, share=1.0, epochs=4, learning_rate=1e-2)
METHODS = {
    "rnd": sg.RND(width=3, hidden=8, share=1.0, epochs=4, learning_rate=1e-2),
    "icm": ICM,
    "disagreement": sg.Disagreement(members=2, width=3, hidden=8),
    "ride": sg.RIDE(width=3, hidden=8),
}


class _Forces(ScriptedEnv):
    def __init__(self) -> None:
        super().__init__()
        self.action_space = gym.spaces.Box(-2.0, 2.0, (2,))


class _Masked(ScriptedEnv):
    def action_masks(self) -> np.ndarray:
        return np.array([True, True, False])


def _replaying(algorithm: type, reward: sg.Expression, learn_every: int = 16):
    kind = _Forces if algorithm in (SAC, TD3) else ScriptedEnv
    model = algorithm(
        "MlpPolicy", DummyVecEnv([kind, kind]), learning_starts=8, batch_size=8, buffer_size=200, seed=0
    )
    return sg.wire(model, reward, learn_every=learn_every)


@pytest.mark.parametrize(
    ("algorithm", "method"),
    [*((DQN, method) for method in METHODS), (QRDQN, "rnd"), (SAC, "icm"), (TD3, "ride")],
)
def test_agents_with_a_replay_buffer_learn_from_what_a_transition_is_worth_now(
    algorithm: type, method: str
) -> None:
    model = _replaying(algorithm, sg.TaskReward() + METHODS[method])
    model.learn(40)
    buffer, engine = model.replay_buffer, engine_of(model)
    assert engine.moves
    assert engine.fitted
    paid = buffer.rewards[: buffer.pos].copy()
    buffer.refresh(np.arange(buffer.pos * 2))
    assert not np.allclose(
        buffer.rewards[: buffer.pos], paid
    )  # of the earliest steps, before anything was fitted
    assert np.isfinite(buffer.rewards).all()


@pytest.mark.parametrize("method", ["rnd", "ride"])
def test_what_is_stamped_is_worth_what_it_was(method: str) -> None:
    model = _replaying(DQN, sg.TaskReward() + sg.Stamped(METHODS[method]))
    model.learn(40)
    buffer, engine = model.replay_buffer, engine_of(model)
    assert engine.fitted
    assert not engine.moves
    assert buffer.memory is None  # so nothing is kept, or measured, a second time
    plain = _replaying(DQN, sg.TaskReward() + METHODS[method])
    plain.learn(8)  # before the first sample both pay the same
    np.testing.assert_array_equal(buffer.rewards[:4], plain.replay_buffer.rewards[:4])


def test_a_stamped_value_may_be_weighted_by_one_that_moves() -> None:
    weighted = sg.anneal(sg.Stamped(METHODS["rnd"]), sg.Linear(1.0, 0.0, 40))
    model = _replaying(DQN, sg.TaskReward() + weighted)
    model.learn(40)
    buffer = model.replay_buffer
    assert engine_of(model).moves
    buffer.refresh(np.arange(buffer.pos * 2))
    np.testing.assert_allclose(buffer.rewards[: buffer.pos], buffer.task_rewards[: buffer.pos], atol=1e-6)


@pytest.mark.parametrize("method", ["rnd", "ride"])
@pytest.mark.parametrize(
    ("algorithm", "policy", "kind"),
    [(MaskablePPO, "MlpPolicy", _Masked), (RecurrentPPO, "MlpLstmPolicy", ScriptedEnv)],
)
def test_agents_with_masks_and_memories_learn_from_them(
    algorithm: type, policy: str, kind: type, method: str
) -> None:
    model = algorithm(policy, DummyVecEnv([kind, kind]), n_steps=8, batch_size=8, n_epochs=1, seed=0)
    sg.wire(model, sg.TaskReward() + METHODS[method])
    model.learn(32)
    settled = model.rollout_buffer.settled
    assert engine_of(model).fitted
    assert np.isfinite(settled.shaped).all()
    assert not np.allclose(settled.shaped, settled.task)
