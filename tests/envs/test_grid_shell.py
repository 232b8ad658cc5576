"""Grid worlds in the shell: lanes, threads, snapshots, wrong input, and the compile cache."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

import gymnasium as gym
import numba
import numpy as np
import pytest
from gymnasium.error import ResetNeeded

from shapegym.envs import _threads
from shapegym.envs.grid.features.reader import REQUESTED
from shapegym.envs.native import NativeEnv, NativeVectorEnv
from shapegym.envs.registration import build
from shapegym.shaping.surfaces.intake import as_array

DOOR_KEY = "shapegym.envs.grid.families.door_key:door_key"
OBSTACLES = "shapegym.envs.grid.families.dynamic_obstacles:dynamic_obstacles"


def play(env: NativeVectorEnv, steps: int, seed: int = 0) -> list[Any]:
    rng = np.random.default_rng(seed)
    trace = []
    for _ in range(steps):
        observation, *results, info = env.step(rng.integers(env.single_action_space.n, size=env.num_envs))
        trace.append(
            [observation["image"], observation["direction"], *results, info["event"], info["agent_pos"]]
        )
    return trace


def same(one: list[Any], other: list[Any]) -> bool:
    return all(
        np.array_equal(a, b) for x, y in zip(one, other, strict=True) for a, b in zip(x, y, strict=True)
    )


@pytest.mark.parametrize("builder", [DOOR_KEY, OBSTACLES])
def test_threads_change_nothing(builder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lanes = 2 * _threads.LANES_PER_THREAD + 1
    threaded, changing, alone = (NativeVectorEnv(build(builder, size=5), lanes) for _ in range(3))
    for env in (threaded, changing, alone):
        env.reset(seed=0)
    trace = play(threaded, 30)
    monkeypatch.setattr(_threads, "Fastest", _InTurn)
    assert same(trace, play(changing, 30))
    monkeypatch.setattr(_threads, "LANES_PER_THREAD", lanes)
    assert same(trace, play(alone, 30))


class _InTurn:
    """Uses one way after the other, whatever they take."""

    def __init__(self, ways: list[int]) -> None:
        self._ways = cycle(ways)

    @property
    def way(self) -> int:
        return next(self._ways)

    def took(self, seconds: float) -> None:
        assert seconds > 0


@pytest.fixture
def allowing(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of threads in the order they are set, the last of them Numba's; all that may be used are, in turn."""
    numbers: list[int] = []
    monkeypatch.setattr(numba, "get_num_threads", lambda: numbers[-1])
    monkeypatch.setattr(numba, "set_num_threads", numbers.append)
    monkeypatch.setattr(_threads, "Fastest", _InTurn)
    return numbers


@pytest.mark.parametrize(
    ("allowed", "lanes", "ways"),
    [(1, 10_000, [1]), (8, 511, [1]), (8, 512, [1, 2]), (8, 10_000, [1, 8, 4, 2]), (6, 10_000, [1, 6, 3])],
)
def test_no_more_threads_are_tried_than_allowed_and_useful(
    allowed: int, lanes: int, ways: list[int], allowing: list[int]
) -> None:
    allowing.append(allowed)
    seen: list[int] = []

    def chunked(chunks: int) -> None:
        assert allowing[-1] == chunks  # those without a chunk would be waited for
        seen.append(chunks)

    team = _threads.Team(lanes)
    for _ in ways:
        with team:
            _threads.over_lanes(lambda start, stop: seen.append(1), chunked, lanes)
    assert seen == ways
    assert allowing[-1] == allowed


@pytest.mark.parametrize(("before", "after"), [(4, 1), (4, 2), (2, 8)])
def test_a_number_of_threads_that_is_set_later_is_heeded_and_kept(
    before: int, after: int, allowing: list[int]
) -> None:
    allowing.append(before)
    seen: list[int] = []

    def step() -> None:
        with team:
            _threads.over_lanes(lambda start, stop: seen.append(1), seen.append, 10_000)

    team = _threads.Team(10_000)
    step()
    numba.set_num_threads(after)
    for _ in range(_threads.STEPS_PER_QUESTION):
        step()
        assert allowing[-1] == after
    seen.clear()
    for _ in range(8):
        step()
    assert max(seen) == after


def test_a_step_that_fails_says_nothing_of_speed() -> None:
    team = _threads.Team(10_000)
    with team:
        pass
    team._fastest.took = lambda seconds: pytest.fail("it was timed")
    with pytest.raises(ZeroDivisionError), team:
        raise ZeroDivisionError
    assert _threads._HERE.team is None


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="one thread")
def test_a_forked_process_steps_without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def chunked(*_: Any) -> None:
        raise AssertionError("a forked process must not enter OpenMP")

    monkeypatch.setattr(_threads, "_PROCESS", -1)
    calls: list[Any] = []
    _threads.over_lanes(lambda *a: calls.append(a), chunked, 10_000, "x")
    assert calls == [(0, 10_000, "x")]


