"""Tasks of rooms and doors against the minigrid package, and what their layouts promise.

tests/envs/test_grid_lockstep.py holds steps to MiniGrid's; here it is whole layouts, with what no observation
shows: hidden keys, the random stream, which object counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from minigrid.core.constants import COLOR_TO_IDX
from minigrid.core.world_object import Key
from minigrid.envs import BlockedUnlockPickupEnv, KeyCorridorEnv, UnlockEnv, UnlockPickupEnv
from minigrid.envs.obstructedmaze import ObstructedMaze_1Dlhb, ObstructedMaze_Full
from minigrid.envs.obstructedmaze_v1 import ObstructedMaze_Full_V1
from minigrid.minigrid_env import MiniGridEnv
from numpy.typing import NDArray

from shapegym.envs.dynamics import StepOutcome
from shapegym.envs.grid.families import key_corridor, obstructed_maze, unlock
from shapegym.envs.grid.grid_dynamics import GridDynamics, LayoutError
from shapegym.envs.grid.lane.cells import BOX, KEY, PALETTE, PICKABLE_END
from shapegym.envs.grid.lane.facts import CARRIED, DIRECTION, MISSION, TARGET_X, TARGET_Y, X, Y
from shapegym.envs.grid.lane.pcg64 import pack_stream
from shapegym.envs.grid.lane.room_grid import RIGHT
from shapegym.envs.grid.lane.stepping import PICK_UP, TOGGLE
from shapegym.envs.native import NativeVectorEnv
from shapegym.envs.registration import TABLE, build

FAMILIES = (".unlock:", ".key_corridor:", ".obstructed_maze:")
ROWS = [row for row in TABLE if any(family in row.builder for family in FAMILIES)]
SEEDS, EPISODES = 3, 15
ONE = np.ones(1, np.bool_)


class Layouts:
    """Consecutive episodes of one of ours and one of theirs from the same seed."""

    def __init__(self, ours: GridDynamics, theirs: Any) -> None:
        self.ours, self.theirs, self.task = ours, theirs, ours.task
        self.state = ours.allocate(1)
        self.facts, self.stream = self.state["facts"][0], self.state["streams"][0]
        self.codes = self.state["cells"][0, ours.pad : -ours.pad, ours.pad : -ours.pad].T

    def reset(self, seed: int | None = None) -> None:
        if seed is not None:
            self.ours.seed(self.state, 0, seed)
        self.ours.reset(self.state, np.zeros((1, 0)), ONE)
        self.theirs.reset(seed=seed)

    def step(self, action: int) -> tuple[float, bool]:
        outcome = StepOutcome.empty(1)
        self.ours.step(self.state, np.array([action]), np.zeros((1, 0)), ONE, outcome)
        return outcome.reward[0], outcome.terminated[0]

    def hidden_keys(self) -> NDArray[np.int64]:
        """Colour of the key in each box of theirs, -1 elsewhere."""
        colors = np.full(self.codes.shape, -1)
        for (x, y), _ in np.ndenumerate(colors):
            thing = self.theirs.grid.get(x, y)
            if thing is not None and thing.type == "box" and thing.contains is not None:
                colors[x, y] = COLOR_TO_IDX[thing.contains.color]
        return colors

    def check(self) -> None:
        assert np.array_equal(PALETTE[self.codes], self.theirs.grid.encode())
        boxes = (self.codes >= BOX) & (self.codes < PICKABLE_END)
        hidden = np.where(boxes, (self.codes.astype(np.int64) - BOX) // 8 - 1, -1)
        assert np.array_equal(hidden, self.hidden_keys())
        assert tuple(self.facts[[X, Y, DIRECTION]]) == (*self.theirs.agent_pos, self.theirs.agent_dir)
        assert self.task.missions[self.facts[MISSION]] == self.theirs.mission
        assert np.array_equal(self.stream, pack_stream(self.theirs.np_random.bit_generator.state))

    def check_target(self) -> None:
        """The same object counts: the one that theirs looks at is in our target cell."""
        target = self.theirs.door if isinstance(self.theirs, UnlockEnv) else self.theirs.obj
        assert tuple(self.facts[[TARGET_X, TARGET_Y]]) == tuple(target.cur_pos)


def check_layouts(ours: GridDynamics, theirs: MiniGridEnv) -> None:
    pair = Layouts(ours, theirs)
    assert (pair.task.width, pair.task.height) == (theirs.width, theirs.height)
    assert pair.task.max_steps == theirs.max_steps
    for seed in range(SEEDS):
        for episode in range(EPISODES):
            pair.reset(seed if episode == 0 else None)
            pair.check()
            pair.check_target()


@pytest.mark.filterwarnings("ignore:.*is out of date:DeprecationWarning")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_layouts_of_every_id(row: Any) -> None:
    theirs = gym.make(row.name, disable_env_checker=True).unwrapped
    check_layouts(build(row.builder, **row.knobs), theirs)


KNOBS: list[tuple[Callable[..., GridDynamics], type, dict[str, Any]]] = [
    (key_corridor.key_corridor, KeyCorridorEnv, {"num_rows": 5, "obj_type": "box", "room_size": 4}),
    (key_corridor.key_corridor, KeyCorridorEnv, {"num_rows": 2, "obj_type": "key", "room_size": 7}),
    (obstructed_maze.obstructed_maze_door, ObstructedMaze_1Dlhb, {"key_in_box": False, "max_steps": 9}),
    (obstructed_maze.obstructed_maze, ObstructedMaze_Full, {"agent_room": (0, 2), "num_quarters": 3}),
    (obstructed_maze.obstructed_maze, ObstructedMaze_Full, {"blocked": False, "num_rooms_visited": 7}),
]


@pytest.mark.parametrize(("ours", "theirs", "knobs"), KNOBS)
def test_layouts_of_knobs_without_an_id(
    ours: Callable[..., GridDynamics], theirs: type, knobs: dict[str, Any]
) -> None:
    check_layouts(ours(**knobs), theirs(**knobs))


def test_a_ball_may_bury_a_key_unless_keys_come_last() -> None:
    """MiniGrid's version 0 has episodes without a solution, its version 1 has none."""
    keys: dict[bool, set[int]] = {}
    for keys_last, theirs in ((False, ObstructedMaze_Full), (True, ObstructedMaze_Full_V1)):
        pair = Layouts(obstructed_maze.obstructed_maze(keys_last=keys_last), theirs())
        keys[keys_last] = set()
        for seed in range(30):
            pair.reset(seed)
            pair.check()
            keys[keys_last].add(int((pair.hidden_keys() >= 0).sum()))
    assert keys[True] == {8}
    assert min(keys[False]) < 8


