"""The planner solves every grid world that can be solved, and what it says is needed can be relied on."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from grid_reference import AHEAD, Cell, Grid, Thing, can_get_to, fewest_actions, geodesic, turns_and_steps
from gymnasium.error import ResetNeeded
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from shapegym.envs import _threads
from shapegym.envs.dynamics import State, StepOutcome
from shapegym.envs.grid.families.ids import GRID_IDS
from shapegym.envs.grid.features.needed import NEEDS
from shapegym.envs.grid.grid_dynamics import GridDynamics
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
    RED,
    WALL,
    YELLOW,
)
from shapegym.envs.grid.lane.facts import CARRIED, DIRECTION, TARGET_X, TARGET_Y, X, Y
from shapegym.envs.grid.lane.stepping import CAPTIONS, PICK_UP_TARGET, REACH_GOAL
from shapegym.envs.grid.lane.task import GridTask
from shapegym.envs.grid.planner import Planner, plan_actions
from shapegym.envs.grid.ways import needs, plans, walking
from shapegym.envs.grid.ways.needs import DISTANCE, LOST, POSITION, STAGES, need_lanes
from shapegym.envs.registration import TABLE, build
from shapegym.experiments.potentials import needed_progress

ROWS = [row for row in TABLE if row.name in {name for name, *_ in GRID_IDS}]
LANES = 12
STATES = ("open", "closed", "locked")


def thing_of(code: int) -> Thing:
    number, color, state = PALETTE[code].tolist()
    inside = COLORS[(code - BOX) // 8 - 1] if BOX + 8 <= code < PICKABLE_END else None
    return OBJECTS[number], COLORS[color], STATES[state] if OBJECTS[number] == "door" else "", inside


def things_in(dynamics: GridDynamics, state: State, lane: int) -> Grid:
    pad = dynamics.pad
    inner = state["cells"][lane, pad:-pad, pad:-pad]
    return {(x, y): thing_of(int(code)) for (y, x), code in np.ndenumerate(inner)}


def started(dynamics: GridDynamics, lanes: int, seed: int = 0) -> State:
    state = dynamics.allocate(lanes)
    for lane in range(lanes):
        dynamics.seed(state, lane, seed + lane)
    dynamics.reset(state, np.empty((lanes, 0)), np.ones(lanes, np.bool_))
    return state


def need(what: int, dynamics: GridDynamics, state: State) -> NDArray[np.int64]:
    lanes = len(state["facts"])
    out = np.empty((lanes, 2) if what == POSITION else lanes, np.int64)
    everyone = np.ones(lanes, np.bool_)
    need_lanes(what, dynamics.task, dynamics.pad, state["cells"], state["facts"], everyone, out)
    return out


def play(
    dynamics: GridDynamics, state: State, steps: int
) -> tuple[NDArray[np.bool_], NDArray[np.int64], list[NDArray[np.int64]]]:
    """Follow the planner: which lanes succeed, after how many steps, and the stages left at each step."""
    lanes = len(state["facts"])
    outcome, active = StepOutcome.empty(lanes), np.ones(lanes, np.bool_)
    solved, length = np.zeros(lanes, np.bool_), np.zeros(lanes, np.int64)
    stages = [need(STAGES, dynamics, state)]
    for _ in range(steps):
        active &= stages[-1] != LOST
        if not active.any():
            break
        outcome.clear()
        dynamics.step(state, plan_actions(dynamics, state), np.empty((lanes, 0)), active, outcome)
        length += active
        solved |= outcome.success
        active &= ~outcome.terminated
        stages.append(need(STAGES, dynamics, state))
    return solved, length, stages


@pytest.mark.parametrize(
    "row", [row for row in ROWS if "Playground" not in row.name], ids=lambda row: row.name
)
def test_every_task_that_can_be_solved_is_solved(row: Any) -> None:
    dynamics: Any = build(row.builder, **row.knobs)
    state = started(dynamics, LANES)
    grids = [things_in(dynamics, state, lane) for lane in range(LANES)]
    facts = state["facts"].copy()
    solved, length, stages = play(dynamics, state, dynamics.max_steps)
    for lane in np.flatnonzero(~solved):
        # In version 0, a ball can be laid out over the only key.
        assert row.name.endswith(("2Dlhb-v0", "1Q-v0", "2Q-v0")), lane
        target = tuple(facts[lane, [TARGET_X, TARGET_Y]].tolist())
        assert not can_get_to(grids[lane], tuple(facts[lane, [X, Y]].tolist()), {target}, None)
    assert (length[solved] < dynamics.max_steps).all()
    assert (np.diff(stages, axis=0) <= 0).all(), "doing what is needed never adds to what is needed"
    assert (stages[0][solved] >= 1).all()


def test_playground_is_played_with() -> None:
    env: Any = gym.make_vec("shapegym/MiniGrid-Playground-v0", num_envs=16, features=tuple(NEEDS))
    planner = Planner(env)
    _, info = env.reset(seed=0)
    seen = set()
    for _ in range(99):
        info = env.step(planner.actions())[-1]
        seen |= {CAPTIONS[event] for event in info["event"]}
    assert {"you pick up an object", "you drop an object", "you open a door"} <= seen
    assert (info["needed_stages"] == 0).all()
    assert (info["needed_pos"] == -1).all()


@pytest.mark.parametrize("name", ["MultiRoom-N4-S5", "LavaCrossingS11N5", "SimpleCrossingS9N3", "FourRooms"])
def test_walks_have_the_fewest_actions(name: str) -> None:
    row = next(row for row in ROWS if row.name == f"MiniGrid-{name}-v0")
    dynamics: Any = build(row.builder, **row.knobs)
    state = started(dynamics, 8, seed=100)
    grids = [things_in(dynamics, state, lane) for lane in range(8)]
    poses = state["facts"][:, [X, Y, DIRECTION]].tolist()
    solved, length, _ = play(dynamics, state, dynamics.max_steps)
    assert solved.all()
    for grid, (x, y, direction), count in zip(grids, poses, length, strict=True):
        goal = next(cell for cell, thing in grid.items() if thing[0] == "goal")
        assert count == fewest_actions(grid, (x, y, direction), goal)


def lane_of(
    grid: NDArray[np.uint8], agent: Cell, carried: int = 0, rule: int = REACH_GOAL, target: Cell = (-1, -1)
) -> tuple[GridDynamics, State]:
    """A task with a given grid; its agent looks to the right."""
    height, width = grid.shape
    task = GridTask("grid", width, height, 1000, rule, ("",), reset=lambda *_: -1)
    dynamics = GridDynamics(task, agent_view_size=3)
    state = dynamics.allocate(1)
    state["cells"][0, dynamics.pad : -dynamics.pad, dynamics.pad : -dynamics.pad] = grid
    state["facts"][0, [X, Y, DIRECTION, CARRIED, TARGET_X, TARGET_Y]] = *agent, 0, carried, *target
    return dynamics, state


PLACES = [EMPTY] * 6 + [WALL] * 3
THINGS = [
    KEY + YELLOW, KEY + RED, BALL, BOX, BOX + 8 * (YELLOW + 1), LAVA, OPEN_DOOR, CLOSED_DOOR, LOCKED_DOOR + YELLOW,
    LOCKED_DOOR + RED,
]  # fmt: skip
CARRIABLE = st.sampled_from([0, 0, KEY + YELLOW, KEY + RED, BALL, BOX + 8 * (YELLOW + 1)])


@st.composite
def grids(draw: st.DrawFn) -> NDArray[np.uint8]:
    """(height, width) codes of walls and things, some with a wall of doors across, and a goal in the last cell."""
    width, height = draw(st.integers(2, 7)), draw(st.integers(2, 7))
    codes = st.sampled_from(PLACES) | st.sampled_from(PLACES + THINGS)
    grid = np.array(draw(st.lists(codes, min_size=width * height, max_size=width * height)), np.uint8)
    grid[0], grid[-1] = EMPTY, GOAL
    grid = grid.reshape(height, width)
    if width > 2 and draw(st.booleans()):
        doors = st.sampled_from([WALL, LOCKED_DOOR + YELLOW, LOCKED_DOOR + RED])
        grid[:, width - 2] = draw(st.lists(doors, min_size=height, max_size=height))
        grid[1, 0] = draw(st.sampled_from(THINGS[:5]))
    return grid


@given(grids(), CARRIABLE)
def test_a_task_is_lost_where_nothing_leads_to_its_end(grid: NDArray[np.uint8], carried: int) -> None:
    height, width = grid.shape
    dynamics, state = lane_of(grid, (0, 0), carried)
    things = things_in(dynamics, state, 0)
    holding = thing_of(carried) if carried else None
    stages = need(STAGES, dynamics, state)[0]
    goal = (width - 1, height - 1)
    if not can_get_to(things, (0, 0), {goal}, holding):
        assert stages == LOST
    elif not carried:  # else there may be no cell to put it down
        assert stages < LOST
    steps = geodesic(things, (0, 0), lambda thing: thing[0] == "goal", None)
    assert (stages == 1) == (steps is not None)
    if steps is not None:
        assert need(DISTANCE, dynamics, state)[0] == steps
        assert tuple(need(POSITION, dynamics, state)[0]) == goal
        solved, length, _ = play(dynamics, state, 300)
        assert solved[0]
        assert length[0] == fewest_actions(things, (0, 0, 0), goal)


def text_grid(*rows: str) -> NDArray[np.uint8]:
    codes = {
        "#": GREY_WALL, ".": EMPTY, "G": GOAL, "k": KEY + YELLOW, "r": KEY + RED, "o": BALL, "b": BOX,
        "h": BOX + 8 * (YELLOW + 1), "D": LOCKED_DOOR + YELLOW, "R": LOCKED_DOOR + RED, "d": CLOSED_DOOR,
        "T": BALL + RED,
    }  # fmt: skip
    return np.array([[codes[letter] for letter in row] for row in rows], np.uint8)


@pytest.mark.parametrize(
    ("rows", "carried", "stages", "first"),
    [
        ([".....", "...dG"], 0, 1, (4, 1)),
        (["...#.", ".k.DG"], 0, 3, (1, 1)),
        (["...#.", "...DG"], KEY + YELLOW, 2, (3, 1)),
        (["...#.", ".h.DG"], 0, 4, (1, 1)),  # open, pick up, unlock, enter
        (["...#.", "...DG"], BOX + 8 * (YELLOW + 1), 5, None),  # and put down before that
        (["....#.", ".k.oDG"], 0, 5, (3, 1)),  # ball up, ball down, key up, unlock, enter
        (["....#.", "...oDG"], KEY + YELLOW, 6, None),  # key down, ball up and down, key up, unlock, enter
        (["....#.", "...bDG"], KEY + YELLOW, 3, (3, 1)),  # a box is opened with full hands
        ([".r.#.#.", "...RkDG"], 0, 6, (1, 0)),  # red key, red door, red key down, key, door, enter
        ([".k.#.#.", "...D.DG"], 0, 4, (1, 0)),  # one key, two doors
        ([".k#", "##.", "#G."], 0, LOST, (-1, -1)),
        (["...#.", "...DG"], KEY + RED, LOST, (-1, -1)),
    ],
)
def test_stages_count_what_there_is_to_do(
    rows: list[str], carried: int, stages: int, first: Cell | None
) -> None:
    dynamics, state = lane_of(text_grid(*rows), (0, 0), carried)
    assert need(STAGES, dynamics, state)[0] == stages
    if first is not None:
        assert tuple(need(POSITION, dynamics, state)[0]) == first
    solved, _, left = play(dynamics, state, 300)
    assert solved[0] == (stages != LOST)
    if stages != LOST:
        assert sorted({int(count[0]) for count in left}) == list(range(stages + 1)), "each stage counts 1"


def test_what_is_carried_is_put_down_before_the_target_is_picked_up() -> None:
    dynamics, state = lane_of(text_grid("....T"), (0, 0), KEY, PICK_UP_TARGET, (4, 0))
    assert need(STAGES, dynamics, state)[0] == 2
    solved, length, _ = play(dynamics, state, 100)
    assert solved[0]
    assert length[0] > 5, "the agent turns round: what it put down must not lie in its way"


def scratch_of(grid: NDArray[np.uint8], agent: Cell) -> tuple[walking.Scratch, int]:
    """The map of a grid, and what a row adds to a cell."""
    dynamics, state = lane_of(grid, agent)
    stride = grid.shape[1] + 2
    scratch = walking.make_scratch((grid.shape[0] + 2) * stride)
    needs._draw_map(REACH_GOAL, dynamics.pad, state["cells"][0], state["facts"][0], scratch)
    return scratch, stride


@given(grids(), st.integers(0, 3))
def test_poses_are_reached_by_the_fewest_actions(grid: NDArray[np.uint8], direction: int) -> None:
    scratch, stride = scratch_of(grid, (0, 0))
    walking.explore(scratch, stride, 4 * (stride + 1) + direction)
    things = {(x, y): thing_of(int(code)) for (y, x), code in np.ndenumerate(grid)}
    counts = turns_and_steps(things, (0, 0, direction))
    for pose, count in enumerate(scratch.actions.tolist()):
        row, column = divmod(pose // 4, stride)
        assert count == counts.get((column - 1, row - 1, pose % 4), walking.NEVER)


@given(grids(), st.data())
def test_a_spare_cell_separates_nothing(grid: NDArray[np.uint8], data: st.DataObject) -> None:
    empty = [(x, y) for (y, x), code in np.ndenumerate(grid) if code == EMPTY]
    x, y = data.draw(st.sampled_from(empty))
    scratch, stride = scratch_of(grid, (0, 0))
    kinds = scratch.kinds.reshape(-1, stride)[1:-1, 1:-1]
    if not walking.is_spare(scratch, stride, (y + 1) * stride + x + 1):
        return
    open_cells = {(i, j) for (j, i), kind in np.ndenumerate(kinds) if kind in (walking.FREE, walking.SHUT)}

    def joined(cell: Cell, among: set[Cell]) -> set[Cell]:
        found, fresh = {cell}, {cell}
        while fresh:
            fresh = {(i + dx, j + dy) for i, j in fresh for dx, dy in AHEAD} & among - found
            found |= fresh
        return found

    around = joined((x, y), open_cells)
    rest = around - {(x, y)}
    if rest:
        assert joined(next(iter(rest)), rest) == rest
    for dx, dy in AHEAD:
        beside = (x + dx, y + dy)
        inside = 0 <= beside[0] < grid.shape[1] and 0 <= beside[1] < grid.shape[0]
        if inside and beside not in open_cells and kinds[beside[1], beside[0]] != walking.BLOCKED:
            assert any((beside[0] + i, beside[1] + j) in rest for i, j in AHEAD)


@given(st.lists(st.integers(0, 100), max_size=40))
def test_the_heap_sorts(entries: list[int]) -> None:
    heap = np.zeros(50, np.int64)
    for entry in entries:
        plans._push(heap, entry)
    assert [plans._pop(heap) for _ in entries] == sorted(entries)
    assert heap[-1] == 0


@pytest.mark.parametrize("name", ["DoorKey-8x8", "KeyCorridorS3R3", "ObstructedMaze-1Dlhb", "PutNear-8x8-N3"])
def test_the_potential_of_what_is_needed_rises_at_the_end_of_each_stage(name: str) -> None:
    env: Any = gym.make(f"shapegym/MiniGrid-{name}-v0", features=("needed_distance", "needed_stages"))
    planner = Planner(env)
    for seed in range(3):
        _, info = env.reset(seed=seed)
        ended = False
        while not ended:
            before = info
            _, _, terminated, truncated, info = env.step(planner.actions())
            ended = terminated or truncated
            values = [
                needed_progress.value(
                    np.zeros((1, 1)),
                    {feature: np.array([report[feature]]) for feature in needed_progress.reads},
                )[0]
                for report in (before, info)
            ]
            if info["needed_stages"] < before["needed_stages"]:
                assert values[1] > values[0]
        assert terminated
        assert values[1] == 0.0


def test_a_planner_plays_either_form_wrapped_or_not() -> None:
    vector: Any = gym.make_vec("shapegym/MiniGrid-DoorKey-6x6-v0", num_envs=3)
    single: Any = gym.make("shapegym/MiniGrid-DoorKey-6x6-v0")
    planner = Planner(single)
    with pytest.raises(ResetNeeded):
        planner.actions()
    vector.reset(seed=5)
    single.reset(seed=6)
    action = planner.actions()
    assert type(action) is int
    actions = Planner(vector).actions()
    assert actions.shape == (3,)
    assert actions.dtype == np.int64
    assert actions[1] == action
    single.unwrapped.step(Planner(single.unwrapped).actions())


def test_other_environments_have_no_planner() -> None:
    with pytest.raises(TypeError, match="expected a grid world"):
        Planner(gym.make("shapegym/KeyDoor-v0"))
    with pytest.raises(TypeError, match="expected a grid world"):
        Planner("MiniGrid-DoorKey-6x6-v0")


def test_chunks_of_lanes_plan_what_one_loop_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    dynamics: Any = build("shapegym.envs.grid.families.door_key:door_key", size=6)
    state = started(dynamics, 9)
    alone = plan_actions(dynamics, state)
    monkeypatch.setattr(_threads, "LANES_PER_THREAD", 1)
    np.testing.assert_array_equal(plan_actions(dynamics, state), alone)


def test_the_kernel_compiles_once() -> None:
    for name in ("MiniGrid-DoorKey-6x6-v0", "MiniGrid-Dynamic-Obstacles-6x6-v0"):
        env = gym.make(f"shapegym/{name}", features=tuple(NEEDS))
        env.reset()
        Planner(env).actions()
    assert len(needs._need_range.signatures) == 1
