"""The point maze: walls hold against any motion, goals pay by one rule, layouts are checked, HER can use it."""

from __future__ import annotations

from collections.abc import Sequence

import gymnasium as gym
import numpy as np
import pytest
from control_reference import slide
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3 import DDPG, HerReplayBuffer
from stable_baselines3.common.env_checker import check_env

from shapegym.envs.control.maze_layouts import LAYOUTS, read_maze
from shapegym.envs.control.point_maze import AT_GOAL, BUMPED, SKIN, PointMaze
from shapegym.envs.dynamics import StepOutcome
from shapegym.envs.native import NativeEnv, NativeVectorEnv

# Small enough that no start is inside, so that motions end where the walls let them.
FAR_GOAL = 1e-9
MAZE = read_maze("large")
RUNNER = PointMaze("large", speed=8.0, goal_radius=FAR_GOAL)


def move(start: Sequence[float], displacement: Sequence[float]) -> tuple[np.ndarray, bool]:
    state, outcome = RUNNER.allocate(1), StepOutcome.empty(1)
    state["position"][0] = start
    actions = (np.array([displacement]) / 8.0).astype(np.float32)
    RUNNER.step(state, actions, np.empty((1, 0)), np.ones(1, np.bool_), outcome)
    return state["position"][0], bool(outcome.event[0] == BUMPED)


def is_wall(x: float, y: float) -> bool:
    return LAYOUTS["large"][int(y)][int(x)] == "#"


inside = st.floats(0.0, 1.0, exclude_max=True)
# In single precision, as the actions are; with many zeros and whole cells, where paths meet edges and corners.
along = st.floats(-8.0, 8.0, width=32) | st.sampled_from([0.0, -0.5, 0.5, 1.0, -1.0, 2.0])


@given(cell=st.integers(0, len(MAZE.free) - 1), u=inside, v=inside, dx=along, dy=along)
def test_no_motion_enters_or_crosses_a_wall(cell: int, u: float, v: float, dx: float, dy: float) -> None:
    start = MAZE.free[cell] + np.array([u, v])
    end, bumped = move(start, (dx, dy))
    wanted = np.array([dx, dy])
    assert not is_wall(*end)
    if bumped:
        face_distance = np.abs(end - np.round(end))
        assert (face_distance <= SKIN * (1 + 1e-9)).any(), "a blocked point stands at a wall's face"
        assert (np.abs(end - start) <= np.abs(wanted) + SKIN).all()
        assert (np.sign(wanted) * (end - start) >= -SKIN).all(), (
            "a wall never pushes further back than its skin"
        )
    else:
        np.testing.assert_array_equal(end, start + wanted)
        for share in np.linspace(0.0, 1.0, 200):
            point = start + share * wanted
            on_edge = np.abs(point - np.round(point)).min() < 1e-6
            assert on_edge or not is_wall(*point)


def test_motions_agree_with_many_small_parts() -> None:
    rng = np.random.default_rng(0)
    bumps = 0
    for _ in range(200):
        start = MAZE.free[rng.integers(len(MAZE.free))] + rng.random(2)
        displacement = rng.uniform(-3, 3, 2).astype(np.float32).astype(float)
        end, bumped = move(start, displacement)
        bumps += bumped
        np.testing.assert_allclose(end, slide(LAYOUTS["large"], start, displacement, 1000), atol=0.01)
    assert 20 < bumps < 180


def test_a_random_walk_never_leaves_the_free_cells() -> None:
    envs = NativeVectorEnv(PointMaze("medium", speed=3.0), 64)
    envs.action_space.seed(0)
    envs.reset(seed=0)
    walls = read_maze("medium").walls
    for _ in range(300):
        obs, *_, info = envs.step(envs.action_space.sample())
        for positions in (info["agent_pos"], obs[:, :2]):
            cells = np.floor(positions).astype(int)
            assert not walls[cells[:, 0], cells[:, 1]].any()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_following_the_shortest_way_earns_the_optimal_return(layout: str) -> None:
    env = NativeEnv(PointMaze(layout))
    distance = distance_to_goal(layout)
    _, info = env.reset(seed=0)
    reward, steps = 0.0, 0
    while not reward:
        cell = tuple(np.floor(info["agent_pos"]).astype(int))
        near = [cell, *((cell[0] + dx, cell[1] + dy) for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)))]
        target = np.array(min((c for c in near if c in distance), key=distance.__getitem__)) + 0.5
        # Along the corridor's middle first: a diagonal step would bump into the corner.
        action = np.clip((target - info["agent_pos"]) / 0.25, -1, 1).astype(np.float32)
        _, reward, terminated, truncated, info = env.step(action)
        steps += 1
        assert not truncated
    assert (reward, terminated, info["success"], info["event"]) == (1.0, True, True, AT_GOAL)
    assert steps <= 6 * distance[tuple(read_maze(layout).starts[0])]


def distance_to_goal(layout: str) -> dict[tuple[int, int], int]:
    maze = read_maze(layout)
    goal = tuple(maze.goals[0].tolist())
    distance, frontier = {goal: 0}, [goal]
    for x, y in frontier:
        for cell in ((x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)):
            if not maze.walls[cell] and cell not in distance:
                distance[cell] = distance[x, y] + 1
                frontier.append(cell)
    return distance


