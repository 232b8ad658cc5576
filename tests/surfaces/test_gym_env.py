"""The Gymnasium surface beyond lockstep: infos, features, buffers that are reused, hostile use, saving."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded

from shapegym.shaping.algebra import TaskReward, add
from shapegym.shaping.combinators.gate import gate
from shapegym.shaping.errors import FeatureError, NonFiniteError, StateFileError
from shapegym.shaping.surfaces.gym_env import ShapedEnv
from shapegym.shaping.terms.counts import CountBonus
from shapegym.shaping.terms.events import Event
from shapegym.shaping.terms.potential import Potential
from shapegym.shaping.testing.scripted import ScriptedEnv

PHI = Potential("obs[0]", gamma=0.9).named("phi")


class Walk(gym.Env[Any, Any]):
    """x goes 1, 2, 3, ... in one buffer that is reused, and ends at 3; infos as given by `say`."""

    observation_space = gym.spaces.Box(-9.0, 9.0, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, say: Any = lambda x: {}) -> None:
        self.buffer = np.zeros(1, np.float32)
        self.info: dict[str, Any] = {}
        self.say = say

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.buffer[:] = 0
        return self.buffer, self._told()

    def step(self, action: Any) -> Any:
        self.buffer += 1
        return self.buffer, 1.0, bool(self.buffer[0] == 3), False, self._told()

    def _told(self) -> dict[str, Any]:
        self.info.clear()
        self.info.update(self.say(float(self.buffer[0])))
        return self.info


def episode(env: gym.Env[Any, Any]) -> list[tuple[float, dict[str, Any]]]:
    env.reset()
    paid = []
    while True:
        _, reward, terminated, truncated, info = env.step(0)
        paid.append((reward, info))
        if terminated or truncated:
            return paid


def test_infos_keep_the_task_reward_the_parts_and_the_episode() -> None:
    steps = episode(ShapedEnv(Walk(), TaskReward() + PHI))
    assert [reward for reward, _ in steps] == pytest.approx([1.9, 1.8, -1.0])
    for reward, info in steps:
        assert type(reward) is float
        assert info["task_reward"] == 1.0
        assert info["shaped_reward"] == reward
        assert sum(info["reward_parts"].values()) == reward
        assert set(info["reward_parts"]) == {"task_reward", "phi"}
    assert [("shaping_episode" in info) for _, info in steps] == [False, False, True]
    record = steps[-1][1]["shaping_episode"]
    assert record["task_return"] == 3.0
    assert record["shaped_return"] == pytest.approx(2.7)
    assert record["length"] == 3
    assert "success" not in record  # the environment does not say
    assert record["parts"] == pytest.approx({"task_reward": 3.0, "phi": -0.3})


def test_flat_infos_hold_the_same_as_arrays_without_nesting() -> None:
    nested, flat = (episode(ShapedEnv(Walk(), TaskReward() + PHI, flat_info=how)) for how in (False, True))
    for (paid, info), (also_paid, tensors) in zip(nested, flat, strict=True):
        assert paid == also_paid
        assert all(isinstance(value, np.generic) for value in tensors.values())
        assert tensors["task_reward"] == info["task_reward"]
        for name, part in info["reward_parts"].items():
            assert tensors[f"reward_parts/{name}"] == part
    record = nested[-1][1]["shaping_episode"]
    assert flat[-1][1]["shaping_episode/task_return"] == record["task_return"]
    assert flat[-1][1]["shaping_episode/parts/phi"] == record["parts"]["phi"]


def test_buffers_of_the_environment_may_be_reused() -> None:
    env = ShapedEnv(Walk(lambda x: {"x": np.full(1, x)}), Potential("features.x", gamma=1.0))
    assert [reward for reward, _ in episode(env)] == [1.0, 1.0, -2.0]


def test_the_environments_own_info_stays_as_it_is() -> None:
    inner = Walk(lambda x: {"x": x})
    episode(ShapedEnv(inner, TaskReward()))
    assert set(inner.info) == {"x"}


@pytest.mark.parametrize("key", ["success", "is_success"])
def test_success_is_booked_under_both_spellings_even_if_only_the_last_info_has_it(key: str) -> None:
    env = ShapedEnv(Walk(lambda x: {key: True} if x == 3 else {}), TaskReward())
    assert episode(env)[-1][1]["shaping_episode"]["success"] is True


def test_a_term_that_reads_success_finds_is_success() -> None:
    env = ShapedEnv(Walk(lambda x: {"is_success": x == 3}), Event("features.success"))
    assert [reward for reward, _ in episode(env)] == [0.0, 0.0, 1.0]


def test_a_missing_feature_is_named_with_what_there_is() -> None:
    env = ShapedEnv(Walk(lambda x: {"posn": x, "level": 1}), Potential("features.pos", gamma=0.9))
    with pytest.raises(FeatureError, match=r"'pos' .*reset.*Did you mean 'posn'.*level, posn"):
        env.reset()
    env = ShapedEnv(Walk(lambda x: {"pos": x} if x < 2 else {}), Potential("features.pos", gamma=0.9))
    env.reset()
    env.step(0)
    with pytest.raises(FeatureError, match="a step"):
        env.step(0)


def test_declared_features_are_checked_at_once() -> None:
    with pytest.raises(FeatureError, match=r"'agent_position'.*Did you mean 'agent_pos'"):
        ShapedEnv(ScriptedEnv(), CountBonus("features.agent_position"))


def test_an_attribute_called_features_that_declares_none_is_ignored() -> None:
    env = Walk(lambda x: {"pos": x})
    env.features = ["unrelated"]  # type: ignore[attr-defined]
    episode(ShapedEnv(env, Potential("features.pos", gamma=0.9)))


def test_reset_within_an_episode_starts_anew() -> None:
    env = ShapedEnv(Walk(), TaskReward() + CountBonus("obs", scope="episode", exponent=1.0))
    env.reset()
    env.step(0)
    _, info = episode(env)[-1]
    assert info["shaping_episode"]["length"] == 3
    assert info["shaping_episode"]["shaped_return"] == 6.0


def test_stepping_before_reset_is_an_error() -> None:
    with pytest.raises(ResetNeeded):
        ShapedEnv(Walk(), TaskReward()).step(0)


def test_an_episodic_reward_is_paid_at_the_end_on_request() -> None:
    env = ShapedEnv(Walk(), gate(Potential("obs[0]", gamma=1.0), threshold=2.0), pay_at_end=True)
    assert [reward for reward, _ in episode(env)] == [0.0, 0.0, 3.0]


def test_non_finite_parts_raise_or_count_as_zero() -> None:
    nan = Walk(lambda x: {"x": np.nan})
    env = ShapedEnv(nan, add(TaskReward(), Potential("features.x", gamma=0.9).named("bad")))
    env.reset()
    with pytest.raises(NonFiniteError, match="'bad' is nan"):
        env.step(0)
    env = ShapedEnv(nan, add(TaskReward(), Potential("features.x", gamma=0.9)), on_nonfinite="zero")
    with pytest.warns(RuntimeWarning, match="Counted as 0"):
        assert [reward for reward, _ in episode(env)] == [1.0, 1.0, 1.0]


def test_rewards_do_not_depend_on_whether_numbers_come_in_the_spaces_dtype() -> None:
    class Sloppy(Walk):
        def step(self, action: Any) -> Any:
            obs, *rest = super().step(action)
            return (obs.astype(np.float64) + 1e-12).tolist(), *rest

    phi = Potential("obs[0]", gamma=0.9)
    assert [r for r, _ in episode(ShapedEnv(Sloppy(), phi))] == [
        r for r, _ in episode(ShapedEnv(Walk(), phi))
    ]


def test_observations_with_text_are_carried_along() -> None:
    class Told(Walk):
        observation_space = gym.spaces.Dict({"x": Walk.observation_space, "mission": gym.spaces.Text(20)})

        def reset(self, **options: Any) -> Any:
            obs, info = super().reset(**options)
            return {"x": obs, "mission": "go"}, info

        def step(self, action: Any) -> Any:
            obs, *rest = super().step(action)
            return {"x": obs, "mission": "go"}, *rest

    assert [r for r, _ in episode(ShapedEnv(Told(), Potential("obs.x[0]", gamma=1.0)))] == [1.0, 1.0, -2.0]


def test_the_spec_rebuilds_the_wrapped_environment() -> None:
    env = ShapedEnv(gym.make("CartPole-v1"), TaskReward() + PHI, gamma=0.9, seed=3)
    twin = gym.make(env.spec)
    assert isinstance(twin, ShapedEnv)
    assert twin.engine.expression == env.engine.expression
    assert twin.engine.spec.gamma == 0.9
    assert twin.engine.spec.seed == 3


def test_what_terms_remember_is_saved_and_loaded(tmp_path: Any) -> None:
    expression = TaskReward() + CountBonus("obs", exponent=1.0)
    env = ShapedEnv(Walk(), expression)
    episode(env)
    env.save(tmp_path / "state.npz")
    twin = ShapedEnv(Walk(), expression)
    twin.reset()
    twin.load(tmp_path / "state.npz")
    with pytest.raises(ResetNeeded):
        twin.step(0)
    assert [reward for reward, _ in episode(twin)] == [1.5, 1.5, 1.5]
    with pytest.raises(StateFileError):
        ShapedEnv(Walk(), TaskReward()).load(tmp_path / "state.npz")
