"""The shell, with a task small enough to see through: a counter that ends at a limit it draws at reset."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import tabular_reference as reference
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import DictInfoToList, RecordEpisodeStatistics
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from shapegym.envs import _lanes
from shapegym.envs.dynamics import Dynamics, State, StepOutcome
from shapegym.envs.native import NativeEnv, NativeVectorEnv
from shapegym.envs.snapshot import SnapshotError


class Counter(Dynamics):
    """Adds the action to a count, and noise to a trace; terminal at a limit 1 .. 4 drawn by reset."""

    def __init__(self, box: bool = False, max_steps: int = 5) -> None:
        self.observation_space = spaces.Dict(
            count=spaces.Box(-100, 100, (2,), np.float32), limit=spaces.Discrete(5)
        )
        self.action_space = spaces.Box(-1, 1, (1,), np.float32) if box else spaces.Discrete(3, start=-1)
        self.features = {"trace": spaces.Box(-np.inf, np.inf, (), np.float64)}
        self.captions = ("", "you reach the limit")
        self.max_steps = max_steps
        self.reset_draws, self.step_draws = 1, 2
        self.fingerprint = f"counter({box}, {max_steps})"

    def allocate(self, lanes: int) -> State:
        return {"count": np.zeros(lanes), "limit": np.zeros(lanes, np.int64), "trace": np.zeros(lanes)}

    def reset(self, state: State, noise: NDArray[np.float64], mask: NDArray[np.bool_]) -> None:
        state["count"][mask] = 0
        state["trace"][mask] = noise[mask, 0]
        state["limit"][mask] = 1 + (4 * noise[mask, 0]).astype(int)

    def step(
        self,
        state: State,
        actions: NDArray[Any],
        noise: NDArray[np.float64],
        active: NDArray[np.bool_],
        outcome: StepOutcome,
    ) -> None:
        state["count"][active] += actions.reshape(len(active))[active]
        state["trace"][active] += noise[active].sum(axis=1)
        solved = active & (state["count"] >= state["limit"])
        outcome.terminated[solved] = outcome.success[solved] = True
        outcome.reward[solved] = 1.0
        outcome.event[solved] = 1

    def observe(self, state: State, observation: Any, mask: NDArray[np.bool_]) -> None:
        observation["count"][:, 0] = state["count"]
        observation["count"][:, 1] = -state["count"]
        observation["limit"][...] = state["limit"]

    def measure(self, state: State, features: Mapping[str, NDArray[Any]], mask: NDArray[np.bool_]) -> None:
        features["trace"][...] = state["trace"]


def test_streams_are_splitmix64() -> None:
    streams = np.array([_lanes.seed_stream(seed) for seed in range(4)])
    mask = np.array([True, False, True, True])
    before, out = streams.copy(), np.full((4, 3), -1.0)
    _lanes.draw_uniform(streams, mask, out)
    for lane in range(4):
        state, uniforms = reference.splitmix64(int(before[lane]), 3)
        assert streams[lane] == (state if mask[lane] else before[lane])
        np.testing.assert_array_equal(out[lane], uniforms if mask[lane] else -1.0)


def test_streams_of_near_seeds_are_uniform_and_unrelated() -> None:
    streams = np.array([_lanes.seed_stream(seed) for seed in range(200)])
    out = np.zeros((200, 500))
    _lanes.draw_uniform(streams, np.ones(200, np.bool_), out)
    counts = np.histogram(out, bins=20, range=(0, 1))[0]
    assert ((counts - 5000) ** 2 / 5000).sum() < 19 + 5 * np.sqrt(2 * 19)
    between = np.corrcoef(out)[np.triu_indices(200, 1)]
    assert np.abs(between).max() < 6 / np.sqrt(500)


@given(
    lanes=st.integers(1, 4),
    seed=st.integers(0, 10**6),
    mode=st.sampled_from([AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP]),
    choices=st.lists(st.lists(st.integers(-1, 1), min_size=4, max_size=4), min_size=1, max_size=25),
)
def test_autoreset_tells_the_story_of_the_single_form(
    lanes: int, seed: int, mode: AutoresetMode, choices: list[list[int]]
) -> None:
    vector = NativeVectorEnv(Counter(), lanes, autoreset_mode=mode)
    singles = [NativeEnv(Counter()) for _ in range(lanes)]
    obs, info = vector.reset(seed=seed)
    for lane, single in enumerate(singles):
        first, first_info = single.reset(seed=seed + lane)
        assert first["limit"] == obs["limit"][lane]
        assert first_info["trace"] == info["trace"][lane]
    pending = [False] * lanes
    for row in choices:
        actions = np.array(row[:lanes])
        obs, reward, terminated, truncated, info = vector.step(actions)
        for lane, single in enumerate(singles):
            if pending[lane]:
                seen, told = single.reset()
                paid, ends, cut = 0.0, False, False
            else:
                seen, paid, ends, cut, told = single.step(actions[lane])
            assert (reward[lane], terminated[lane], truncated[lane]) == (paid, ends, cut)
            assert not (ends and cut)
            done = ends or cut
            pending[lane] = done and mode is AutoresetMode.NEXT_STEP
            if done and mode is AutoresetMode.SAME_STEP:
                assert info["_final_obs"][lane]
                assert info["final_info"]["success"][lane] == told["success"]
                np.testing.assert_array_equal(info["final_obs"]["count"][lane], seen["count"])
                seen, told = single.reset()
            elif "final_obs" in info:
                assert not info["_final_obs"][lane]
                np.testing.assert_array_equal(info["final_obs"]["count"][lane], obs["count"][lane])
            np.testing.assert_array_equal(obs["count"][lane], seen["count"])
            assert {name: info[name][lane] for name in told} == told


def test_a_terminal_state_at_the_time_limit_is_terminated_only() -> None:
    env = NativeEnv(Counter(max_steps=1))
    seen = set()
    for seed in range(20):
        env.reset(seed=seed)
        *_, terminated, truncated, info = env.step(1)
        assert terminated != truncated
        assert info["success"] == terminated
        seen.add(terminated)
    assert seen == {True, False}


def test_reset_mask_leaves_other_lanes_alone() -> None:
    env = NativeVectorEnv(Counter(), 3, autoreset_mode="Disabled")
    env.reset(seed=0)
    env.step(np.array([1, 1, 1]))
    before = env.snapshot()
    mask = np.array([False, True, False])
    obs, info = env.reset(seed=40, options={"reset_mask": mask})
    np.testing.assert_array_equal(info["_trace"], mask)
    after = env.snapshot()
    for name in set(before) - {"fingerprint", "checksum"}:
        np.testing.assert_array_equal(after[name][[0, 2]], before[name][[0, 2]])
    alone, _ = NativeEnv(Counter()).reset(seed=41)
    assert obs["limit"][1] == alone["limit"]
    assert (mask == [False, True, False]).all()


def test_disabled_autoreset_insists_on_a_reset() -> None:
    env = NativeVectorEnv(Counter(max_steps=2), 2, autoreset_mode=AutoresetMode.DISABLED)
    env.reset(seed=0)
    for _ in range(2):
        env.step(np.array([0, -1]))
    with pytest.raises(ResetNeeded, match=r"\[0, 1\]"):
        env.step(np.array([0, 0]))
    env.reset(options={"reset_mask": np.array([True, False])})
    with pytest.raises(ResetNeeded, match=r"lanes \[1\]"):
        env.step(np.array([0, 0]))


def test_next_step_does_not_look_at_an_ignored_action() -> None:
    env = NativeVectorEnv(Counter(max_steps=1), 1)
    env.reset(seed=0)
    env.step(np.array([0]))
    _, reward, terminated, truncated, _ = env.step(np.array([99]))
    assert (reward[0], terminated[0], truncated[0]) == (0.0, False, False)


def test_without_copies_the_buffers_come_out() -> None:
    env = NativeVectorEnv(Counter(), 2, copy=False)
    first, _ = env.reset(seed=0)
    second, *_ = env.step(np.array([1, 1]))
    assert first["count"] is second["count"]


def test_an_unseeded_start_is_fresh_and_an_unseeded_reset_continues() -> None:
    traces = [NativeEnv(Counter()).reset()[1]["trace"] for _ in range(3)]
    assert len(set(traces)) == 3
    env = NativeVectorEnv(Counter(), 2)
    env.reset(seed=1)
    continued = env.reset(seed=[None, 7])[1]["trace"]
    again = NativeVectorEnv(Counter(), 2)
    again.reset(seed=1)
    assert again.reset()[1]["trace"][0] == continued[0]
    assert NativeEnv(Counter()).reset(seed=7)[1]["trace"] == continued[1]


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
@pytest.mark.parametrize("form", [NativeEnv, lambda dynamics: NativeVectorEnv(dynamics, 1)])
def test_clones_go_their_own_way(clone: Any, form: Any) -> None:
    env = form(Counter())
    env.reset(seed=3)
    twin = clone(env)
    action = -1 if isinstance(env, NativeEnv) else np.array([-1])
    ours, theirs = env.step(action), twin.step(action)
    assert ours[4]["trace"] == theirs[4]["trace"]
    twin.step(action)
    assert env.snapshot()["elapsed"] == 1


def test_snapshots_survive_a_file() -> None:
    env = NativeVectorEnv(Counter(), 3)
    env.reset(seed=0)
    env.step(np.array([1, 0, 1]))
    file = io.BytesIO()
    np.savez(file, **env.snapshot())
    file.seek(0)
    with np.load(file) as loaded:
        snapshot = dict(loaded)
    expected = env.step(np.array([1, 1, 0]))[4]["trace"]
    other = NativeVectorEnv(Counter(), 3)
    other.restore(snapshot)
    np.testing.assert_array_equal(other.step(np.array([1, 1, 0]))[4]["trace"], expected)


def test_a_snapshot_is_no_view() -> None:
    env = NativeVectorEnv(Counter(), 2)
    env.reset(seed=0)
    snapshot = env.snapshot()
    kept = {name: array.copy() for name, array in snapshot.items()}
    env.step(np.array([1, 1]))
    assert all(np.array_equal(snapshot[name], kept[name]) for name in kept)


@pytest.mark.parametrize("lanes", [[0, 0], [2], [-1], [], [[0]], [0.0]])
def test_lanes_must_be_distinct_lane_numbers(lanes: Any) -> None:
    env = NativeVectorEnv(Counter(), 2)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="lanes"):
        env.snapshot(lanes=lanes)


def test_foreign_snapshots_are_refused() -> None:
    env, other = NativeVectorEnv(Counter(), 2), NativeVectorEnv(Counter(max_steps=9), 2)
    env.reset(seed=0)
    other.reset(seed=0)
    with pytest.raises(SnapshotError, match="was taken from"):
        env.restore(other.snapshot())
    with pytest.raises(SnapshotError, match=r"shape \(1,"):
        env.restore(env.snapshot(), lanes=[0])
    with pytest.raises(SnapshotError, match="mapping"):
        env.restore(None)  # type: ignore[arg-type]
    with pytest.raises(ResetNeeded, match="restoring some lanes"):
        NativeVectorEnv(Counter(), 2).restore(env.snapshot([0]), lanes=[0])


@pytest.mark.parametrize(
    ("actions", "error", "message"),
    [
        (np.array([1, 2]), ValueError, r"lane 1: action .*2"),
        (np.array([-2, 0]), ValueError, "lane 0"),
        (np.array([2**64 - 1, 0], np.uint64), TypeError, "int64"),  # would wrap to -1, which is in range
        (np.array([1.0, 0.0]), TypeError, "integers"),
        (np.array([True, False]), TypeError, "integers"),
        (np.array([1, 0, 0]), ValueError, r"shape \(2,\), got \(3,\)"),
        (np.array([[1], [0]]), ValueError, "shape"),
        (1, ValueError, "shape"),
        (None, TypeError, "integers"),
    ],
)
def test_discrete_actions_are_checked(actions: Any, error: Any, message: str) -> None:
    env = NativeVectorEnv(Counter(), 2)
    env.reset(seed=0)
    before = env.snapshot()
    with pytest.raises(error, match=message):
        env.step(actions)
    after = env.snapshot()
    assert all(np.array_equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    ("actions", "error"),
    [
        ([[np.nan], [0.0]], ValueError),
        ([[0.0], [1.5]], ValueError),
        ([[0.0], [-np.inf]], ValueError),
        ([0.0, 0.0], ValueError),
        ([["a"], ["b"]], TypeError),
        ([[1j], [0j]], TypeError),
    ],
)
def test_box_actions_are_checked(actions: Any, error: Any) -> None:
    env = NativeVectorEnv(Counter(box=True), 2)
    env.reset(seed=0)
    with pytest.raises(error):
        env.step(np.array(actions))
    env.step(np.array([[1], [-1]]))  # integers are real numbers


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"seed": -1}, ValueError),
        ({"seed": "55"}, TypeError),
        ({"seed": True}, TypeError),
        ({"seed": 1.0}, TypeError),
        ({"seed": [1]}, ValueError),
        ({"seed": [1, -2]}, ValueError),
        ({"seed": [1, 2.0]}, TypeError),
        ({"options": {"mask": 1}}, ValueError),
        ({"options": {"reset_mask": [True, False]}}, TypeError),
        ({"options": {"reset_mask": np.array([1, 0])}}, TypeError),
        ({"options": {"reset_mask": np.zeros(2, bool)}}, ValueError),
        ({"options": {"reset_mask": np.ones(3, bool)}}, ValueError),
    ],
)
def test_resets_are_checked(arguments: dict[str, Any], error: Any) -> None:
    env = NativeVectorEnv(Counter(), 2)
    env.reset(seed=0)
    before = env.snapshot()
    with pytest.raises(error):
        env.reset(**arguments)
    after = env.snapshot()
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_what_cannot_be_is_refused_at_construction() -> None:
    with pytest.raises(ValueError, match="num_envs"):
        NativeVectorEnv(Counter(), 0)
    with pytest.raises(ValueError, match="sometimes"):
        NativeVectorEnv(Counter(), 1, autoreset_mode="sometimes")
    unbounded = Counter()
    unbounded.action_space = spaces.Box(-np.inf, np.inf, (1,))
    with pytest.raises(TypeError, match="bounded Box"):
        NativeVectorEnv(unbounded, 1)


def test_only_goal_conditioned_tasks_have_a_reward_of_goals() -> None:
    for env in (NativeEnv(Counter()), NativeVectorEnv(Counter(), 2)):
        assert not hasattr(env, "compute_reward")
        with pytest.raises(AttributeError, match="not goal-conditioned"):
            env.compute_reward(np.zeros(2), np.zeros(2), {})


def test_the_first_reset_covers_all_lanes() -> None:
    with pytest.raises(ResetNeeded, match="all lanes"):
        NativeVectorEnv(Counter(), 2).reset(options={"reset_mask": np.array([True, False])})


def test_a_numpy_integer_is_a_seed() -> None:
    env = NativeEnv(Counter())
    env.reset(seed=np.int64(3))
    again = NativeEnv(Counter())
    again.reset(seed=3)
    assert all(np.array_equal(env.snapshot()[name], again.snapshot()[name]) for name in env.snapshot())


def test_gymnasiums_vector_wrappers_read_our_info() -> None:
    env = DictInfoToList(RecordEpisodeStatistics(NativeVectorEnv(Counter(max_steps=2), 2)))
    env.reset(seed=0)
    env.step(np.array([0, 0]))
    *_, infos = env.step(np.array([0, 0]))
    assert [info["episode"]["l"] for info in infos] == [2, 2]
    assert [type(info["success"]) for info in infos] == [np.bool_, np.bool_]


def test_shell_kernels_compile_once() -> None:
    for box in (False, True):
        for lanes in (1, 3):
            env = NativeVectorEnv(Counter(box), lanes)
            env.reset(seed=0)
            actions = np.zeros(env.action_space.shape, np.float32 if box else np.int32)
            actions.setflags(write=False)
            env.step(actions)
    kernels = (_lanes.draw_uniform, _lanes.begin_episodes, _lanes.end_step)
    checks = (_lanes.first_invalid_index, _lanes.first_out_of_box)
    assert [len(kernel.signatures) for kernel in (*kernels, *checks)] == [1] * 5
