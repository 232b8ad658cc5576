"""The bridge against SB3's own DummyVecEnv: same seeds, same actions, same everything."""

from itertools import pairwise

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import TransformReward
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

from shapegym.agents.bridge import VectorEnvBridge
from shapegym.agents.environments import make_vec_env
from shapegym.agents.errors import BridgeError, SettingsError
from shapegym.envs.registration import register_all
from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.errors import ObservationError, WiringError
from shapegym.shaping.surfaces.gym_env import ShapedEnv

register_all()

SAME_STEP = {"autoreset_mode": AutoresetMode.SAME_STEP}
TASKS = {
    "Box": ("shapegym/Corridor-v0", {"length": 4, "max_steps": 7, "slip": 0.2}),
    "Discrete": ("shapegym/Corridor-v0", {"length": 4, "max_steps": 7, "slip": 0.2, "observation": "index"}),
    "Dict": ("shapegym/PointMazeGoal-v0", {"max_steps": 5}),
}


class Goal(gym.Env):
    """A Dict observation, an episode that terminates, truncates, or both, by its counter."""

    features = {"progress": spaces.Box(0, 10, (), np.int64)}  # noqa: RUF012

    def __init__(self, lane):
        self.observation_space = spaces.Dict(
            {"observation": spaces.Box(-np.inf, np.inf, (2,), np.float64), "desired_goal": spaces.Discrete(9)}
        )
        self.action_space = spaces.Discrete(2)
        self.lane = lane

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        self.goal = int(self.np_random.integers(9))
        return self._observed(), {"progress": 0, "success": False}

    def step(self, action):
        self.t += 1
        ended = self.t >= 2 + self.lane
        info = {"progress": self.t, "success": bool(action)}
        return self._observed(), float(action), ended and self.goal < 6, ended and self.goal > 3, info

    def _observed(self):
        return {"observation": np.array([self.t, self.goal], float), "desired_goal": self.goal}

    def compute_reward(self, achieved, desired, info):
        return -np.abs(achieved - desired)


def monitored(make):
    return lambda: Monitor(make())


def streams(ours, theirs, steps, seed=11):
    """Step both with the same actions and compare every return value; yield what the bridge knows."""
    ours.seed(seed)
    theirs.seed(seed)
    assert_same(ours.reset(), theirs.reset())
    actions = np.random.default_rng(0)
    for _ in range(steps):
        action = np.array([actions.integers(2) for _ in range(ours.num_envs)])
        if isinstance(ours.action_space, spaces.Box):
            action = actions.uniform(-1, 1, (ours.num_envs, *ours.action_space.shape)).astype(np.float32)
        (obs, reward, done, infos), other = ours.step(action), theirs.step(action)
        assert_same(obs, other[0])
        np.testing.assert_array_equal(reward.astype(np.float32), other[1])
        np.testing.assert_array_equal(done, other[2])
        for info, wanted in zip(infos, other[3], strict=True):
            if "episode" not in wanted:
                assert info == {}
                continue
            assert_same(info["terminal_observation"], wanted["terminal_observation"])
            assert info["TimeLimit.truncated"] == wanted["TimeLimit.truncated"]
            assert (info["episode"]["r"], info["episode"]["l"]) == (
                wanted["episode"]["r"],
                wanted["episode"]["l"],
            )
            assert info["is_success"] == wanted["success"]
        yield obs, done, other[3], [env.unwrapped for env in theirs.envs]


def assert_same(value, wanted):
    if isinstance(wanted, dict):
        assert value.keys() == wanted.keys()
        for key in wanted:
            np.testing.assert_array_equal(value[key], wanted[key])
    else:
        np.testing.assert_array_equal(value, wanted)


@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize("lanes", [1, 5])
def test_a_native_environment_gives_what_dummy_vec_env_gives(kind, lanes):
    env_id, knobs = TASKS[kind]
    ours = make_vec_env(env_id, lanes, **knobs)
    assert isinstance(ours, VectorEnvBridge)
    theirs = DummyVecEnv([monitored(lambda: gym.make(env_id, **knobs))] * lanes)
    ended = 0
    before = None
    for obs, done, infos, _ in streams(ours, theirs, 40):
        last = ours.last_step
        ended += int(done.sum())
        for lane in range(lanes):
            for name, values in last.next_features.items():
                np.testing.assert_array_equal(values[lane], infos[lane][name], err_msg=name)
            wanted = infos[lane].get("terminal_observation", _row(obs, lane))
            assert_same(_row(last.next_obs, lane), wanted)
        np.testing.assert_array_equal(last.terminated | last.truncated, done)
        if before is not None:  # features of s_t: of the successor, or of the new episode's first state
            previous, previous_done = before
            for name, values in last.features.items():
                np.testing.assert_array_equal(
                    values[~previous_done], previous[name][~previous_done], err_msg=name
                )
                if name in ("success", "event"):
                    assert not values[previous_done].any()
        before = last.next_features, done.copy()
    assert ended > lanes


