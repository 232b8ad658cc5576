"""What tasks say of themselves in words: every feature has its note, and grid worlds show what their notes list."""

from __future__ import annotations

import re

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from shapegym.envs.dynamics import Dynamics
from shapegym.envs.grid.grid_dynamics import GridDynamics
from shapegym.envs.grid.planner import Planner
from shapegym.envs.registration import TABLE, EnvRow, build, dynamics_class

PURE = {"upright", "state", "room"}
"""Numbers that have no unit."""

FAMILIES = {row.builder: row for row in TABLE if ".grid." in row.builder}
QUICK = ("door_key", "lava_gap", "unlock_pickup", "multi_room")


def made(row: EnvRow) -> Dynamics:
    """The task of an id, with every feature that it reports."""
    asked = {"features": "all"} if issubclass(dynamics_class(gym.spec(row.id)), GridDynamics) else {}
    return build(row.builder, **row.knobs, **asked)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_every_feature_has_a_sentence_and_a_unit(row: EnvRow) -> None:
    task = made(row)
    assert re.fullmatch(r"[A-Z].*\.", task.aim)
    assert {*task.declared, "action"} == {*task.noted}
    for name, note in task.noted.items():
        assert re.fullmatch(r"[A-Z(].*\.", note.about), name
        space = task.declared.get(name, task.action_space)
        truth = space.dtype == np.bool_
        assert truth or note.unit or note.codes or name in {*PURE, *task.texts, "action"}, name
        assert not (note.unit and note.codes), f"{name}: codes have no unit"
        if isinstance(space, spaces.Discrete) and note.codes:
            assert all(space.contains(np.int64(code)) for code, _ in note.codes), name
    assert {*task.offered} <= {*task.declared}


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_what_knows_the_answer_is_an_oracle(row: EnvRow) -> None:
    """Else it would be in prompts: the flag, the events that tell as much, ways that were computed, numbers of states."""
    noted = made(row).noted
    answers = {name for name in noted if name.startswith(("distance_to_", "needed_"))}
    assert {name for name, note in noted.items() if note.oracle} >= {"success", "event", *answers}
    assert all("reward" not in note.about.lower() for note in noted.values())


def test_a_state_number_is_all_that_there_is_where_a_task_has_no_features() -> None:
    bare = build("shapegym.envs.tabular.random_mdp:random_mdp", seed=0)
    assert not bare.noted["state"].oracle


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, id=row.name, marks=() if builder.endswith(QUICK) else pytest.mark.slow)
        for builder, row in FAMILIES.items()
    ],
)
def test_grid_worlds_show_what_their_notes_list(row: EnvRow) -> None:
    lanes = 16
    envs = gym.make_vec(row.id, num_envs=lanes, vectorization_mode="vector_entry_point", observation="flat")
    task = envs.unwrapped.dynamics
    rng, planner = np.random.default_rng(0), Planner(envs)
    _, infos = envs.reset(seed=0)
    seen: dict[str, set[int]] = {name: set() for name in ("front", "carrying", "carrying_color", "has_key")}
    for _ in range(150):
        wild = rng.integers(task.action_space.n, size=lanes)
        _, _, _, _, infos = envs.step(np.where(rng.random(lanes) < 0.5, wild, planner.actions()))
        for name, values in seen.items():
            values.update(infos[name].astype(int).tolist())
    for name, values in seen.items():
        listed = {code for code, _ in task.notes[name].codes} or {0, 1}
        assert values <= listed, name
    assert {code for code, _ in task.notes["front"].codes} == seen["front"]