ENDINGS: list[tuple[GridDynamics, MiniGridEnv, int]] = [
    (unlock.unlock(), UnlockEnv(), TOGGLE),
    (unlock.unlock_pickup(), UnlockPickupEnv(), PICK_UP),
    (unlock.unlock_pickup(), UnlockPickupEnv(), TOGGLE),
    (unlock.blocked_unlock_pickup(), BlockedUnlockPickupEnv(), PICK_UP),
    (key_corridor.key_corridor(obj_type="key"), KeyCorridorEnv(obj_type="key"), PICK_UP),
    (key_corridor.key_corridor(obj_type="box"), KeyCorridorEnv(obj_type="box"), TOGGLE),
    (obstructed_maze.obstructed_maze_door(), ObstructedMaze_1Dlhb(), PICK_UP),
    (obstructed_maze.obstructed_maze(), ObstructedMaze_Full(), PICK_UP),
]


@pytest.mark.parametrize(("ours", "theirs", "action"), ENDINGS)
def test_the_last_action(ours: GridDynamics, theirs: Any, action: int) -> None:
    """From beside the target, with the door's key in hand where a door is to be opened."""
    pair = Layouts(ours, theirs)
    for seed in range(5):
        pair.reset(seed)
        facts = pair.facts
        facts[X], facts[Y], facts[DIRECTION] = facts[TARGET_X] - 1, facts[TARGET_Y], RIGHT
        theirs.agent_pos, theirs.agent_dir = (int(facts[X]), int(facts[Y])), RIGHT
        if isinstance(theirs, UnlockEnv):
            facts[CARRIED] = KEY + COLOR_TO_IDX[theirs.door.color]
            theirs.carrying = Key(theirs.door.color)
        _, expected, terminated, _, _ = theirs.step(action)
        assert pair.step(action) == (expected, terminated)
        assert terminated == (action == PICK_UP or isinstance(theirs, UnlockEnv))


