"""Features of grid worlds: against the adapter around minigrid, and against plain loops on any grid."""

from __future__ import annotations

from functools import cache
from typing import Any

import gymnasium as gym
import minigrid  # noqa: F401 (registers its ids)
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from rooms_reference import rooms

import shapegym  # noqa: F401 (registers the ids)
from shapegym.envs import _threads
from shapegym.envs.foreign.ready_features import adapt_features
from shapegym.envs.grid.features import current_room as room_ids
from shapegym.envs.grid.features import scans
from shapegym.envs.grid.features.reader import REQUESTED
from shapegym.envs.grid.lane.cells import (  # fmt: skip
    BALL,
    BLUE,
    BOX,
    CLOSED_DOOR,
    EMPTY,
    GREEN_GOAL,
    GREY_WALL,
    KEY,
    LOCKED_DOOR,
    OBJECTS,
    OPEN_DOOR,
    PALETTE,
    RED,
    RED_LAVA,
    YELLOW,
    box,
)
from shapegym.envs.grid.lane.facts import X, Y
from shapegym.envs.grid.lane.stepping import CAPTIONS, DROP, FORWARD, PICK_UP, TOGGLE

VARIED = (
    "MiniGrid-DoorKey-5x5-v0",
    "MiniGrid-ObstructedMaze-1Dlhb-v0",
    "MiniGrid-KeyCorridorS3R2-v0",
    "MiniGrid-LavaGapS5-v0",
    "MiniGrid-Dynamic-Obstacles-5x5-v0",
    "MiniGrid-Fetch-5x5-N2-v0",
    "MiniGrid-PutNear-6x6-N2-v0",
    "MiniGrid-GoToDoor-5x5-v0",
    "MiniGrid-MemoryS7-v0",
    "MiniGrid-RedBlueDoors-6x6-v0",
    "MiniGrid-MultiRoom-N2-S4-v0",
    "MiniGrid-Playground-v0",
)
ASKED = ("goal_pos", "key_pos", "door_pos", "doors_open", "doors_locked")
THINGS = tuple(OBJECTS.index(name) for name in ("door", "key", "ball", "box"))


def busy(front: int, actions: int, rng: np.random.Generator) -> int:
    """A random action that more often does something with what is in front."""
    if actions > TOGGLE and rng.random() < 0.6:
        return int(rng.choice([PICK_UP, TOGGLE, TOGGLE] if front in THINGS else [FORWARD, FORWARD, DROP]))
    return int(rng.integers(actions))


@cache
def hold_equal_features(name: str) -> set[int]:
    """Play both side by side; returns the events that came up."""
    theirs = adapt_features(gym.make(name, disable_env_checker=True, max_steps=150))
    ours: Any = gym.make(f"shapegym/{name}", features=ASKED, max_steps=150).unwrapped
    declared = theirs.get_wrapper_attr("features")
    assert ours.features == {**declared, "mission_id": gym.spaces.Discrete(len(ours.dynamics.missions))}
    assert ours.captions == theirs.get_wrapper_attr("captions")
    heard = set()
    rng = np.random.default_rng(0)
    expected, given_info = theirs.reset(seed=0)[1], ours.reset(seed=0)[1]
    for step in range(600):
        for feature, value in declared.items():
            np.testing.assert_array_equal(
                given_info[feature], expected[feature], f"{feature} after step {step}"
            )
            assert np.asarray(given_info[feature], value.dtype) in value
        heard.add(given_info["event"])
        action = busy(given_info["front"], ours.action_space.n, rng)
        _, _, terminated, truncated, expected = theirs.step(action)
        given_info = ours.step(action)[-1]
        if terminated or truncated:
            assert given_info["success"] == expected["success"]
            assert given_info["event"] == expected["event"]
            heard.add(given_info["event"])
            expected, given_info = theirs.reset()[1], ours.reset()[1]
    return heard


@pytest.mark.parametrize("name", VARIED)
def test_features_and_events_equal_those_of_the_adapter(name: str) -> None:
    assert len(hold_equal_features(name)) > 1


def test_the_varied_ids_have_every_event() -> None:
    assert set.union(*map(hold_equal_features, VARIED)) == {*range(len(CAPTIONS))}


