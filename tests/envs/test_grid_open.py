"""Grid worlds of one open room: equal to MiniGrid's for any knobs, layouts that can be solved, knobs that are checked."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import minigrid.envs as theirs
import numpy as np
import pytest
from gymnasium.envs.registration import load_env_creator
from hypothesis import given
from hypothesis import strategies as st
from minigrid.core.world_object import Wall
from minigrid.envs.gotodoor import GoToDoorEnv
from minigrid.envs.gotoobject import GoToObjectEnv
from minigrid.minigrid_env import MiniGridEnv
from numpy.typing import NDArray

from shapegym.envs.grid.families.crossing import crossing
from shapegym.envs.grid.families.dist_shift import dist_shift
from shapegym.envs.grid.families.dynamic_obstacles import dynamic_obstacles
from shapegym.envs.grid.families.fetch import fetch
from shapegym.envs.grid.families.go_to_door import go_to_door
from shapegym.envs.grid.families.go_to_object import go_to_object
from shapegym.envs.grid.families.ids import GRID_IDS
from shapegym.envs.grid.families.lava_gap import lava_gap
from shapegym.envs.grid.families.put_near import put_near
from shapegym.envs.grid.grid_dynamics import GridDynamics, LayoutError
from shapegym.envs.grid.lane.cells import BALL, BLUE, EMPTY, GREEN_GOAL, GREY_WALL, PICKABLE, PICKABLE_END
from shapegym.envs.grid.lane.facts import OBSTACLES, TARGET_X, TARGET_Y, X, Y
from shapegym.envs.grid.lane.pcg64 import seed_stream
from shapegym.envs.native import NativeEnv

Builder = Callable[..., GridDynamics]

PEERS: dict[Builder, Callable[..., MiniGridEnv]] = {
    crossing: theirs.CrossingEnv,
    lava_gap: theirs.LavaGapEnv,
    dist_shift: theirs.DistShiftEnv,
    fetch: theirs.FetchEnv,
    go_to_door: GoToDoorEnv,
    go_to_object: GoToObjectEnv,
    put_near: theirs.PutNearEnv,
    dynamic_obstacles: theirs.DynamicObstaclesEnv,
}
BUILDERS = {f"{builder.__module__.rpartition('.')[2]}:{builder.__name__}": builder for builder in PEERS}
REGISTERED = [(BUILDERS[builder], knobs) for _, builder, _, knobs in GRID_IDS if builder in BUILDERS]
FURTHER: list[tuple[Builder, dict[str, Any]]] = [
    (crossing, {"size": 5, "num_crossings": 0}),
    (crossing, {"size": 5, "num_crossings": 9, "obstacle_type": "WALL"}),
    (crossing, {"size": 13, "num_crossings": 7, "obstacle_type": "Lava"}),
    (lava_gap, {"size": 10}),
    (dist_shift, {"width": 7, "height": 5, "agent_start_pos": None, "strip2_row": 3}),
    (
        dist_shift,
        {"width": 12, "height": 8, "agent_start_pos": (4, 1), "agent_start_dir": 2, "strip2_row": 1},
    ),
    (fetch, {"size": 4, "numObjs": 1}),
    (fetch, {"size": 4, "numObjs": 3}),
    (fetch, {"size": 9, "numObjs": 20}),
    (go_to_door, {"size": 12}),
    (go_to_object, {"size": 4, "numObjs": 1}),
    (go_to_object, {"size": 7, "numObjs": 18}),
    (put_near, {"size": 6, "numObjs": 4}),
    (put_near, {"size": 15, "numObjs": 18}),
    (dynamic_obstacles, {"size": 4, "n_obstacles": 1}),
    (dynamic_obstacles, {"size": 5, "agent_start_pos": None, "n_obstacles": 3}),
    (dynamic_obstacles, {"size": 7, "agent_start_pos": (2, 3), "agent_start_dir": 1, "n_obstacles": 99}),
    (dynamic_obstacles, {"size": 6, "n_obstacles": 0}),
]


def name(value: Any) -> str:
    return value.__name__ if callable(value) else ",".join(map(str, value.values())) or "default"


def lockstep(expected: MiniGridEnv, dynamics: GridDynamics, seed: int, steps: int) -> int:
    """Play both with the same actions across episodes, and return the number of episodes that ended."""
    ours, rng, ended = NativeEnv(dynamics), np.random.default_rng(seed), 0
    seen, other = ours.reset(seed=seed)[0], expected.reset(seed=seed)[0]
    for step in range(steps):
        assert np.array_equal(seen["image"], other["image"]), step
        assert (seen["direction"], seen["mission"]) == (other["direction"], other["mission"]), step
        # Mostly forward, so that goals are reached.
        action = 2 if rng.random() < 0.4 else int(rng.integers(expected.action_space.n))
        seen, *results, _ = ours.step(action)
        other, *peer_results, _ = expected.step(action)
        assert results == peer_results, step
        if results[1] or results[2]:
            assert np.array_equal(seen["image"], other["image"]), step
            seen, other, ended = ours.reset()[0], expected.reset()[0], ended + 1
    return ended


@pytest.mark.parametrize(("builder", "knobs"), REGISTERED + FURTHER, ids=name)
def test_lockstep_with_minigrid(builder: Builder, knobs: dict[str, Any]) -> None:
    short = {"max_steps": 90, **knobs}  # so that every lane sees several episodes
    expected = PEERS[builder](**short)
    assert sum(lockstep(expected, builder(**short), seed, 300) for seed in range(3)) >= 9
    assert builder(**knobs).max_steps == PEERS[builder](**knobs).max_steps
    assert builder(**knobs).action_space == expected.action_space


def test_lava_gap_of_walls_equals_minigrid() -> None:
    lockstep(theirs.LavaGapEnv(6, Wall), lava_gap(6, "wall"), 0, 500)


def test_every_registered_id_of_these_families_is_compared() -> None:
    assert len(REGISTERED) == 29
    assert set(BUILDERS.values()) == {builder for builder, _ in REGISTERED}
    for path, builder in BUILDERS.items():
        assert load_env_creator(f"shapegym.envs.grid.families.{path}") is builder


def laid_out(dynamics: GridDynamics, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The cells, walls included, and the facts of a first episode."""
    state = dynamics.allocate(1)
    dynamics.seed(state, 0, seed)
    dynamics.reset(state, np.zeros((1, 0)), np.ones(1, np.bool_))
    pad = dynamics.pad
    return state["cells"][0, pad:-pad, pad:-pad], state["facts"][0]


