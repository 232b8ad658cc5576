"""Geodesic distances against a plain Dijkstra search, on grids of anything anywhere."""

from __future__ import annotations

import pickle
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from grid_reference import Grid, Thing, geodesic
from gymnasium.error import ResetNeeded
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from shapegym.envs import _threads
from shapegym.envs.grid.features import distances
from shapegym.envs.grid.features.distances import DISTANCES, KINDS
from shapegym.envs.grid.geodesics import geodesic_distances
from shapegym.envs.grid.lane.cells import (  # fmt: skip
    BALL,
    BOX,
    CLOSED_DOOR,
    COLORS,
    EMPTY,
    GOAL,
    GREY_WALL,
    KEY,
    LAVA,
    LOCKED_DOOR,
    OBJECTS,
    OPEN_DOOR,
    PALETTE,
    PICKABLE_END,
    WALL,
    YELLOW,
)
from shapegym.envs.grid.lane.facts import CARRIED, X, Y

STATES = ("open", "closed", "locked")
CODES = [code for code in range(256) if PALETTE[code].any() and code != 0]


def thing_of(code: int) -> Thing:
    number, color, state = PALETTE[code].tolist()
    inside = COLORS[(code - BOX) // 8 - 1] if BOX + 8 <= code < PICKABLE_END else None
    return OBJECTS[number], COLORS[color], STATES[state] if OBJECTS[number] == "door" else "", inside


def as_dict(grid: NDArray[np.uint8]) -> Grid:
    return {(x, y): thing_of(int(code)) for (y, x), code in np.ndenumerate(grid)}


def padded(grid: NDArray[np.uint8], lanes: int, pad: int = 2) -> NDArray[np.uint8]:
    cells = np.full((lanes, *(side + 2 * pad for side in grid.shape)), GREY_WALL, np.uint8)
    cells[:, pad : pad + grid.shape[0], pad : pad + grid.shape[1]] = grid
    return cells


def measure(
    grid: NDArray[np.uint8], agents: list[tuple[int, int]], carried: int, kind: str, color: str | None
) -> NDArray[np.int64]:
    facts = np.zeros((len(agents), 11), np.int64)
    facts[:, [X, Y]], facts[:, CARRIED] = agents, carried
    out, everyone = np.full(len(agents), -7), np.ones(len(agents), np.bool_)
    distances.write_distances(
        distances.codes_of(kind, color), None, None, 2, padded(grid, len(agents)), facts, everyone, out
    )  # type: ignore[arg-type]
    return out


@st.composite
def grids(draw: st.DrawFn) -> NDArray[np.uint8]:
    width, height = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    few = [EMPTY] * 8 + [
        WALL,
        WALL,
        CLOSED_DOOR + YELLOW,
        LOCKED_DOOR + YELLOW,
        OPEN_DOOR,
        KEY,
        BALL,
        LAVA,
        GOAL,
    ]
    codes = st.sampled_from(few) | st.sampled_from(few) | st.sampled_from(CODES)
    cells = draw(st.lists(codes, min_size=width * height, max_size=width * height))
    return np.array(cells, np.uint8).reshape(height, width)


@given(
    grids(),
    st.sampled_from(KINDS),
    st.sampled_from([None, *COLORS]),
    st.sampled_from([0, KEY + YELLOW, KEY, BALL + YELLOW, BOX + 8 + YELLOW]),
)
def test_distances_are_those_of_a_plain_search(
    grid: NDArray[np.uint8], kind: str, color: str | None, carried: int
) -> None:
    things = as_dict(grid)
    agents = [cell for cell, thing in things.items() if thing[0] not in ("wall", "lava")] or [(0, 0)]
    key = COLORS[carried & 7] if carried in (KEY, KEY + YELLOW) else None

    def sought(thing: Thing) -> bool:
        return thing[0] == kind and color in (None, thing[1])

    for agent, distance in zip(agents, measure(grid, agents, carried, kind, color), strict=True):
        expected = geodesic(things, agent, sought, key)
        assert distance == (grid.size if expected is None else expected), (agent, kind, color)


def test_doors_cost_a_toggle_and_locked_ones_a_key() -> None:
    row = np.array([[EMPTY, CLOSED_DOOR, EMPTY, LOCKED_DOOR + YELLOW, EMPTY, GOAL]], np.uint8)
    assert measure(row, [(0, 0)], 0, "door", None) == 1
    assert measure(row, [(0, 0)], 0, "door", "yellow") == 4
    assert measure(row, [(0, 0)], 0, "goal", None) == row.size
    assert measure(row, [(0, 0)], KEY + YELLOW, "goal", None) == 7
    assert measure(row, [(5, 0)], 0, "goal", None) == 0


def test_the_features_and_the_function_agree() -> None:
    env: Any = gym.make_vec("shapegym/MiniGrid-ObstructedMaze-1Dl-v0", num_envs=4, features=tuple(DISTANCES))
    with pytest.raises(ResetNeeded):
        geodesic_distances(env, "key")
    _, info = env.reset(seed=0)
    for kind in ("goal", "key", "door", "ball", "box"):
        np.testing.assert_array_equal(info[f"distance_to_{kind}"], geodesic_distances(env, kind))
    single = gym.make("shapegym/MiniGrid-ObstructedMaze-1Dl-v0")
    single.reset(seed=2)
    assert geodesic_distances(single, "key").tolist() == [info["distance_to_key"][2]]
    assert geodesic_distances(single, "ball").tolist() == [11 * 6], "the ball is behind the locked door"


def test_distances_are_in_their_space_along_random_play() -> None:
    env: Any = gym.make_vec("shapegym/MiniGrid-MultiRoom-N4-S5-v0", num_envs=8, features="all")
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    for _ in range(100):
        info = env.step(rng.integers(7, size=8))[-1]
        for name in DISTANCES:
            assert all(env.unwrapped.features[name].contains(value) for value in info[name])


def test_chunks_of_lanes_measure_what_one_loop_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    env: Any = gym.make_vec("shapegym/MiniGrid-DoorKey-6x6-v0", num_envs=9)
    env.reset(seed=0)
    alone = geodesic_distances(env, "door")
    monkeypatch.setattr(_threads, "LANES_PER_THREAD", 1)
    np.testing.assert_array_equal(geodesic_distances(env, "door"), alone)


@pytest.mark.parametrize(
    ("kind", "color", "message"),
    [("keys", None, "or one of .*'key'"), ("key", "pink", "color must be one of .*'purple'")],
)
def test_unknown_things_are_named(kind: str, color: str | None, message: str) -> None:
    env = gym.make("shapegym/MiniGrid-Empty-5x5-v0")
    env.reset()
    with pytest.raises(ValueError, match=message):
        geodesic_distances(env, kind, color)


def test_distance_to_a_cell_is_that_to_the_goal_in_it() -> None:
    env: Any = gym.make_vec(
        "shapegym/MiniGrid-DoorKey-8x8-v0", num_envs=8, features=("distance_to_6_6", "distance_to_0_0")
    )
    _, info = env.reset(seed=0)
    rng = np.random.default_rng(0)
    for _ in range(200):
        np.testing.assert_array_equal(info["distance_to_6_6"], geodesic_distances(env, "goal"))
        np.testing.assert_array_equal(info["distance_to_6_6"], geodesic_distances(env, (6, 6)))
        assert (info["distance_to_0_0"] == 64).all(), "no way leads into a wall"
        *_, info = env.step(rng.integers(7, size=8))
    twin = pickle.loads(pickle.dumps(env))
    actions = rng.integers(7, size=8)
    np.testing.assert_array_equal(
        twin.step(actions)[4]["distance_to_6_6"], env.step(actions)[4]["distance_to_6_6"]
    )
    walked = geodesic_distances(env, tuple(env.step(actions)[4]["agent_pos"][0]))
    assert walked[0] == 0
    for cell in ((8, 0), (0, -1)):
        with pytest.raises(ValueError, match="outside of the grid of 8 x 8"):
            geodesic_distances(env, cell)
    with pytest.raises(ValueError, match="outside of the grid"):
        gym.make("shapegym/MiniGrid-DoorKey-8x8-v0", features="distance_to_9_9")


def test_other_environments_are_refused() -> None:
    env = gym.make("shapegym/Corridor-v0")
    env.reset()
    with pytest.raises(TypeError, match="expected a grid world"):
        geodesic_distances(env, "goal")


def test_the_kernel_compiles_once() -> None:
    for name in ("MiniGrid-DoorKey-6x6-v0", "MiniGrid-Empty-5x5-v0"):
        gym.make(f"shapegym/{name}", features=tuple(DISTANCES)).reset()
    assert len(distances._distance_range.signatures) == 1
