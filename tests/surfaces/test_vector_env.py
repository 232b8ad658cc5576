"""The vector surface beyond lockstep: layouts of infos, dense final observations, partial resets, native environments."""

from __future__ import annotations

from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv

import shapegym  # noqa: F401  registers the environments
from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.errors import FeatureError, ObservationError, WiringError
from shapegym.shaping.states.distance import Distance
from shapegym.shaping.surfaces.vector_env import ShapedVectorEnv
from shapegym.shaping.terms.counts import CountBonus
from shapegym.shaping.terms.events import Event
from shapegym.shaping.terms.potential import Potential
from shapegym.shaping.testing.scripted import ScriptedEnv
from shapegym.shaping.types import ObservationKind

PHI = Potential("features.progress", gamma=0.9).named("phi")


def scripted(
    lanes: int = 3,
    mode: AutoresetMode = AutoresetMode.NEXT_STEP,
    observation: ObservationKind = "box",
    **options: Any,
) -> SyncVectorEnv:
    return SyncVectorEnv(
        [partial(ScriptedEnv, observation, lane, **options) for lane in range(lanes)], autoreset_mode=mode
    )


class Dense(VectorEnv):
    """The layout of environments that step arrays: one set of buffers that is reused, `final_obs` dense, no info masks."""

    def __init__(self, envs: SyncVectorEnv) -> None:
        self.envs = envs
        self.num_envs = envs.num_envs
        self.single_observation_space = envs.single_observation_space
        self.single_action_space = envs.single_action_space
        self.observation_space = envs.observation_space
        self.action_space = envs.action_space
        self.metadata = {"autoreset_mode": "SameStep"}
        self.buffers: dict[Any, np.ndarray] = {}

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        obs, infos = self.envs.reset(seed=seed, options=options)
        return self.reused("obs", obs), self.plain(infos)

    def step(self, actions: Any) -> Any:
        obs, rewards, terminated, truncated, infos = self.envs.step(actions)
        report = self.plain(infos)
        if "final_obs" in infos:
            ended = terminated | truncated
            report["final_obs"] = self.dense(obs, infos["final_obs"], ended)
            report["final_info"] = self.final(infos["final_info"], infos, ended)
        flags = self.reused("terminated", terminated), self.reused("truncated", truncated)
        return self.reused("obs", obs), self.reused("rewards", rewards), *flags, report

    def final(self, last: dict[str, Any], infos: dict[str, Any], ended: np.ndarray) -> dict[str, Any]:
        return {
            name: self.final(values, infos[name], ended)
            if isinstance(values, dict)
            else np.where(ended.reshape(-1, *(1,) * (values.ndim - 1)), values, infos[name])
            for name, values in last.items()
            if not name.startswith("_")
        }

    def dense(self, obs: Any, final: Any, ended: np.ndarray) -> Any:
        if isinstance(obs, dict):
            rows = {key: [None if one is None else one[key] for one in final] for key in obs}
            return {key: self.dense(obs[key], rows[key], ended) for key in obs}
        dense = obs.copy()
        for lane in np.flatnonzero(ended):
            dense[lane] = final[lane]
        return dense

    def plain(self, infos: dict[str, Any]) -> dict[str, Any]:
        return {
            name: self.reused(name, values)
            for name, values in infos.items()
            if not name.startswith("_") and not name.startswith("final")
        }

    def reused(self, name: Any, values: Any) -> Any:
        if isinstance(values, dict):
            return {key: self.reused((name, key), entry) for key, entry in values.items()}
        buffer = self.buffers.setdefault(name, np.zeros_like(values))
        buffer[...] = values
        return buffer


@pytest.mark.parametrize("observation", ["box", "discrete", "dict"])
def test_dense_layouts_and_reused_buffers_pay_the_same(observation: ObservationKind) -> None:
    key = "obs.observation" if observation == "dict" else "obs"
    expression = (
        TaskReward() + PHI + CountBonus(key, scope="episode") + Event("features.event", trigger="change")
    )
    listed = ShapedVectorEnv(scripted(5, AutoresetMode.SAME_STEP, observation), expression)
    dense = ShapedVectorEnv(Dense(scripted(5, AutoresetMode.SAME_STEP, observation)), expression)
    listed.reset()
    dense.reset()
    for _ in range(25):
        expected, paid = listed.step(np.zeros(5, int)), dense.step(np.zeros(5, int))
        np.testing.assert_array_equal(paid[1], expected[1])
        assert np.array_equal(paid[4].get("_shaping_episode"), expected[4].get("_shaping_episode"))