@pytest.mark.parametrize("lanes", [2, 2 * _threads.LANES_PER_THREAD])
def test_torch_keeps_its_number_of_threads(lanes: int) -> None:
    script = f"""
        import gymnasium as gym, torch, shapegym
        torch.set_num_threads(3)
        envs = gym.make_vec("shapegym/MiniGrid-Empty-5x5-v0", {lanes})
        envs.reset(seed=0)
        envs.step(envs.action_space.sample())
        print(torch.get_num_threads())
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "3\n"


def test_snapshot_of_some_lanes_continues_them_to_the_bit() -> None:
    env = NativeVectorEnv(build(OBSTACLES, size=6, n_obstacles=3), 4)
    env.reset(seed=5)
    play(env, 7)
    snapshot = env.snapshot([1, 3])
    expected = [[array[[1, 3]] for array in step] for step in play(env, 20, seed=9)]
    env.restore(snapshot, [1, 3])
    assert same(expected, [[array[[1, 3]] for array in step] for step in play(env, 20, seed=9)])


def test_a_restored_lane_shows_what_it_saw() -> None:
    env = NativeVectorEnv(build(DOOR_KEY), 3, autoreset_mode="Disabled")
    seen, _ = env.reset(seed=0)
    snapshot = env.snapshot([2])
    play(env, 10)
    env.restore(snapshot, [2])
    again, _ = env.reset(options={"reset_mask": np.array([True, False, False])})
    assert np.array_equal(again["image"][2], seen["image"][2])


def test_single_form_and_vector_form_are_the_same_lane() -> None:
    dynamics = build(DOOR_KEY, size=5, features="all")
    single, vector = NativeEnv(dynamics), NativeVectorEnv(dynamics, 2, autoreset_mode="SameStep")
    seen, info = single.reset(seed=3)
    batch, infos = vector.reset(seed=2)
    rng = np.random.default_rng(0)
    for _ in range(700):
        assert all(np.array_equal(seen[key], batch[key][1]) for key in seen)
        assert all(np.array_equal(as_array(info[key]), infos[key][1]) for key in info)
        action = int(rng.integers(7))
        seen, *results, info = single.step(action)
        batch, *batched, infos = vector.step(np.full(2, action))
        assert results == [values[1] for values in batched]
        if results[1] or results[2]:
            final = infos["final_info"]
            assert all(np.array_equal(as_array(info[key]), final[key][1]) for key in info)
            seen, info = single.reset()


@pytest.mark.parametrize("options", [{}, {"observation": "flat", "mission": "tokens"}, {"features": "all"}])
@pytest.mark.parametrize("clone", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_a_copy_of_an_environment_in_mid_episode_goes_on_like_it(
    options: dict[str, Any], clone: Callable[[NativeEnv], NativeEnv]
) -> None:
    env = NativeEnv(build(DOOR_KEY, **options))
    env.reset(seed=1)
    env.step(0)
    other = clone(env)
    for action in (0, 2, 1, 2, 0, 0):
        (seen, *results, info), (seen_too, *results_too, info_too) = env.step(action), other.step(action)
        np.testing.assert_equal((seen_too, info_too), (seen, info))
        assert results_too == results


def test_masks_of_infos_are_the_callers_own() -> None:
    env, other = (NativeVectorEnv(build(DOOR_KEY), 2) for _ in range(2))
    env.reset(seed=0)
    other.reset(seed=0)
    env.step([0, 0])[-1]["_success"][:] = False
    other.step([0, 0])
    assert same(play(env, 20), play(other, 20))


def test_a_pickle_names_kernels() -> None:
    """Numba would send their code, which another process compiles anew each time."""
    pickled = pickle.dumps(build(DOOR_KEY).task.reset)
    assert b"reset_lanes" in pickled
    assert len(pickled) < 200


def test_kernels_run_as_plain_python() -> None:
    """As debuggers and coverage need it."""
    program = f"""
        from shapegym.envs.native import NativeEnv
        from shapegym.envs.registration import build
        env = NativeEnv(build("{DOOR_KEY}"))
        seen, _ = env.reset(seed=0)
        print(seen["image"].sum() + sum(env.step(action)[0]["image"].sum() for action in (0, 2, 1)))
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    plain, compiled = (
        subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=True).stdout
        for variables in ({"NUMBA_DISABLE_JIT": "1"}, {"NUMBA_DISABLE_JIT": "0"})
    )
    assert plain == compiled