CODES = st.sampled_from(
    [EMPTY] * 5
    + [GREY_WALL] * 5
    + [GREEN_GOAL, RED_LAVA, KEY + YELLOW, BALL + BLUE, BOX + RED, box(RED, BLUE)]
    + [OPEN_DOOR + RED, CLOSED_DOOR + BLUE, LOCKED_DOOR + YELLOW]
)


@st.composite
def grids(draw: st.DrawFn) -> NDArray[np.uint8]:
    """(height, width) codes of anything anywhere, even on the border."""
    width, height = draw(st.integers(1, 8)), draw(st.integers(1, 8))
    return np.array(
        draw(st.lists(CODES, min_size=width * height, max_size=width * height)), np.uint8
    ).reshape(height, width)


def read(name: str, grid: NDArray[np.uint8], agents: list[tuple[int, int]], pad: int = 2) -> NDArray[Any]:
    """A reading of lanes that share a grid; agents are at (x, y)."""
    cells = np.full((len(agents), *(side + 2 * pad for side in grid.shape)), GREY_WALL, np.uint8)
    cells[:, pad : pad + grid.shape[0], pad : pad + grid.shape[1]] = grid
    facts = np.zeros((len(agents), 11), np.int64)
    facts[:, [X, Y]] = agents
    out = np.full((len(agents), 2) if name.endswith("_pos") else len(agents), -7, np.int64)
    REQUESTED[name].write(None, pad, cells, facts, np.ones(len(agents), np.bool_), out)
    return out


@given(grids())
def test_scans_equal_numpys_search(grid: NDArray[np.uint8]) -> None:
    triples = PALETTE[grid.T].astype(np.int64)  # [x, y]
    for name, number in (("goal_pos", 8), ("key_pos", 5), ("door_pos", 4)):
        found = np.argwhere(triples[..., 0] == number)
        np.testing.assert_array_equal(read(name, grid, [(0, 0)])[0], found[0] if len(found) else (-1, -1))
    for name, state in (("doors_open", 0), ("doors_locked", 2)):
        doors = (triples[..., 0] == 4) & (triples[..., 2] == state)
        assert read(name, grid, [(0, 0)])[0] == doors.sum()


@given(grids())
def test_rooms_equal_the_flood_fill(grid: NDArray[np.uint8]) -> None:
    expected = rooms(PALETTE[grid.T, 0].tolist())
    if expected:
        assert read("room", grid, list(expected)).tolist() == list(expected.values())


def picture(text: str) -> NDArray[np.uint8]:
    codes = {"#": GREY_WALL, ".": EMPTY, "+": CLOSED_DOOR + RED, "o": BALL + BLUE, "~": RED_LAVA}
    return np.array([[codes[letter] for letter in line] for line in text.split()], np.uint8)


@pytest.mark.parametrize(
    ("drawn", "expected"),
    [
        # Two rooms, a gap and a door.
        ("####### #..#..# #.....# #..#..# ###+### #.....# #######", "####### #11#22# #11022# #11#22# ###0### #33333# #######"),
        # A passage of two cells is no doorway.
        ("######## #..##..# #......# #..##..# ########", "######## #11##11# #111111# #11##11# ########"),
        # Objects and lava are floor, in a gap too.
        ("####### #.o#~.# #..o..# #..#..# #######", "####### #11#22# #11022# #11#22# #######"),
        # Rooms of one cell between doors, as in KeyCorridorS3; a hallway with doors on both sides.
        ("##### #+.+# #.#.# ##### #####", "##### #010# #2#3# ##### #####"),
        ("##### #.+.# ###.# #.+.# #####", "##### #102# ###2# #302# #####"),
        # What reaches the border is outside.
        ("..##### ..#...# ..#...# ..###+# .......", "00##### 00#111# 00#111# 00###0# 0000000"),
        # The gap of a strip one cell wide: only the hole in the wall is a doorway.
        ("##### #.#.# #.#.# #...# #.#.# #.#.# #####", "##### #1#2# #1#2# #102# #1#2# #1#2# #####"),
    ],
)  # fmt: skip
def test_rooms_of_drawn_layouts(drawn: str, expected: str) -> None:
    grid = picture(drawn)
    lines = expected.split()
    places = [(x, y) for y, line in enumerate(lines) for x, mark in enumerate(line) if mark != "#"]
    assert read("room", grid, places).tolist() == [int(lines[y][x]) for x, y in places]


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("MiniGrid-FourRooms-v0", 4),
        ("MiniGrid-DoorKey-8x8-v0", 2),
        ("MiniGrid-MultiRoom-N6-v0", 6),
        ("MiniGrid-KeyCorridorS3R3-v0", 7),
        ("MiniGrid-KeyCorridorS5R3-v0", 7),
        ("MiniGrid-ObstructedMaze-Full-v1", 9),
        ("MiniGrid-LockedRoom-v0", 7),
        ("MiniGrid-SimpleCrossingS9N1-v0", 2),
        ("MiniGrid-RedBlueDoors-8x8-v0", 3),
        ("MiniGrid-Empty-8x8-v0", 1),
    ],
)
def test_layouts_of_minigrid_have_the_rooms_that_people_see(name: str, count: int) -> None:
    for seed in range(4):
        env: Any = gym.make(f"shapegym/{name}", features="room").unwrapped
        env.reset(seed=seed)
        task, pad = env.dynamics.task, env.dynamics.pad
        grid = env._lane._state["cells"][0, pad : pad + task.height, pad : pad + task.width]
        inside = rooms(PALETTE[grid.T, 0].tolist())
        assert set(read("room", grid, list(inside)).tolist()) - {0} == {*range(1, count + 1)}