def _row(obs, lane):
    return {key: rows[lane] for key, rows in obs.items()} if isinstance(obs, dict) else obs[lane]


def test_a_foreign_vector_environment_with_sparse_infos_gives_what_dummy_vec_env_gives():
    makes = [lambda lane=lane: Goal(lane) for lane in range(3)]
    ours = VectorEnvBridge(SyncVectorEnv(makes, **SAME_STEP))
    assert dict(ours.features) == Goal.features
    progress = []
    for _, done, infos, _ in streams(ours, DummyVecEnv([monitored(make) for make in makes]), 30):
        last = ours.last_step
        assert [info["progress"] for info in infos] == last.next_features["progress"].tolist()
        progress.append((last.features["progress"].copy(), last.next_features["progress"].copy(), done))
    for (_, after, done), (before, _, _) in pairwise(progress):
        np.testing.assert_array_equal(before, np.where(done, 0, after))


def test_other_autoreset_modes_are_refused_with_advice():
    with pytest.raises(BridgeError, match="has NEXT_STEP"):
        VectorEnvBridge(gym.make_vec("shapegym/Corridor-v0", 2))
    with pytest.raises(BridgeError, match="has DISABLED"):
        VectorEnvBridge(gym.make_vec("shapegym/Corridor-v0", 2, autoreset_mode=AutoresetMode.DISABLED))


def test_infos_that_were_handed_out_never_change():
    venv = make_vec_env("shapegym/Corridor-v0", 2, seed=0, length=2, max_steps=2)
    venv.reset()
    _, _, _, quiet = venv.step(np.array([0, 0]))
    _, _, done, _ = venv.step(np.array([1, 1]))
    assert done.all()
    assert quiet == [{}, {}]
    _, _, _, infos = venv.step(np.array([0, 0]))
    infos[0]["mine"] = 1
    assert venv.step(np.array([1, 1]))[3][1].get("mine") is None


def test_seeds_are_used_once_and_lanes_differ():
    venv = make_vec_env("shapegym/FourRooms-v0", 6, seed=5, random_start=True)
    first, second = venv.reset(), venv.reset()
    assert len(np.unique(first, axis=0)) > 1
    assert not np.array_equal(first, second)
    venv.seed(5)
    np.testing.assert_array_equal(venv.reset(), first)


def test_a_snapshot_continues_to_the_last_bit():
    venv = make_vec_env("shapegym/Corridor-v0", 4, seed=1, length=5, slip=0.3, max_steps=9)
    venv.reset()
    for _ in range(7):
        venv.step(np.ones(4, int))
    kept = venv.snapshot()
    runs = []
    for _ in range(2):
        venv.restore(kept)
        run = []
        for _ in range(20):
            obs, reward, done, infos = venv.step(np.ones(4, int))
            ends = [(info["episode"]["r"], info["episode"]["l"]) for info in infos if info]
            run.append(
                (
                    obs.tobytes(),
                    reward.tobytes(),
                    done.tobytes(),
                    ends,
                    venv.last_step.features["state"].tolist(),
                )
            )
        runs.append(run)
    assert runs[0] == runs[1]
    with pytest.raises(BridgeError, match="no snapshot"):
        VectorEnvBridge(SyncVectorEnv([lambda: Goal(0)], **SAME_STEP)).snapshot()


def test_access_to_lanes_as_sb3_does_it():
    venv = make_vec_env("shapegym/Corridor-v0", 3)
    assert venv.get_attr("features", indices=[0, 2]) == [venv.features] * 2
    assert venv.get_attr("action_space") == [venv.action_space] * 3
    assert venv.env_is_wrapped(Monitor) == [True] * 3
    venv.set_attr("color", "red")
    assert venv.get_attr("color", indices=1) == ["red"]
    with pytest.raises(BridgeError, match="share 'color'"):
        venv.set_attr("color", "blue", indices=[0])
    with pytest.raises(BridgeError, match="bypass"):
        venv.env_method("step", [0, 0, 0])
    goals = VectorEnvBridge(SyncVectorEnv([lambda: Goal(0), lambda: Goal(1)], **SAME_STEP))
    (reward,) = goals.env_method(
        "compute_reward", np.array([1.0, 4.0]), np.array([3.0, 3.0]), [{}], indices=[0]
    )
    assert reward.tolist() == [-2, -1]


