"""Subgoals of grid worlds: the planner's plans, their progress, how they are shown, mistakes and recorded plans."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from beacons_reference import Walk, offset
from numpy.typing import NDArray

from shapegym.envs.grid.beacons.guidance import PUBLISHED, Guidance
from shapegym.envs.grid.beacons.mistakes import is_thing, mistake_places, mistake_things
from shapegym.envs.grid.beacons.plans import MOST
from shapegym.envs.grid.beacons.recorded import PlanFileError, layout_digest, line_of
from shapegym.envs.grid.beacons.showing import FARTHEST, codes, sentence
from shapegym.envs.grid.families.ids import GRID_IDS
from shapegym.envs.grid.lane.cells import LOCKED_DOOR, PALETTE, RED, YELLOW
from shapegym.envs.grid.planner import Planner
from shapegym.envs.testing import check_sparse_env

ONE_OF_EACH = sorted({builder: name for name, builder, *_ in GRID_IDS if "Playground" not in name}.values())
QUICK = [
    name
    for name in ONE_OF_EACH
    if any(part in name for part in ("KeyCorridor", "1Dlhb", "PutNear", "GoToDoor"))
]
KEY_CORRIDOR = "shapegym/MiniGrid-KeyCorridorS3R2-v0"
DOOR_KEY = "shapegym/MiniGrid-DoorKey-6x6-v0"


def make(name: str, lanes: int, subgoals: Any, **knobs: Any) -> Any:
    return gym.make_vec(
        name, lanes, autoreset_mode="SameStep", observation="flat", subgoals=subgoals, **knobs
    ).unwrapped


def grids(env: Any) -> NDArray[np.uint8]:
    pad = env.dynamics.pad
    return env._state["cells"][:, pad:-pad, pad:-pad].copy()


def places(env: Any, lane: int) -> list[tuple[int, int]]:
    plan = env._state["plans"][lane]
    return [(int(x), int(y)) for x, y, _ in plan if x >= 0]


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in ONE_OF_EACH],
)
def test_the_planner_reaches_its_own_plan_in_order(name: str) -> None:
    env = make(f"shapegym/{name}", 4, "oracle")
    env.reset(seed=1)
    planner, solved = Planner(env), 0
    for _ in range(200):
        *_, info = env.step(planner.actions())
        if "final_info" in info:
            final = info["final_info"]
            won = final["success"] & info["_final_info"]
            solved += won.sum()
            moving = "Dynamic" in name  # whose obstacles the planner meets elsewhere
            assert moving or not final["subgoals_left"][won].any()
    assert solved > 0


@pytest.mark.parametrize("accuracy", [1.0, 0.4])
@pytest.mark.parametrize("show", ["relative", "representation"])
def test_progress_is_that_of_plain_loops(show: str, accuracy: float) -> None:
    env = make(KEY_CORRIDOR, 3, {"show": show, "accuracy": accuracy}, max_steps=60)
    _, info = env.reset(seed=5)
    walks = [Walk(places(env, lane), grids(env)[lane]) for lane in range(3)]
    rng, planner, reached = np.random.default_rng(0), Planner(env), 0
    for _ in range(300):
        wild = rng.random(3) < 0.3
        seen, *_, info = env.step(np.where(wild, rng.integers(6, size=3), planner.actions()))
        for lane, walk in enumerate(walks):
            if "final_info" in info and info["_final_info"][lane]:
                walks[lane] = Walk(places(env, lane), grids(env)[lane])
                continue
            agent = tuple(info["agent_pos"][lane].tolist())
            took = walk.step(agent, grids(env)[lane])
            reached += took > 0
            assert info["subgoal_reached"][lane] == (took > 0)
            assert info["subgoal_time"][lane] == pytest.approx(took / 60)
            assert tuple(info["subgoal_pos"][lane]) == walk.present
            assert info["subgoals_left"][lane] == walk.left
            sign = seen[lane, -3:].tolist()
            if walk.present == (-1, -1):
                assert sign == [0, 0, 0]
            elif show == "relative":
                beside = np.clip(
                    offset(agent, int(info["agent_dir"][lane]), walk.present), -FARTHEST, FARTHEST
                )
                assert sign == [*(beside + FARTHEST + 1), 1]
            else:
                assert sign == PALETTE[walk.before[walk.at]].tolist()
    assert reached > 5


def test_what_is_reached_before_its_turn_is_not_paid_and_passed_over(tmp_path: Path) -> None:
    env = make("shapegym/MiniGrid-Empty-5x5-v0", 1, "none")
    env.reset(seed=0)
    file = tmp_path / "plans.jsonl"
    digest = layout_digest(grids(env)[0], env._state["facts"][0])
    file.write_text(line_of(digest, [(3, 1), (2, 1), (3, 3)]))  # the second lies on the way to the first
    env = make("shapegym/MiniGrid-Empty-5x5-v0", 1, str(file))
    _, info = env.reset(seed=0)
    heard = []
    for action in (2, 2, 1, 2, 2):
        *_, info = env.step([action])
        info = info.get("final_info", info)
        heard.append(
            (bool(info["subgoal_reached"][0]), float(info["subgoal_time"][0]), int(info["subgoals_left"][0]))
        )
    assert heard == [(False, 0, 3), (True, 0.02, 1), (False, 0, 1), (False, 0, 1), (True, 0.03, 0)]


def test_recorded_plans_have_no_subgoals_where_there_are_none(tmp_path: Path) -> None:
    env = make(DOOR_KEY, 2, "none")
    env.reset(seed=0)
    digest = layout_digest(grids(env)[0], env._state["facts"][0])
    file = tmp_path / "plans.jsonl"
    file.write_text(line_of(digest, [(-3, 1), (9, 9), (1, 1), *[(2, 2)] * 50]))
    env = make(DOOR_KEY, 2, str(file))
    env.reset(seed=0)
    assert places(env, 0) == [(1, 1), *[(2, 2)] * (MOST - 1)], "nobody can reach what lies outside"
    assert places(env, 1) == []
    for broken, why in (("{}", "line 1"), ('{"layout": "x", "subgoals": [[1]]}', "line 1"), ("no", "line 1")):
        file.write_text(broken)
        with pytest.raises(PlanFileError, match=why):
            make(DOOR_KEY, 1, str(file))
    with pytest.raises(PlanFileError, match="cannot be read"):
        make(DOOR_KEY, 1, str(tmp_path / "nowhere.jsonl"))


def layouts(
    count: int, name: str = KEY_CORRIDOR
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64], int]:
    env = make(name, count, "oracle")
    env.reset(seed=0)
    return env._state["cells"], env._state["facts"], env._state["plans"], env.dynamics.pad


def test_wrong_things_are_other_things_as_often_as_said() -> None:
    cells, facts, plans, pad = layouts(400)
    wrong = plans.copy()
    mistake_things(7, 0.93, pad, cells, facts, np.ones(400, np.bool_), wrong)
    there, changed = plans[..., 0] >= 0, (plans != wrong).any(axis=2)
    assert not changed[~there].any()
    assert abs(changed[there].mean() - 0.07) < 4 * np.sqrt(0.07 * 0.93 / there.sum())
    for lane, i in np.argwhere(changed):
        x, y, code = wrong[lane, i]
        assert (x, y) != tuple(plans[lane, i, :2])
        assert cells[lane, y + pad, x + pad] == code
        assert is_thing(code)
    again = plans.copy()
    mistake_things(7, 0.93, pad, cells[::-1].copy(), facts[::-1].copy(), np.ones(400, np.bool_), again[::-1])
    np.testing.assert_array_equal(again, wrong, "a layout has one plan, in whatever lane it comes up")
    other = plans.copy()
    mistake_things(8, 0.93, pad, cells, facts, np.ones(400, np.bool_), other)
    assert (other != wrong).any(), "another teacher errs elsewhere"


def test_wrong_places_lie_in_all_directions() -> None:
    cells, facts, plans, pad = layouts(400, "shapegym/MiniGrid-KeyCorridorS6R3-v0")
    wrong = plans.copy()
    mistake_places(0, 0.0, 2.57, 2.54, pad, cells, facts, np.ones(400, np.bool_), wrong)
    moved = (wrong - plans)[plans[..., 0] >= 0][:, :2]
    distances = np.abs(moved).sum(axis=1)
    assert distances.min() == 1, "a place that is wrong is elsewhere"
    assert 2 < distances.mean() < 4
    quarters = Counter(map(tuple, np.sign(moved).tolist()))
    for way in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)):
        assert quarters[way] > 0.03 * len(moved), way
    width, height = cells.shape[2] - 2 * pad, cells.shape[1] - 2 * pad
    inside = wrong[plans[..., 0] >= 0]
    assert ((inside[:, :2] >= 0) & (inside[:, :2] < (width, height))).all()


def test_hidden_subgoals_are_paid_and_not_shown() -> None:
    env = make(DOOR_KEY, 200, {"hidden": 0.25})
    seen, info = env.reset(seed=0)
    hidden = info["subgoal_hidden"]
    assert 20 < hidden.sum() < 80
    assert not seen[hidden, -3:].any()
    assert seen[~hidden, -3:].any(axis=1).all()
    planner, reached = Planner(env), np.zeros(200, int)
    for _ in range(8):
        *_, info = env.step(planner.actions())
        reached += info["subgoal_reached"]
    assert reached[hidden].any()


def test_without_a_teacher_there_is_the_same_space_and_no_subgoal() -> None:
    taught, alone = make(DOOR_KEY, 2, "oracle"), make(DOOR_KEY, 2, "none")
    assert taught.observation_space == alone.observation_space
    seen, info = alone.reset(seed=0)
    assert not seen[:, -3:].any()
    assert (info["subgoal_pos"] == -1).all()
    plain = gym.make_vec(DOOR_KEY, 2, observation="flat")
    np.testing.assert_array_equal(plain.reset(seed=0)[0], seen[:, :-3])


def test_sentences_have_codes_of_their_own() -> None:
    assert sentence(LOCKED_DOOR + RED) == "unlock the red door"
    rows = {sentence(code): codes()[code].tobytes() for code in np.flatnonzero(PALETTE[:, 0]).tolist()}
    assert len(set(rows.values())) == len(rows)
    assert not codes()[-1].any()
    near = codes()[LOCKED_DOOR + RED] == codes()[LOCKED_DOOR + YELLOW]
    assert 0.5 < near.mean() < 1, "sentences that share words have much in common"
    env = make(DOOR_KEY, 2, {"show": "language"})
    seen, _ = env.reset(seed=0)
    np.testing.assert_array_equal(seen[:, -48:], codes()[env._state["plans"][:, 0, 2]])


@pytest.mark.parametrize("subgoals", ["oracle", {"show": "language", "accuracy": 0.5, "hidden": 0.3}])
def test_grid_worlds_with_subgoals_keep_the_contract(subgoals: Any) -> None:
    check_sparse_env(DOOR_KEY, max_steps=40, subgoals=subgoals, features="caption")


def test_the_option_is_read_with_care() -> None:
    assert Guidance() == Guidance("oracle", "relative")
    assert all(0 < share < 1 for shares in PUBLISHED.values() for share in shares.values())
    for wrong, message in (
        ({"accuracy": 1.5}, "accuracy must be a number from 0 to 1"),
        ({"show": "smoke"}, "show must be one of"),
        ({"tutor": "oracle"}, "subgoals must be a teacher, or some of"),
        (3, "subgoals must be a teacher"),
        ("", "teacher must be"),
        ({"seed": -1}, "seed must be an integer"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            gym.make(DOOR_KEY, subgoals=wrong)
    with pytest.raises(ValueError, match="an image has no place for subgoals"):
        gym.make(DOOR_KEY, subgoals="oracle", observation="image")


def test_the_default_observation_has_an_entry_for_the_subgoal() -> None:
    env: Any = gym.make(DOOR_KEY, subgoals="oracle")
    seen, _ = env.reset(seed=0)
    assert seen["subgoal"] in env.observation_space["subgoal"]
    assert seen["subgoal"][2] == 1


def test_steps_between_subgoals_add_up_to_the_episode() -> None:
    env = make(KEY_CORRIDOR, 1, "oracle")
    env.reset(seed=2)
    planner, ends = Planner(env), [0]
    for step in range(1, 200):
        *_, info = env.step(planner.actions())
        info = info.get("final_info", info)
        if info["subgoal_reached"][0]:
            ends.append(step)
            assert info["subgoal_time"][0] == pytest.approx((ends[-1] - ends[-2]) / env.dynamics.max_steps)
        if info["success"][0]:
            break
    assert info["success"][0]
    assert all(sooner < later for sooner, later in pairwise(ends))