def test_infos_have_gymnasiums_layout() -> None:
    envs = ShapedVectorEnv(scripted(3), TaskReward() + PHI)
    envs.reset()
    first = envs.step(np.zeros(3, int))
    infos = first[4]
    assert infos["progress"].shape == (3,)  # the environment's own
    np.testing.assert_array_equal(infos["shaped_reward"], first[1])
    for key in ("task_reward", "shaped_reward"):
        assert infos[key].shape == (3,)
        assert infos[key].dtype == np.float64
        assert infos[f"_{key}"].all()
    np.testing.assert_array_equal(sum(infos["reward_parts"].values()), first[1])
    np.testing.assert_array_equal(infos["_shaping_episode"], [True, False, False])  # lane 0: one step long
    book = infos["shaping_episode"]
    assert book["length"].tolist() == [1, 0, 0]
    assert book["shaped_return"][0] == first[1][0]
    assert set(book["parts"]) == {"task_reward", "phi"}
    assert book["success"].dtype == bool
    envs.step(np.zeros(3, int))
    assert "shaping_episode" not in envs.step(np.zeros(3, int))[4]


def test_flat_infos_are_arrays_with_a_mask_each() -> None:
    both = [ShapedVectorEnv(scripted(3), TaskReward() + PHI, flat_info=how) for how in (False, True)]
    for envs in both:
        envs.reset()
    nested, flat = (envs.step(np.zeros(3, int))[4] for envs in both)
    for name in ("task_reward", "phi"):
        np.testing.assert_array_equal(flat[f"reward_parts/{name}"], nested["reward_parts"][name])
        assert flat[f"_reward_parts/{name}"].all()
    np.testing.assert_array_equal(flat["shaping_episode/length"], nested["shaping_episode"]["length"])
    np.testing.assert_array_equal(flat["_shaping_episode/length"], nested["_shaping_episode"])
    assert all(isinstance(value, np.ndarray) for key, value in flat.items() if "/" in key)


def test_what_was_returned_is_not_overwritten_by_later_steps() -> None:
    envs = ShapedVectorEnv(Dense(scripted(3, AutoresetMode.SAME_STEP)), TaskReward() + PHI)
    envs.reset()
    _, rewards, _, _, infos = envs.step(np.zeros(3, int))
    kept = (
        rewards.copy(),
        infos["task_reward"].copy(),
        {k: v.copy() for k, v in infos["reward_parts"].items()},
    )
    rewards_again = envs.step(np.zeros(3, int))[1]
    assert not np.array_equal(rewards_again, kept[0])
    np.testing.assert_array_equal(rewards, kept[0])
    np.testing.assert_array_equal(infos["task_reward"], kept[1])
    for name, values in kept[2].items():
        np.testing.assert_array_equal(infos["reward_parts"][name], values)


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_a_masked_reset_restarts_only_its_lanes(mode: AutoresetMode) -> None:
    envs = ShapedVectorEnv(scripted(3, mode), TaskReward())
    envs.reset()
    lengths = np.zeros(3, int)
    for t in range(12):
        _, _, terminated, truncated, infos = envs.step(np.zeros(3, int))
        ended = terminated | truncated
        lengths += 1
        if t == 1:
            lengths[1] = 0
            ended[1] = True
            envs.reset(options={"reset_mask": np.array([False, True, False]) | ended})
        elif ended.any():
            np.testing.assert_array_equal(infos["_shaping_episode"], ended)
            np.testing.assert_array_equal(infos["shaping_episode"]["length"][ended], lengths[ended])
            if mode is AutoresetMode.DISABLED:
                envs.reset(options={"reset_mask": ended})
        lengths[ended] = -1 if mode is AutoresetMode.NEXT_STEP and t != 1 else 0