@pytest.mark.parametrize(
    ("actions", "error", "message"),
    [
        ([0, 7, 1], ValueError, r"lane 1: action .*7.* is not in Discrete\(7\)"),
        ([0, 0, -1], ValueError, r"lane 2: action .*-1"),
        ([0, 0], ValueError, r"shape \(3,\), got \(2,\)"),
        ([0.0, 0.0, 0.0], TypeError, "integers"),
        ([True, False, True], TypeError, "integers"),
        (None, TypeError, "integers"),
    ],
)
def test_wrong_actions_move_nothing(actions: Any, error: type[Exception], message: str) -> None:
    env = NativeVectorEnv(build(DOOR_KEY), 3)
    env.reset(seed=0)
    before = env.snapshot()
    with pytest.raises(error, match=message):
        env.step(actions)
    assert all(np.array_equal(value, before[name]) for name, value in env.snapshot().items())


@pytest.mark.parametrize("action", [7, -1, 2.5, "left", None, np.array([1, 2])])
def test_wrong_action_of_the_single_form(action: Any) -> None:
    env = gym.make("shapegym/MiniGrid-DoorKey-5x5-v0", disable_env_checker=True)
    env.reset(seed=0)
    with pytest.raises((TypeError, ValueError)):
        env.step(action)


def test_actions_of_numpy_integers_of_any_width() -> None:
    env = NativeEnv(build(DOOR_KEY))
    env.reset(seed=0)
    for kind in (np.int8, np.uint8, np.int32, np.int64, np.array):
        env.step(kind(1))


def test_step_before_reset_and_after_the_end() -> None:
    env = NativeEnv(build(DOOR_KEY, max_steps=1))
    with pytest.raises(ResetNeeded):
        env.step(0)
    env.reset()
    assert env.step(0)[3]
    with pytest.raises(ResetNeeded):
        env.step(0)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"observation": "rgb"}, "observation must be one of"),
        ({"image": "fog"}, "image must be one of"),
        ({"mission": "speech"}, "mission must be one of"),
        ({"observation": "flat", "mission": "text"}, "tokens"),
        ({"agent_view_size": 4}, "odd"),
        ({"agent_view_size": 33}, "3 .. 31"),
        ({"features": "smell"}, "unknown features"),
        ({"features": ["room", 3]}, r"unknown features \['3'\]"),
        ({"size": 4}, "size must be at least 5"),
        ({"max_steps": 0}, "max_steps"),
    ],
)
def test_unknown_options(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(DOOR_KEY, **knobs)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"features": None}, "features must be names, or 'all', got None"),
        ({"see_through_walls": "no"}, "see_through_walls must be True, False or None, got 'no'"),
        ({"siez": 8}, "siez"),
    ],
)
def test_options_of_a_wrong_kind(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        build(DOOR_KEY, **knobs)


@pytest.mark.parametrize("names", [["room", "room"], iter(["room"]), {"room"}, "room"])
def test_features_come_in_any_collection(names: Any) -> None:
    assert "room" in build(DOOR_KEY, features=names).features


@pytest.mark.parametrize("names", ["all", ["all"]])
def test_all_features(names: Any) -> None:
    assert set(REQUESTED) < set(build(DOOR_KEY, features=names).features)


def test_places_are_the_same_task_however_they_are_written() -> None:
    """YAML knows lists, sweeps know NumPy's integers; a snapshot goes from one to the other."""
    empty = "shapegym.envs.grid.families.empty:empty"
    places = [(2, 1), [2, 1], np.array([2, 1])]
    assert len({build(empty, agent_start_pos=place).fingerprint for place in places}) == 1


def test_memory_of_a_lane() -> None:
    state = build(DOOR_KEY).allocate(1)
    assert sum(array.nbytes for array in state.values()) <= 2048


def test_what_others_compile_needs_no_module() -> None:
    """The listener that tells of compiling hears of every kernel in the process, also of those that `exec` makes."""
    names: dict[str, Any] = {}
    exec("def half(x):\n    return x / 2", names)
    names["half"].__module__ = None
    assert numba.njit(names["half"])(3) == 1.5


@pytest.mark.slow
def test_an_edited_callee_is_compiled_again(tmp_path: Path) -> None:
    """Numba's own cache looks at the file of the calling kernel alone."""
    package = tmp_path / "shapegym_envs"
    package.mkdir()
    source = Path(_threads.__file__).with_name("_jit.py").read_text()
    (package / "__init__.py").touch()
    (package / "_jit.py").write_text(source)
    (package / "caller.py").write_text(
        textwrap.dedent(
            """
            from shapegym_envs._jit import jit
            from shapegym_envs.callee import inner

            @jit
            def outer():
                return inner()
            """
        )
    )
    command = [sys.executable, "-c", "from shapegym_envs.caller import outer; print(outer())"]
    answers = []
    for answer in (1, 22):
        (package / "callee.py").write_text(
            f"from shapegym_envs._jit import jit\n\n@jit\ndef inner():\n    return {answer}\n"
        )
        environment = os.environ | {"PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
        run = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True, cwd=tmp_path
        )
        answers.append(run.stdout.strip())
    assert answers == ["1", "22"]