def test_options_that_differ_between_lanes_are_refused():
    venv = make_vec_env("shapegym/Corridor-v0", 2)
    venv.set_options([{"reset_mask": np.ones(2, bool)}, {}])
    with pytest.raises(BridgeError, match="same reset options"):
        venv.reset()


def test_environments_of_others_get_features_and_monitors():
    venv = make_vec_env("MiniGrid-Empty-5x5-v0", 2, seed=0)
    assert isinstance(venv, DummyVecEnv)
    assert venv.reset().shape == (2, 147)
    assert "agent_pos" in venv.get_attr("features")[0]
    assert venv.env_is_wrapped(Monitor) == [True, True]
    full = make_vec_env("MiniGrid-Empty-5x5-v0", 1, grid_view="image_full")
    assert full.observation_space.shape == (5, 5, 3)
    assert isinstance(make_vec_env("CartPole-v1", 2), DummyVecEnv)


@pytest.mark.parametrize(
    ("kwargs", "message"), [({"num_envs": 0}, "num_envs"), ({"grid_view": "flt"}, "image_full")]
)
def test_bad_arguments_are_named(kwargs, message):
    with pytest.raises(SettingsError, match=message):
        make_vec_env("MiniGrid-Empty-5x5-v0", **kwargs)


class Ends(gym.Env):
    """Infos are empty but for the last step's, which says how the episode ended."""

    observation_space = spaces.Box(0, 9, (1,), np.float32)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.t += 1
        return (
            np.full(1, self.t, np.float32),
            0.0,
            self.t == 3,
            False,
            {"is_success": True} if self.t == 3 else {},
        )


@pytest.mark.parametrize("lanes", [1, 2])
def test_what_only_an_episodes_last_info_holds_is_kept(lanes):
    bridge = VectorEnvBridge(SyncVectorEnv([Ends] * lanes, **SAME_STEP))
    bridge.reset()
    for _ in range(3):
        *_, infos = bridge.step(np.zeros(lanes, int))
    assert all(info["is_success"] for info in infos)
    assert bridge.last_step.next_features["is_success"].all()


def test_observations_that_are_overwritten_are_refused():
    with pytest.raises(BridgeError, match="copy=True"):
        VectorEnvBridge(SyncVectorEnv([Ends], copy=False, **SAME_STEP))


def test_arguments_that_the_environment_rejects_are_named():
    for env_id, wrong in (("shapegym/FourRooms-v0", {"size": 2}), ("CartPole-v1", {"sizee": 2})):
        with pytest.raises(SettingsError, match="rejects its arguments"):
            make_vec_env(env_id, 2, **wrong)


def test_lanes_in_processes_of_their_own_are_as_those_of_this_one():
    """Workers that are asked for what they lack would end."""
    played = []
    for kind in (SyncVectorEnv, AsyncVectorEnv):
        bridge = VectorEnvBridge(kind([lambda lane=lane: Goal(lane) for lane in range(2)], **SAME_STEP))
        assert bridge.has_attr("lane")
        assert not bridge.has_attr("no_such_thing")
        with pytest.raises(AttributeError, match="no_such_thing"):
            bridge.get_attr("no_such_thing")
        with pytest.raises(AttributeError, match="no_such_thing"):
            bridge.env_method("no_such_thing")
        told = [bridge.get_attr("lane"), bridge.env_method("compute_reward", 3, 1, {}, indices=[1])]
        bridge.seed(7)
        told.append(bridge.reset())
        for t in range(6):
            obs, rewards, dones, infos = bridge.step(np.array([t % 2, 1]))
            told.append(
                (obs, rewards, dones, [{**info, "episode": len(info.get("episode", ()))} for info in infos])
            )
        bridge.close()
        played.append(told)
    np.testing.assert_equal(*played)


def test_lanes_that_are_shaped_or_give_no_numbers_are_refused():
    def shaped():
        return ShapedEnv(gym.make("CartPole-v1"), TaskReward())

    bridge = VectorEnvBridge(SyncVectorEnv([shaped], **SAME_STEP))
    bridge.reset()
    with pytest.raises(WiringError, match="shaped twice"):
        bridge.step(np.zeros(1, np.int64))
    odd = VectorEnvBridge(SyncVectorEnv([lambda: TransformReward(gym.make("CartPole-v1"), str)], **SAME_STEP))
    odd.reset()
    with pytest.raises(ObservationError, match="one number"):
        odd.step(np.zeros(1, np.int64))
