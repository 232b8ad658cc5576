"""The families of large maps against MiniGrid: whole layouts, play, and what their knobs refuse."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import minigrid  # noqa: F401 (registers its ids)
import numpy as np
import pytest

from shapegym.envs.grid.families.four_rooms import four_rooms
from shapegym.envs.grid.families.ids import GRID_IDS
from shapegym.envs.grid.families.locked_room import locked_room
from shapegym.envs.grid.families.memory import memory
from shapegym.envs.grid.families.multi_room import multi_room
from shapegym.envs.grid.families.playground import playground
from shapegym.envs.grid.families.red_blue_doors import red_blue_doors
from shapegym.envs.grid.grid_dynamics import GridDynamics, LayoutError
from shapegym.envs.grid.lane.cells import PALETTE
from shapegym.envs.grid.lane.facts import DIRECTION, X, Y
from shapegym.envs.grid.lane.pcg64 import pack_stream
from shapegym.envs.native import NativeEnv

BUILDERS = {
    builder.__name__: builder
    for builder in (four_rooms, locked_room, memory, multi_room, playground, red_blue_doors)
}
ROWS = [
    (name, builder, knobs)
    for name, path, _, knobs in GRID_IDS
    if (builder := BUILDERS.get(path.partition(":")[2])) is not None
]
VARIANTS = [
    ("MiniGrid-FourRooms-v0", four_rooms, {"agent_pos": (3, 9)}),
    ("MiniGrid-FourRooms-v0", four_rooms, {"goal_pos": (17, 1), "max_steps": 60}),
    ("MiniGrid-FourRooms-v0", four_rooms, {"agent_pos": (2, 1), "goal_pos": (2, 2)}),
    ("MiniGrid-LockedRoom-v0", locked_room, {"size": 13}),
    ("MiniGrid-LockedRoom-v0", locked_room, {"size": 25}),
    ("MiniGrid-MemoryS7-v0", memory, {"size": 5}),
    ("MiniGrid-MemoryS7-v0", memory, {"size": 7, "random_length": True}),
    ("MiniGrid-MultiRoom-N6-v0", multi_room, {"minNumRooms": 1, "maxNumRooms": 4, "width": 14, "height": 17}),
    ("MiniGrid-MultiRoom-N6-v0", multi_room, {"minNumRooms": 1, "maxNumRooms": 1, "maxRoomSize": 5}),
    ("MiniGrid-RedBlueDoors-6x6-v0", red_blue_doors, {"size": 3}),
]


def lockstep(name: str, dynamics: GridDynamics, knobs: dict[str, Any], seed: int, steps: int) -> list[float]:
    """Play both at random, compare all that they return, and return the last rewards of episodes."""
    theirs: Any = gym.make(name, disable_env_checker=True, **knobs).unwrapped
    ours = NativeEnv(dynamics)
    rng = np.random.default_rng(seed)
    expected, _ = theirs.reset(seed=seed)
    seen, _ = ours.reset(seed=seed)
    returns = []
    for t in range(steps):
        what = f"seed {seed}, step {t}"
        assert np.array_equal(seen["image"], expected["image"]), what
        assert (seen["direction"], seen["mission"]) == (expected["direction"], expected["mission"]), what
        action = int(rng.integers(7))
        expected, *results, _ = theirs.step(action)
        seen, *our_results, _ = ours.step(action)
        assert our_results == results, what
        if results[1] or results[2]:
            returns.append(our_results[0])
            expected, _ = theirs.reset()
            seen, _ = ours.reset()
    return returns


old_id_allowed = pytest.mark.filterwarnings("ignore:.*is out of date:DeprecationWarning")


@old_id_allowed
@pytest.mark.parametrize(("name", "builder", "knobs"), ROWS + VARIANTS)
def test_layouts(name: str, builder: Any, knobs: dict[str, Any]) -> None:
    """All cells, the agent, and the state that the random stream is left in."""
    theirs: Any = gym.make(name, disable_env_checker=True, **knobs).unwrapped
    ours = NativeEnv(builder(**knobs, agent_view_size=3))
    for episode in range(40):
        seed = 7 if episode == 0 else None
        theirs.reset(seed=seed)
        ours.reset(seed=seed)
        state = ours.snapshot()
        cells = state["state.cells"][0, 2:-2, 2:-2]
        assert np.array_equal(PALETTE[cells].swapaxes(0, 1), theirs.grid.encode()), f"episode {episode}"
        facts = state["state.facts"][0]
        assert [*facts[[X, Y, DIRECTION]]] == [*theirs.agent_pos, theirs.agent_dir], f"episode {episode}"
        assert np.array_equal(state["state.streams"][0], pack_stream(theirs.np_random.bit_generator.state)), (
            f"episode {episode}"
        )


@old_id_allowed
@pytest.mark.parametrize(("name", "builder", "knobs"), ROWS + VARIANTS)
def test_lockstep(name: str, builder: Any, knobs: dict[str, Any]) -> None:
    dynamics = builder(**knobs)
    for seed in range(3):
        lockstep(name, dynamics, knobs, seed, 300)


@pytest.mark.parametrize(
    ("name", "builder", "knobs"),
    [
        ("MiniGrid-FourRooms-v0", four_rooms, {"agent_pos": (2, 1), "goal_pos": (2, 2), "max_steps": 20}),
        ("MiniGrid-MemoryS7-v0", memory, {"size": 5}),
        ("MiniGrid-MultiRoom-N2-S4-v0", multi_room, {"minNumRooms": 1, "maxNumRooms": 1, "maxRoomSize": 4}),
        ("MiniGrid-RedBlueDoors-6x6-v0", red_blue_doors, {"size": 4}),
    ],
)
def test_lockstep_sees_success_and_failure(name: str, builder: Any, knobs: dict[str, Any]) -> None:
    """Small maps, where random play ends in every way."""
    returns = lockstep(name, builder(**knobs), knobs, 0, 1500)
    assert max(returns) > 0
    assert min(returns) == 0


@pytest.mark.parametrize(
    ("builder", "knobs", "error", "message"),
    [
        (
            multi_room,
            {"minNumRooms": 0, "maxNumRooms": 2},
            ValueError,
            "minNumRooms must be at least 1, got 0",
        ),
        (
            multi_room,
            {"minNumRooms": 3, "maxNumRooms": 2},
            ValueError,
            "maxNumRooms must be at least 3, got 2",
        ),
        (multi_room, {"minNumRooms": 1, "maxNumRooms": 1, "maxRoomSize": 3}, ValueError, "maxRoomSize .* 4"),
        (multi_room, {"minNumRooms": 1, "maxNumRooms": 1, "width": 3}, ValueError, "width .* 4, got 3"),
        (multi_room, {"minNumRooms": 1, "maxNumRooms": 1, "height": 4}, ValueError, "height .* 5, got 4"),
        (multi_room, {"minNumRooms": 1.0, "maxNumRooms": 1}, TypeError, "minNumRooms must be an integer"),
        (locked_room, {"size": 12}, ValueError, "size must be at least 13, got 12"),
        (memory, {"size": 8}, ValueError, "size must be odd, got 8"),
        (memory, {"size": 3}, ValueError, "size must be at least 5, got 3"),
        (memory, {"size": 5, "random_length": True}, ValueError, "size must be at least 7, got 5"),
        (red_blue_doors, {"size": 2}, ValueError, "size must be at least 3, got 2"),
        (four_rooms, {"agent_pos": (0, 4)}, ValueError, r"agent_pos must be \(x, y\), x in 1 .. 17"),
        (four_rooms, {"goal_pos": (4, 18)}, ValueError, r"goal_pos .* got \(4, 18\)"),
        (four_rooms, {"goal_pos": (4, 2.5)}, ValueError, "goal_pos"),
        (four_rooms, {"goal_pos": (4,)}, ValueError, "goal_pos"),
        (four_rooms, {"goal_pos": 4}, ValueError, "goal_pos .* got 4"),
        (
            memory,
            {"size": 9, "random_length": "no"},
            TypeError,
            "random_length must be True or False, got 'no'",
        ),
        (playground, {"max_steps": True}, ValueError, "max_steps"),
        (playground, {"max_steps": 2**63}, ValueError, "max_steps"),
        (playground, {"max_steps": 0}, ValueError, "max_steps"),
    ],
)
def test_refused_knobs(builder: Any, knobs: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        builder(**knobs)


def test_rooms_that_no_map_can_hold() -> None:
    """MiniGrid would look for them for ever."""
    env = NativeEnv(multi_room(9, 9, maxRoomSize=4, width=5, height=5))
    with pytest.raises(LayoutError, match="MultiRoom"):
        env.reset(seed=0)


@pytest.mark.parametrize(("builder", "knobs"), [row[1:] for row in ROWS])
def test_layouts_are_compiled_once(builder: Any, knobs: dict[str, Any]) -> None:
    dynamics = builder(**knobs)
    for env in (NativeEnv(dynamics), NativeEnv(builder(**knobs, agent_view_size=3))):
        env.reset(seed=0)
        env.reset()
    assert len(dynamics.task.reset.signatures) == 1
