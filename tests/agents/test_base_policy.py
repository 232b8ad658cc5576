"""Base data as it is recorded: what the policy did, with its errors, in any environment."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.vec_env import DummyVecEnv

from shapegym.agents.base_policy import record_base
from shapegym.agents.environments import make_vec_env
from shapegym.agents.errors import SettingsError
from shapegym.agents.finite.oracle import OptimalPolicy, RandomPolicy
from shapegym.shaping.errors import FeatureError
from shapegym.shaping.models.base_data import load_base
from shapegym.shaping.terms.occupancy import OccupancyPenalty
from shapegym.shaping.transitions import Spec

CORRIDOR = "shapegym/Corridor-v0"


def test_lanes_as_arrays_are_recorded_with_what_the_policy_did_and_its_errors(tmp_path: Path) -> None:
    path = tmp_path / "base.npz"
    policy = OptimalPolicy(CORRIDOR)
    record_base(policy, CORRIDOR, path, steps=2000, random_actions=0.5, features=("state",))
    data = load_base(path)
    assert len(data) == len(data.obs) == len(data.features["state"]) == 2000
    best = policy.predict(data.obs)[0]
    np.testing.assert_array_equal(policy.states_of(data.obs), data.features["state"].reshape(-1))
    actions = make_vec_env(CORRIDOR).action_space.n  # type: ignore[attr-defined]
    assert np.mean(data.action != best) == pytest.approx(0.5 * (1 - 1 / actions), abs=0.05)
    venv = make_vec_env(CORRIDOR)
    spec = Spec(1, venv.observation_space, venv.action_space)
    OccupancyPenalty(str(path), keys=("obs", "features.state"), action=True, hidden=4).init(spec)


def test_recording_again_writes_the_same_file(tmp_path: Path) -> None:
    for name in ("one.npz", "two.npz"):
        record_base(OptimalPolicy(CORRIDOR), CORRIDOR, tmp_path / name, steps=100, seed=3)
    assert load_base(tmp_path / "one.npz").digest == load_base(tmp_path / "two.npz").digest


def test_features_of_lanes_one_by_one_are_those_of_the_state_before_the_action(tmp_path: Path) -> None:
    venv = make_vec_env("CartPole-v1", 3)
    assert isinstance(venv, DummyVecEnv)
    record_base(
        RandomPolicy(venv.action_space), venv, tmp_path / "base.npz", steps=300, features=("cart_position",)
    )
    data = load_base(tmp_path / "base.npz")  # episodes end in between
    np.testing.assert_allclose(data.features["cart_position"], data.obs[:, 0], atol=1e-6)
    with pytest.raises(FeatureError, match="height"):
        record_base(RandomPolicy(venv.action_space), venv, tmp_path / "base.npz", features=("height",))
    with pytest.raises(FeatureError, match="height"):
        record_base(OptimalPolicy(CORRIDOR), CORRIDOR, tmp_path / "base.npz", features=("height",))


@pytest.mark.parametrize("options", [{"steps": 0}, {"steps": 1.5}, {"random_actions": 1.1}])
def test_settings_out_of_range_are_named(tmp_path: Path, options: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match=next(iter(options))):
        record_base(OptimalPolicy(CORRIDOR), CORRIDOR, tmp_path / "base.npz", **options)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


class Counting:
    """A policy with a memory: how many steps the episode has had. It takes action 1 at every second one."""

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        steps = np.zeros(len(observation)) if state is None else state[0]
        steps = np.where(episode_start, 0, steps)
        return (steps % 2).astype(np.int64), (steps + 1,)


def test_a_policy_with_memory_gets_it_back_and_loses_it_with_the_episode(tmp_path: Path) -> None:
    venv = DummyVecEnv([lambda: gym.make(CORRIDOR, max_episode_steps=5)])
    record_base(Counting(), venv, tmp_path / "base.npz", steps=10, random_actions=0.0)
    assert load_base(tmp_path / "base.npz").action.tolist() == [0, 1, 0, 1, 0] * 2