def walk(grid: NDArray[np.uint8], start: tuple[int, int]) -> set[tuple[int, int]]:
    """Cells (x, y) within reach over empty cells and the goal."""
    reached, queue = {start}, deque([start])
    while queue:
        x, y = queue.popleft()
        for cell in ((x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)):
            if cell not in reached and grid[cell[1], cell[0]] in (EMPTY, GREEN_GOAL):
                reached.add(cell)
                queue.append(cell)
    return reached


@given(
    seed=st.integers(0, 2**32),
    half=st.integers(2, 8),
    rivers=st.integers(0, 20),
    obstacle=st.sampled_from(["lava", "wall"]),
)
def test_crossings_have_as_many_rivers_as_asked_for_and_a_way(
    seed: int, half: int, rivers: int, obstacle: str
) -> None:
    size = 2 * half + 1
    grid, _ = laid_out(crossing(size, rivers, obstacle), seed)
    assert (size - 2, size - 2) in walk(grid, (1, 1))
    inside = grid[1:-1, 1:-1] > GREEN_GOAL  # lava and walls; goal and empty are lower codes
    full = np.concatenate([inside[1::2].sum(axis=1), inside[:, 1::2].sum(axis=0)])
    assert (full >= size - 3).sum() == min(rivers, 2 * (half - 1))


@given(seed=st.integers(0, 2**32), size=st.integers(5, 20))
def test_lava_gap_and_dist_shift_have_a_way(seed: int, size: int) -> None:
    grid, _ = laid_out(lava_gap(size), seed)
    assert (size - 2, size - 2) in walk(grid, (1, 1))
    for row in range(1, size - 1):
        grid, facts = laid_out(dist_shift(9, size, None, strip2_row=row), seed)
        assert (7, 1) in walk(grid, (facts[X], facts[Y]))


@given(seed=st.integers(0, 2**32), objects=st.integers(2, 18))
def test_put_near_finds_a_place_for_every_object_in_the_least_room(seed: int, objects: int) -> None:
    # Least room with `objects` cells of which no two are near to the same cell: 1, 4, 7 ... in both directions.
    size = next(size for size in range(3, 30) if len(range(1, size - 1, 3)) ** 2 >= objects)
    grid, facts = laid_out(put_near(size, objects), seed)
    ys, xs = np.nonzero((grid >= PICKABLE) & (grid < PICKABLE_END))
    assert len(xs) == objects
    apart = np.maximum(np.abs(xs[:, None] - xs), np.abs(ys[:, None] - ys)) + 9 * np.eye(objects)
    assert apart.min() > 1
    assert (facts[TARGET_X], facts[TARGET_Y]) in set(zip(xs, ys, strict=True))
    with pytest.raises(ValueError, match=f"size must be at least {size}, got {size - 1}"):
        put_near(size - 1, objects)


@given(seed=st.integers(0, 2**32), size=st.integers(4, 9))
def test_obstacles_are_where_the_facts_say(seed: int, size: int) -> None:
    dynamics = dynamic_obstacles(size, None, n_obstacles=2)
    env, rng = NativeEnv(dynamics), np.random.default_rng(seed)
    env.reset(seed=seed)
    for _ in range(20):
        state, pad = env.snapshot(), dynamics.pad
        grid, facts = state["state.cells"][0, pad:-pad, pad:-pad], state["state.facts"][0]
        ys, xs = np.nonzero(grid == BALL + BLUE)
        balls = {(facts[k], facts[k + 1]) for k in range(OBSTACLES, len(facts), 2)}
        assert balls == set(zip(xs, ys, strict=True))
        assert len(balls) == 2
        *_, terminated, truncated, _ = env.step(int(rng.integers(3)))
        if terminated or truncated:
            env.reset()


