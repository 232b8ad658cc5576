"""The finite tasks: against plain transcriptions of their sources, played against their tables, and their claims."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import tabular_reference as reference
from hypothesis import given
from hypothesis import strategies as st

from shapegym.envs.finite_task import FiniteTask
from shapegym.envs.native import NativeEnv, NativeVectorEnv
from shapegym.envs.tabular import _stepper, solver
from shapegym.envs.tabular.combination_lock import combination_lock
from shapegym.envs.tabular.corridor import corridor
from shapegym.envs.tabular.deep_sea import deep_sea
from shapegym.envs.tabular.finite_dynamics import FiniteDynamics
from shapegym.envs.tabular.four_rooms import four_rooms
from shapegym.envs.tabular.key_door import key_door
from shapegym.envs.tabular.open_grid import open_grid
from shapegym.envs.tabular.random_mdp import random_mdp
from shapegym.envs.tabular.river_swim import river_swim

Step = Callable[[Any, int], list[tuple[float, Any, float, bool]]]


def cell(task: FiniteTask, s: int) -> tuple[int, ...]:
    return tuple(task.features["agent_pos"][s].tolist())


def agree(task: FiniteTask, step: Step, position: Callable[[int], Any]) -> None:
    """Walk through all reachable states: same successors, probabilities, rewards and ends as the reference."""
    reached = set(np.flatnonzero(task.start).tolist())
    open_states = list(reached)
    while open_states:
        s = open_states.pop()
        for a in range(task.n_actions):
            expected: dict[Any, list[float]] = {}
            for p, target, reward, terminal in step(position(s), a):
                if p == 0:
                    continue
                entry = expected.setdefault((target, terminal), [0.0, 0.0])
                entry[0] += p
                entry[1] += p * reward
            found: dict[Any, list[float]] = {}
            for k, t in enumerate(task.next_state[s, a].tolist()):
                p = task.probability[s, a, k]
                if p == 0:
                    continue
                entry = found.setdefault((position(t), bool(task.terminal[t])), [0.0, 0.0])
                entry[0] += p
                entry[1] += p * task.reward[s, a, k]
                if t not in reached and not task.terminal[t]:
                    open_states.append(t)
                reached.add(t)
            assert found.keys() == expected.keys(), (s, a)
            for key, entry in expected.items():
                np.testing.assert_allclose(found[key], entry, rtol=0, atol=1e-14)


@pytest.mark.parametrize(("length", "setback", "slip"), [(2, 1, 0.0), (9, 1, 0.2), (7, 3, 0.0), (6, 5, 0.1)])
def test_corridor_is_its_description(length: int, setback: int, slip: float) -> None:
    agree(corridor(length, setback, slip).task, reference.corridor(length, setback, slip), int)


@pytest.mark.parametrize("stochastic", [False, True])
@pytest.mark.parametrize("mapping_seed", [None, 3])
def test_deep_sea_is_its_description(stochastic: bool, mapping_seed: int | None) -> None:
    size = 6
    mapping = np.ones((size, size), int)
    if mapping_seed is not None:
        mapping = np.random.default_rng(mapping_seed).integers(2, size=(size, size))
    task = deep_sea(size, stochastic, mapping_seed).task
    goes_right = lambda row, column, action: action == mapping[row, column]  # noqa: E731
    agree(task, reference.deep_sea(size, goes_right, stochastic), lambda s: cell(task, s))


@pytest.mark.parametrize("length", [3, 6, 11])
def test_river_swim_is_its_source(length: int) -> None:
    agree(river_swim(length).task, reference.river_swim(length), int)


@pytest.mark.parametrize("on_error", ["start", "jam"])
def test_combination_lock_is_its_description(on_error: Any) -> None:
    task = combination_lock(5, 4, on_error, code_seed=2).task
    code = np.random.default_rng(2).integers(4, size=5).tolist()
    agree(task, reference.combination_lock(code, on_error == "jam"), int)


@pytest.mark.parametrize("slip", [0.0, 1 / 3])
@pytest.mark.parametrize("layout_seed", [None, 4])
def test_four_rooms_is_the_published_layout(slip: float, layout_seed: int | None) -> None:
    task = four_rooms(slip=slip, layout_seed=layout_seed).task
    assert task.n_states == 104
    goal = tuple(task.features["goal_pos"][0].tolist())
    agree(task, reference.four_rooms(reference.FOUR_ROOMS, goal, slip), lambda s: cell(task, s))


@pytest.mark.parametrize("layout_seed", [None, 0, 1, 2])
@pytest.mark.parametrize("size", [3, 6, 7])
def test_key_door_is_its_description(size: int, layout_seed: int | None) -> None:
    task = key_door(size, layout_seed).task
    key, door, goal = (tuple(task.features[f"{name}_pos"][0].tolist()) for name in ("key", "door", "goal"))
    flags = lambda s: (bool(task.features["has_key"][s]), bool(task.features["door_open"][s]))  # noqa: E731
    agree(task, reference.key_door(size, key, door, goal), lambda s: (*cell(task, s), *flags(s)))


@pytest.mark.parametrize("size", [2, 5, 8])
def test_open_grid_is_its_description(size: int) -> None:
    task = open_grid(size).task
    agree(task, reference.open_grid(size), lambda s: cell(task, s))
    assert solver.optimal_return(open_grid(size, 2 * (size - 1)).task) == 1.0
    assert solver.optimal_return(open_grid(size, 2 * (size - 1) - 1).task) == 0.0


@pytest.mark.parametrize("size", range(7, 24))
def test_four_rooms_of_any_size_can_be_solved(size: int) -> None:
    assert solver.optimal_return(four_rooms(size).task) == 1.0


@pytest.mark.parametrize("size", range(3, 10))
@pytest.mark.parametrize("layout_seed", [None, *range(5)])
def test_key_door_of_any_layout_can_be_solved(size: int, layout_seed: int | None) -> None:
    assert solver.optimal_return(key_door(size, layout_seed).task) == 1.0


def test_documented_returns() -> None:
    assert solver.optimal_return(deep_sea(10).task) == pytest.approx(0.99)
    assert solver.optimal_return(corridor(20, max_steps=19).task) == 1.0
    assert solver.optimal_return(corridor(20, max_steps=18).task) == 0.0
    assert solver.optimal_return(four_rooms(max_steps=20).task) == 1.0
    assert solver.optimal_return(four_rooms(max_steps=19).task) == 0.0
    # The treasure is found with probability 2^-N, and half of all steps go right.
    assert solver.random_return(deep_sea(8).task) == pytest.approx(2.0**-8 - 0.01 / 2)
    assert solver.random_return(combination_lock(4, 3, "jam").task) == pytest.approx(3.0**-4)


@pytest.mark.parametrize(
    ("task", "steps"),
    [
        (corridor(7).task, 7 * 6),
        (corridor(7, setback=6).task, 2**7 - 2),
        (combination_lock(4, 3).task, (3**5 - 3) / 2),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_documented_hitting_times_of_a_random_policy(task: FiniteTask, steps: float) -> None:
    P, _ = task.tables()
    cost = np.ones((task.n_states, task.n_actions))
    uniform = np.full(cost.shape, 1 / task.n_actions)
    hitting = solver.policy_evaluation(P, cost, uniform, 1.0, task.terminal)
    assert hitting[0] == pytest.approx(steps)


STOCHASTIC = [
    corridor(5, slip=0.3),
    deep_sea(4, stochastic=True),
    river_swim(4),
    four_rooms(7, slip=1 / 3, random_start=True),
    FiniteDynamics(random_mdp(1, states=6, branching=3)),
]


@pytest.mark.parametrize("dynamics", STOCHASTIC, ids=lambda dynamics: dynamics.task.name)
def test_play_has_the_frequencies_of_the_tables(dynamics: FiniteDynamics) -> None:
    """Counts of (s, a, s') in play against P: a chi-square test at a level of about 1e-6, by a fixed seed."""
    task, lanes = dynamics.task, 2000
    P, R = task.tables()
    env = NativeVectorEnv(dynamics, lanes)
    _, info = env.reset(seed=0)
    actions = np.random.default_rng(0).integers(task.n_actions, size=(60, lanes))
    counts, paid = np.zeros_like(P), np.zeros_like(P)
    starts = np.bincount(info["state"], minlength=task.n_states)
    s, done = info["state"], np.zeros(lanes, bool)
    for a in actions:
        _, reward, terminated, truncated, info = env.step(a)
        t = info["state"]
        np.add.at(counts, (s[~done], a[~done], t[~done]), 1)
        np.add.at(paid, (s[~done], a[~done], t[~done]), reward[~done])
        s, done = t, terminated | truncated
    assert (counts[P == 0] == 0).all()
    visits = counts.sum(axis=2, keepdims=True)
    expected = P * visits
    often = expected > 5
    statistic = ((counts - expected)[often] ** 2 / expected[often]).sum()
    freedom = max((often.sum(axis=2) - 1).clip(min=0).sum(), 1)
    assert statistic < freedom + 5 * np.sqrt(2 * freedom) + 10
    np.testing.assert_allclose(starts / lanes, task.start, atol=5 * np.sqrt(0.25 / lanes))
    np.testing.assert_allclose(paid, counts * R, atol=1e-9)  # a successor fixes the reward in these tasks


@pytest.mark.parametrize("dynamics", [four_rooms(layout_seed=1), key_door(layout_seed=1), corridor()])
def test_a_certain_start_is_taken(dynamics: FiniteDynamics) -> None:
    _, info = NativeVectorEnv(dynamics, 5).reset(seed=0)
    np.testing.assert_array_equal(info["state"], np.full(5, dynamics.task.start.argmax()))


@pytest.mark.parametrize("observation", ["one_hot", "coordinates", "index"])
def test_observation_says_the_state(observation: Any) -> None:
    env = NativeEnv(key_door(5, observation=observation))
    task = env.dynamics.task
    obs, info = env.reset(seed=0)
    for action in (2, 2, 2, 2, 4, 1, 0, 0, 4):
        if observation == "one_hot":
            assert obs.sum() == 1
            assert obs[info["state"]] == 1
        elif observation == "coordinates":
            np.testing.assert_array_equal(obs, task.coordinates[info["state"]])
        else:
            assert obs == info["state"]
        obs, _, _, _, info = env.step(action)
    assert info["door_open"]


def test_key_door_tells_its_story() -> None:
    env = NativeEnv(key_door(5))
    env.reset(seed=0)
    story = []
    for action in (0, 2, 2, 2, 2, 4, 0, 0, 1, 1, 4, 1, 1, 1, 2, 2):
        _, reward, terminated, _, info = env.step(action)
        story.append(env.captions[info["event"]])
    assert [text for text in story if text] == [
        "you bump into a wall",
        "you pick up the key",
        "the door is locked",
        "you open the door",
        "you reach the goal",
    ]
    assert (reward, terminated, info["success"]) == (1.0, True, True)


def test_coordinates_tell_states_apart() -> None:
    for dynamics in (corridor(), deep_sea(5), river_swim(), combination_lock(), four_rooms(), key_door()):
        coordinates = dynamics.task.coordinates
        assert len(np.unique(coordinates, axis=0)) == len(coordinates)
        assert coordinates.min() >= 0
        assert coordinates.max() <= 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"next_state": np.full((3, 2, 1), 3)}, "successor"),
        ({"next_state": np.zeros((3, 2), int)}, r"\(S, A, K\)"),
        ({"probability": np.full((3, 2, 1), 0.5)}, "sum to 1"),
        ({"probability": np.full((3, 2, 1), np.nan)}, "sum to 1"),
        ({"reward": np.zeros((3, 2, 1), np.float32)}, "float64"),
        ({"reward": np.ones((3, 2, 1))}, "absorbing"),
        ({"start": np.array([0.0, 0.0, 1.0])}, "must not start"),
        ({"event": np.full((3, 2, 1), 9)}, "caption"),
        ({"features": {"room": np.zeros(2, int)}}, "'room'"),
        ({"max_steps": 0}, "max_steps"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_broken_task_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(corridor(3).task, **change)


@pytest.mark.parametrize(
    "build",
    [
        lambda: corridor(1),
        lambda: corridor(slip=1.0),
        lambda: deep_sea(1),
        lambda: river_swim(2),
        lambda: combination_lock(on_error="explode"),
        lambda: four_rooms(6),
        lambda: key_door(2),
        lambda: corridor(observation="pixels"),
        lambda: random_mdp(0, states=2, branching=3),
    ],
)
def test_arguments_out_of_range_are_refused(build: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match=r"needs|must be"):
        build()


@given(
    seed=st.integers(0, 10**6),
    states=st.integers(2, 9),
    branching=st.integers(1, 9),
    terminals=st.integers(0, 3),
)
def test_random_mdps_are_tasks(seed: int, states: int, branching: int, terminals: int) -> None:
    task = random_mdp(seed, states, 2, min(branching, states), min(terminals, states - 1))
    P, R = task.tables()
    np.testing.assert_allclose(P.sum(axis=2), 1)
    assert (R[P == 0] == 0).all()
    rewards = (task.probability * task.reward).sum(axis=2)
    np.testing.assert_allclose((P * R).sum(axis=2), rewards, atol=1e-12)


def test_kernels_compile_once() -> None:
    kernels = [_stepper.step_lanes, _stepper.reset_lanes, _stepper.one_hot_lanes]

    def play(dynamics: FiniteDynamics, lanes: int) -> None:
        env = NativeVectorEnv(dynamics, lanes)
        env.reset(seed=0)
        env.step(np.zeros(lanes, np.int32))

    play(corridor(5), 1)
    compiled = [len(kernel.signatures) for kernel in kernels]
    play(four_rooms(7, slip=0.1, random_start=True), 4)
    play(river_swim(), 3)
    assert [len(kernel.signatures) for kernel in kernels] == compiled == [1, 1, 1]


def test_the_task_of_a_made_environment_is_at_hand() -> None:
    import shapegym  # noqa: F401  # registers the ids

    env = gym.make("shapegym/DeepSea-v0", size=4)
    assert env.unwrapped.dynamics.task.n_states == 5 * 4