BAD_KNOBS = [
    (key_corridor.key_corridor, {"num_rows": 0}, "num_rows must be at least 1, got 0"),
    (key_corridor.key_corridor, {"room_size": 2}, "room_size must be at least 3, got 2"),
    (key_corridor.key_corridor, {"obj_type": "lava"}, r"obj_type must be one of \['ball', 'box', 'key'\]"),
    (
        obstructed_maze.obstructed_maze,
        {"agent_room": (3, 0)},
        r"agent_room must be \(x, y\), .* got \(3, 0\)",
    ),
    (obstructed_maze.obstructed_maze, {"agent_room": (0, -1)}, r"agent_room .* got \(0, -1\)"),
    (obstructed_maze.obstructed_maze, {"agent_room": (0, 1, 1)}, r"agent_room .* got \(0, 1, 1\)"),
    (obstructed_maze.obstructed_maze, {"agent_room": 1}, "agent_room .* got 1"),
    (obstructed_maze.obstructed_maze, {"num_quarters": 0}, "num_quarters must be at least 1, got 0"),
    (obstructed_maze.obstructed_maze, {"num_quarters": 5}, "num_quarters must be at most 4, got 5"),
    (obstructed_maze.obstructed_maze, {"num_rooms_visited": 0}, "num_rooms_visited must be at least 1"),
    (obstructed_maze.obstructed_maze_door, {"max_steps": 0}, "max_steps must be a positive integer, got 0"),
    (unlock.unlock, {"max_steps": -1}, "max_steps must be a positive integer, got -1"),
]


@pytest.mark.parametrize(("builder", "knobs", "message"), BAD_KNOBS)
def test_bad_knobs_are_named(builder: Callable[..., Any], knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        builder(**knobs)
    name = next(iter(knobs))
    with pytest.raises((TypeError, ValueError), match=name):
        builder(**{name: (1.5, 1.5) if name == "agent_room" else 1.5})


def test_rooms_that_cannot_be_connected_are_an_error() -> None:
    """In a corridor of 2,000 rows the random doors come too thin for MiniGrid's 5,000 tries."""
    env = NativeVectorEnv(key_corridor.key_corridor(num_rows=2000, room_size=3), 2)
    with pytest.raises(LayoutError, match=r"lane 0: KeyCorridor\(num_rows=2000"):
        env.reset(seed=0)
    with pytest.raises(ResetNeeded):  # not into half a layout
        env.step([0, 0])


def test_one_compilation_serves_all_knobs() -> None:
    for builder, kernel, knobs in (
        (unlock.unlock, unlock.reset_lanes, {}),
        (unlock.blocked_unlock_pickup, unlock.reset_lanes, {}),
        (key_corridor.key_corridor, key_corridor.reset_lanes, {"num_rows": 2, "obj_type": "box"}),
        (obstructed_maze.obstructed_maze_door, obstructed_maze.reset_two_rooms, {"blocked": 0}),
        (obstructed_maze.obstructed_maze, obstructed_maze.reset_quarters, {"agent_room": (0, 1)}),
    ):
        for arguments in ({}, knobs):
            NativeVectorEnv(builder(**arguments), 2).reset(seed=0)
        assert len(kernel.signatures) == 1