def test_dynamic_obstacles_take_three_actions() -> None:
    env = NativeEnv(dynamic_obstacles())
    env.reset(seed=0)
    with pytest.raises(ValueError, match="3"):
        env.step(3)


def test_obstacles_without_a_place_fail_as_in_minigrid() -> None:
    roomy = dynamic_obstacles(4, n_obstacles=1).task
    crowded = GridDynamics(replace(roomy, obstacles=3))
    with pytest.raises(LayoutError, match="lane 0: DynamicObstacles"):
        NativeEnv(crowded).reset(seed=0)


WRONG: list[tuple[Builder, dict[str, Any], str]] = [
    (crossing, {"size": 3}, "size must be at least 5, got 3"),
    (crossing, {"size": 8}, "size must be odd, got 8"),
    (crossing, {"num_crossings": -1}, "num_crossings must be at least 0, got -1"),
    (crossing, {"obstacle_type": "water"}, "obstacle_type must be one of .*, got 'water'"),
    (crossing, {"max_steps": 0}, "max_steps"),
    (lava_gap, {"size": 4}, "size must be at least 5, got 4"),
    (lava_gap, {"size": 5, "obstacle_type": None}, "obstacle_type must be one of .*, got None"),
    (dist_shift, {"width": 6}, "width must be at least 7, got 6"),
    (dist_shift, {"height": 4}, "height must be at least 5, got 4"),
    (dist_shift, {"strip2_row": 0}, "strip2_row must be at least 1, got 0"),
    (dist_shift, {"strip2_row": 6}, "strip2_row must be at most height - 2 = 5, got 6"),
    (dist_shift, {"agent_start_pos": (8, 1)}, "agent_start_pos .* got"),
    (dist_shift, {"agent_start_pos": (1.5, 1)}, r"agent_start_pos .* got \(1.5, 1\)"),
    (dist_shift, {"agent_start_pos": 3}, "agent_start_pos .* got 3"),
    (dist_shift, {"agent_start_dir": 4}, "agent_start_dir .* got 4"),
    (fetch, {"numObjs": 0}, "numObjs must be at least 1, got 0"),
    (fetch, {"size": 4, "numObjs": 4}, "with numObjs=4, size must be at least 5, got 4"),
    (go_to_door, {"size": 4}, "size must be at least 5, got 4"),
    (go_to_object, {"numObjs": 0}, "numObjs must be at least 1, got 0"),
    (go_to_object, {"size": 9, "numObjs": 19}, "numObjs must be at most 18"),
    (go_to_object, {"size": 6, "numObjs": 16}, "with numObjs=16, size must be at least 7, got 6"),
    (put_near, {"numObjs": 1}, "numObjs must be at least 2, got 1"),
    (put_near, {"size": 30, "numObjs": 19}, "numObjs must be at most 18"),
    (put_near, {"size": 5}, "with numObjs=2, size must be at least 6, got 5"),
    (dynamic_obstacles, {"size": 3}, "size must be at least 4, got 3"),
    (dynamic_obstacles, {"size": 4, "n_obstacles": 3}, "size must be at least 5, got 4"),
    (dynamic_obstacles, {"n_obstacles": -1}, "n_obstacles must be at least 0, got -1"),
    (dynamic_obstacles, {"agent_start_pos": (0, 1)}, "agent_start_pos .* got"),
]


@pytest.mark.parametrize(("builder", "knobs", "message"), WRONG)
def test_wrong_knobs_are_refused_by_name(builder: Builder, knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        builder(**knobs)


@pytest.mark.parametrize("builder", PEERS, ids=name)
def test_sizes_are_integers(builder: Builder) -> None:
    knob = "width" if builder is dist_shift else "size"
    with pytest.raises(TypeError, match=f"{knob} must be an integer, got 9.0"):
        builder(**{knob: 9.0})


@pytest.mark.parametrize("builder", PEERS, ids=name)
def test_other_knobs_compile_nothing_new(builder: Builder) -> None:
    compiled = []
    for knobs in [knobs for known, knobs in REGISTERED + FURTHER if known is builder]:
        dynamics = builder(**knobs)
        laid_out(dynamics, 0)
        compiled.append(len(dynamics.task.reset.signatures))
    assert compiled == [1] * len(compiled)


def test_layouts_depend_on_the_stream_alone() -> None:
    dynamics = crossing(11, 5)
    state = dynamics.allocate(3)
    for lane, seed in enumerate((4, 9, 4)):
        state["streams"][lane] = seed_stream(seed)
    dynamics.reset(state, np.zeros((3, 0)), np.ones(3, np.bool_))
    assert np.array_equal(state["cells"][0], state["cells"][2])
    assert not np.array_equal(state["cells"][0], state["cells"][1])
    assert (state["cells"][0] != GREY_WALL).any()