class Undeclared(ScriptedEnv):
    """Without an attribute ``features`` at all, which a worker process must not be asked for."""

    def __init__(self) -> None:
        super().__init__()
        del self.features


@pytest.mark.parametrize("env", [ScriptedEnv, Undeclared])
def test_worker_processes_pay_the_same_and_outlive_the_binding(env: type[ScriptedEnv]) -> None:
    makers = [env, env]
    envs = AsyncVectorEnv(makers)
    try:
        shaped = ShapedVectorEnv(envs, TaskReward() + PHI)
        sync = ShapedVectorEnv(SyncVectorEnv(makers), TaskReward() + PHI)
        shaped.reset()
        sync.reset()
        for _ in range(6):
            np.testing.assert_array_equal(shaped.step(np.zeros(2, int))[1], sync.step(np.zeros(2, int))[1])
        with pytest.raises(FeatureError, match="Did you mean 'progress'"):
            ShapedVectorEnv(envs, Potential("features.progres", gamma=0.9)).reset()
    finally:
        envs.close()


def test_a_feature_that_only_some_lanes_give_is_an_error() -> None:
    class Sometimes(ScriptedEnv):
        def step(self, action: Any) -> Any:
            *step, info = super().step(action)
            if self._lane == 1:
                del info["progress"]
            return *step, info

    envs = SyncVectorEnv([partial(Sometimes, "box", lane, declare=False) for lane in range(2)])
    shaped = ShapedVectorEnv(envs, PHI)
    shaped.reset()
    with pytest.raises(FeatureError, match="'progress' is missing in the info of a step"):
        shaped.step(np.zeros(2, int))


def test_an_environment_must_say_how_it_resets() -> None:
    envs = scripted()
    del envs.metadata["autoreset_mode"]
    with pytest.raises(WiringError, match=r"None.*NEXT_STEP.*SAME_STEP.*DISABLED"):
        ShapedVectorEnv(envs, TaskReward())
    envs.metadata["autoreset_mode"] = "sometimes"
    with pytest.raises(WiringError, match="sometimes"):
        ShapedVectorEnv(envs, TaskReward())


def test_stepping_before_reset_is_an_error() -> None:
    with pytest.raises(ResetNeeded):
        ShapedVectorEnv(scripted(), TaskReward()).step(np.zeros(3, int))


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_classic_vector_environments_pay_as_their_single_form(mode: AutoresetMode) -> None:
    expression = TaskReward() + Potential("obs[2]", gamma=0.9) + CountBonus("obs", resolution=0.2)
    native = gym.make_vec("CartPole-v1", 4, vectorization_mode="sync", vector_kwargs={"autoreset_mode": mode})
    shaped = ShapedVectorEnv(native, expression)
    obs, _ = shaped.reset(seed=3)
    for _ in range(60):
        before = obs
        obs, rewards, terminated, truncated, infos = shaped.step(np.ones(4, int))
        final = np.stack(
            [
                row if last is None else last
                for row, last in zip(obs, infos.get("final_obs", [None] * 4), strict=True)
            ]
        )
        phi = np.where(terminated, 0.0, 0.9 * final[:, 2].astype(float)) - before[:, 2].astype(float)
        active = rewards != 0.0
        np.testing.assert_array_equal(infos["reward_parts"]["potential"][active], phi[active])
        if mode is AutoresetMode.DISABLED and (terminated | truncated).any():
            obs, _ = shaped.reset(options={"reset_mask": terminated | truncated})