def test_a_room_keeps_its_id_whatever_happens_in_it() -> None:
    env: Any = gym.make("shapegym/MiniGrid-KeyCorridorS3R2-v0", features=("room", "doors_open")).unwrapped
    rng = np.random.default_rng(1)
    _, info = env.reset(seed=1)
    rooms_of_cells: dict[tuple[int, int], set[int]] = {}
    opened = False
    for _ in range(250):
        rooms_of_cells.setdefault(tuple(info["agent_pos"].tolist()), set()).add(info["room"])
        opened |= info["doors_open"] > 0
        *_, terminated, truncated, info = env.step(busy(info["front"], 7, rng))
        assert not terminated
        assert not truncated
    assert opened
    assert all(len(ids) == 1 for ids in rooms_of_cells.values())
    assert len(set.union(*rooms_of_cells.values())) > 2


def test_chunks_of_lanes_read_what_one_loop_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    def play() -> list[dict[str, Any]]:
        env = gym.make_vec("shapegym/MiniGrid-DoorKey-6x6-v0", num_envs=7, features="all", max_steps=9)
        rng = np.random.default_rng(0)
        infos = [env.reset(seed=0)[1]]
        infos += [env.step(rng.integers(7, size=7))[-1] for _ in range(30)]
        return infos

    alone = play()
    monkeypatch.setattr(_threads, "LANES_PER_THREAD", 1)
    for one, other in zip(play(), alone, strict=True):
        for name, values in one.items():
            np.testing.assert_array_equal(values, other[name], name)


@pytest.mark.parametrize("name", REQUESTED)
def test_lanes_outside_the_mask_stay_as_they_are(name: str) -> None:
    env: Any = gym.make_vec("shapegym/MiniGrid-DoorKey-6x6-v0", num_envs=4, features=name).unwrapped
    _, info = env.reset(seed=0)
    mask = np.array([False, True, False, True])
    out = {feature: np.full_like(values, 1) for feature, values in env._measured.items()}
    before = {feature: values.copy() for feature, values in out.items()}
    env.dynamics.measure(env._state, out, mask)
    for feature, values in out.items():
        np.testing.assert_array_equal(values[mask], info[feature][mask])
        np.testing.assert_array_equal(values[~mask], before[feature][~mask])


def test_scanning_kernels_compile_once() -> None:
    for name in ("MiniGrid-DoorKey-6x6-v0", "MiniGrid-FourRooms-v0"):
        gym.make(f"shapegym/{name}", features=(*ASKED, "room")).reset()
    for kernel in (scans._find_range, scans._count_range, room_ids._room_range):
        assert len(kernel.signatures) == 1


def test_what_is_not_asked_for_is_not_read() -> None:
    env: Any = gym.make("shapegym/MiniGrid-Empty-5x5-v0")
    assert not set(REQUESTED) & set(env.reset(seed=0)[1])
    everything: Any = gym.make("shapegym/MiniGrid-Empty-5x5-v0", features="all")
    assert set(REQUESTED) <= set(everything.reset(seed=0)[1])


def test_an_unknown_feature_is_named() -> None:
    with pytest.raises(ValueError, match=r"unknown features \['rooms'\].*'room'"):
        gym.make("shapegym/MiniGrid-Empty-5x5-v0", features=("room", "rooms"))