@pytest.mark.parametrize(
    ("random_start", "random_goal"), [(True, True), (True, False), (False, True), (False, False)]
)
def test_starts_and_goals_are_free_and_apart(random_start: bool, random_goal: bool) -> None:
    dynamics = PointMaze("medium", random_start=random_start, random_goal=random_goal)
    state = dynamics.allocate(2000)
    dynamics.reset(state, np.random.default_rng(0).random((2000, 6)), np.ones(2000, np.bool_))
    maze = read_maze("medium")
    starts, goals = np.floor(state["position"]).astype(int), np.floor(state["goal"]).astype(int)
    assert (starts != goals).any(axis=1).all()
    free, start, goal = (set(map(tuple, cells.tolist())) for cells in (maze.free, maze.starts, maze.goals))
    expected_starts = free - (set() if random_goal else goal) if random_start else start
    expected_goals = free - (set() if random_start else start) if random_goal else goal
    assert set(map(tuple, starts.tolist())) == expected_starts
    assert set(map(tuple, goals.tolist())) == expected_goals


def test_a_goals_reward_is_the_steps_reward() -> None:
    dynamics = PointMaze(
        "open", goal_conditioned=True, random_goal=True, random_start=True, goal_radius=1.0, max_steps=20
    )
    envs = NativeVectorEnv(dynamics, 32, autoreset_mode="Disabled")
    envs.action_space.seed(1)
    envs.reset(seed=1)
    paid = 0.0
    for _ in range(100):
        obs, reward, terminated, truncated, info = envs.step(envs.action_space.sample())
        again = envs.compute_reward(obs["achieved_goal"], obs["desired_goal"], info)
        np.testing.assert_array_equal(again, reward)
        paid += reward.sum()
        if (terminated | truncated).any():
            envs.reset(options={"reset_mask": terminated | truncated})
    assert 0 < paid < 3200


def test_the_goals_edge_is_judged_in_the_precision_of_observations() -> None:
    dynamics = PointMaze("open", goal_conditioned=True)
    state, outcome = dynamics.allocate(1), StepOutcome.empty(1)
    state["goal"][0] = (3.5, 1.5)
    state["position"][0] = (3.75 + 1e-9, 1.5)
    dynamics.step(state, np.zeros((1, 2), np.float32), np.empty((1, 0)), np.ones(1, np.bool_), outcome)
    seen = {name: np.empty((1, 2), np.float32) for name in dynamics.observation_space}
    dynamics.observe(state, seen, np.ones(len(next(iter(state.values()))), np.bool_))
    again = dynamics.compute_reward(seen["achieved_goal"], seen["desired_goal"])
    np.testing.assert_array_equal(again, outcome.reward)
    np.testing.assert_array_equal(again, 1.0)


def test_rewards_of_goals_keep_leading_shapes_and_reject_others() -> None:
    env = NativeEnv(PointMaze(goal_conditioned=True, goal_radius=0.5))
    one = env.compute_reward(np.array([1.0, 1.0]), np.array([1.0, 1.5]), {})
    assert (one.shape, float(one)) == ((), 1.0)
    many = env.compute_reward(np.zeros((4, 3, 2)), np.full((4, 3, 2), 0.4), {})
    np.testing.assert_array_equal(many, np.zeros((4, 3)))
    with pytest.raises(ValueError, match=r"one shape \(..., 2\), got \(3, 2\) and \(2, 2\)"):
        env.compute_reward(np.zeros((3, 2)), np.zeros((2, 2)), {})
    with pytest.raises(TypeError, match="goal_conditioned=True"):
        PointMaze().compute_reward(np.zeros(2), np.zeros(2))


def test_hindsight_replay_relabels_with_the_tasks_reward() -> None:
    env = gym.make("shapegym/PointMazeGoal-v0", layout="open", max_steps=20)
    check_env(env.unwrapped)
    model = DDPG(
        "MultiInputPolicy",
        env,
        learning_starts=40,
        replay_buffer_class=HerReplayBuffer,
        policy_kwargs={"net_arch": [8]},
        seed=0,
        device="cpu",
    ).learn(80)
    batch = model.replay_buffer.sample(256)
    achieved, desired = (batch.next_observations[name].numpy() for name in ("achieved_goal", "desired_goal"))
    rewards = env.unwrapped.compute_reward(achieved, desired, {})
    np.testing.assert_array_equal(batch.rewards.numpy().ravel(), rewards)
    assert 0 < rewards.mean() < 1


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ("huge", "unknown layout 'huge'; give one of open, u, medium, large"),
        ([], "rows of one length"),
        (["###", "#S#", "####"], "rows of one length, got lengths"),
        (["####", "#SX#", "####"], r"consists of '#', '\.', 'S' and 'G', got \['X'\]"),
        (["####", "#SG.", "####"], "cell x=3, y=1 of the border is free"),
        (["####", "#S.#", "####"], "at least one S and one G, got 1 and 0"),
        (["#####", "#S#G#", "#####"], r"G at x=3, y=1 cannot be reached from S at \(1, 1\)"),
    ],
)
def test_bad_layouts_are_explained(layout: str | list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PointMaze(layout)


def test_own_layouts_run_and_are_told_apart() -> None:
    env = NativeEnv(PointMaze(["####", "#SG#", "####"], goal_radius=0.5))
    other = NativeEnv(PointMaze(["#####", "#S.G#", "#####"], goal_radius=0.5))
    env.reset(seed=0)
    other.reset(seed=0)
    with pytest.raises(ValueError, match="was taken from"):
        other.restore(env.snapshot())
    assert isinstance(env.observation_space, gym.spaces.Box)
    for _ in range(4):
        *_, terminated, _, info = env.step(np.array([1.0, 0.0], np.float32))
        if terminated:
            break
    assert info["success"]