@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize("name", ["FourRooms-v0", "PointMazeGoal-v0"])
def test_native_environments_pay_as_their_single_form(name: str, mode: AutoresetMode) -> None:
    expression = (
        TaskReward()
        + Potential(Distance("features.agent_pos", "features.goal_pos"), gamma=0.9)
        + Event("features.event", trigger="change")
    )
    native = ShapedVectorEnv(gym.make_vec(f"shapegym/{name}", 3, autoreset_mode=mode), expression)
    single = gym.make_vec(
        f"shapegym/{name}", 3, vectorization_mode="sync", vector_kwargs={"autoreset_mode": mode}
    )
    listed = ShapedVectorEnv(single, expression)
    native.reset(seed=5)
    listed.reset(seed=5)
    native.action_space.seed(0)
    ends = 0
    for _ in range(260):
        actions = native.action_space.sample()
        _, paid, terminated, truncated, _ = native.step(actions)
        np.testing.assert_array_equal(paid, listed.step(actions)[1])
        ended = terminated | truncated
        ends += ended.sum()
        if mode is AutoresetMode.DISABLED and ended.any():
            native.reset(options={"reset_mask": ended})
            listed.reset(options={"reset_mask": ended})
    assert ends


def test_what_terms_remember_is_saved_and_loaded(tmp_path: Any) -> None:
    expression = TaskReward() + CountBonus("features.agent_pos", exponent=1.0)
    envs = ShapedVectorEnv(scripted(), expression)
    envs.reset()
    for _ in range(5):
        envs.step(np.zeros(3, int))
    envs.save(tmp_path / "state.npz")
    twin = ShapedVectorEnv(scripted(), expression)
    twin.load(tmp_path / "state.npz")
    for shaped in (envs, twin):
        shaped.reset(seed=0)  # both from the scripts' beginning
    for _ in range(5):
        np.testing.assert_array_equal(twin.step(np.zeros(3, int))[1], envs.step(np.zeros(3, int))[1])


class Forgets(Dense):
    """Says nothing of the states that episodes ended in."""

    def step(self, actions: Any) -> Any:
        *step, infos = super().step(actions)
        return *step, {key: value for key, value in infos.items() if key != "final_obs"}


def test_an_environment_that_forgets_where_episodes_ended_is_refused() -> None:
    envs = ShapedVectorEnv(Forgets(scripted(1, AutoresetMode.SAME_STEP)), TaskReward())
    envs.reset()
    with pytest.raises(ObservationError, match=r"no 'final_obs'.*SAME_STEP"):
        envs.step(np.zeros(1, np.int64))  # lane 0 begins with an episode of one step


class Reports(Dense):
    """Says at the end of an episode what it is told to."""

    said: Any = None

    def step(self, actions: Any) -> Any:
        *step, infos = super().step(actions)
        return *step, {"final_obs": infos["final_obs"], **self.said}


@pytest.mark.filterwarnings("error")
def test_an_end_may_be_reported_without_infos_but_not_with_a_list_of_them() -> None:
    inner = Reports(scripted(1, AutoresetMode.SAME_STEP))
    inner.said = {"final_info": None}
    envs = ShapedVectorEnv(inner, TaskReward())
    envs.reset()
    assert envs.step(np.zeros(1, np.int64))[4]["shaping_episode"]["length"] == [1]
    inner.said = {"final_info": [{"success": True}]}
    envs.reset(seed=0)
    with pytest.raises(ObservationError, match=r"final_info is \[.*must be a dict"):
        envs.step(np.zeros(1, np.int64))


def test_success_in_rows_of_different_lengths_is_left_out_with_a_word() -> None:
    inner = Reports(scripted(1, AutoresetMode.SAME_STEP))
    inner.said = {"final_info": {"success": [[1], [1, 2]]}}
    envs = ShapedVectorEnv(inner, TaskReward())
    envs.reset()
    with pytest.warns(RuntimeWarning, match="not one truth value"):
        *_, infos = envs.step(np.zeros(1, np.int64))
    assert not infos["shaping_episode"]["_success"].any()


def test_a_lane_that_has_ended_is_not_stepped_on() -> None:
    envs = ShapedVectorEnv(scripted(2, AutoresetMode.DISABLED), TaskReward())
    envs.reset()
    _, _, terminated, truncated, _ = envs.step(np.zeros(2, np.int64))
    ended = terminated | truncated
    assert ended.tolist() == [True, False]
    with pytest.raises(ResetNeeded, match=r"\[0\] have ended.*reset_mask"):
        envs.step(np.zeros(2, np.int64))
    envs.reset(options={"reset_mask": ended})
    envs.step(np.zeros(2, np.int64))
