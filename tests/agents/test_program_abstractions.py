"""What reward programs may see of an environment: all that helps, in words, and nothing that gives the task away."""

from __future__ import annotations

from fnmatch import fnmatchcase

import gymnasium as gym
import numpy as np
import pytest

from shapegym.agents.errors import SettingsError
from shapegym.agents.programs.abstracting import abstraction_of
from shapegym.agents.programs.evidence import corners_of, evidence_for
from shapegym.envs.registration import TABLE, EnvRow
from shapegym.shaping.programs.program import read_program
from shapegym.shaping.programs.references import LibraryError, examples_for, reference, references

SECRET = ("success", "event", "reward", "distance_to_*", "needed_*")
DOOR_KEY = "shapegym/MiniGrid-DoorKey-5x5-v0"
ONE_OF_EACH = {row.builder: row for row in TABLE}.values()


@pytest.mark.parametrize("row", ONE_OF_EACH, ids=lambda row: row.name)
def test_a_stub_tells_what_features_mean_and_not_how_well_the_task_goes(row: EnvRow) -> None:
    abstraction = abstraction_of(row.id)
    stub = abstraction.stub()
    assert abstraction.task
    assert abstraction.task.rstrip(".") in stub
    assert abstraction.features
    for feature in (*abstraction.features, abstraction.action):
        assert not any(fnmatchcase(feature.name, secret) for secret in SECRET)
        assert feature.about, feature.name
        assert np.isfinite([feature.low, feature.high]).all()
    for word in ("success", "reward", "return self", "import", "def ", "seed", "shapegym"):
        assert word not in stub.lower()


def test_features_that_a_layout_cannot_change_are_left_out() -> None:
    empty = {feature.name for feature in abstraction_of("shapegym/MiniGrid-Empty-5x5-v0").features}
    assert empty == {"agent_pos", "agent_dir", "front", "goal_pos"}
    codes = dict(abstraction_of(DOOR_KEY).feature("front").codes)  # type: ignore[union-attr]
    assert codes == {1: "nothing", 2: "a wall", 4: "a door", 5: "a key", 8: "the goal"}


def test_answers_are_shown_to_whoever_asks_by_name() -> None:
    abstraction = abstraction_of(DOOR_KEY, features=("success", "distance_to_goal", "distance_to_1_1"))
    assert {"success", "distance_to_goal", "distance_to_1_1"} <= {
        feature.name for feature in abstraction.features
    }
    evidence = evidence_for(DOOR_KEY, abstraction, states=900)
    assert evidence.after["success"].sum() == evidence.success.sum() > 0
    assert not evidence.before["success"].any()
    with pytest.raises(SettingsError, match="no feature 'way_home'"):
        abstraction_of(DOOR_KEY, features=("way_home",))


def test_what_an_environment_is_told_to_report_is_all_that_is_shown() -> None:
    names = {feature.name for feature in abstraction_of(DOOR_KEY, {"features": ("key_pos",)}).features}
    assert "key_pos" in names
    assert "goal_pos" not in names


def test_environments_of_others_are_known_by_their_spaces() -> None:
    names = {feature.name for feature in abstraction_of("MiniGrid-DoorKey-5x5-v0").features}
    assert {"agent_pos", "key_pos", "obs"} <= names
    assert not names & {"event", "success"}
    assert {feature.name for feature in abstraction_of("CartPole-v1").features} >= {"angle", "obs"}


@pytest.mark.parametrize("env", ["shapegym/MountainCarContinuous-v0", "shapegym/KeyDoor-v0", "CartPole-v1"])
def test_evidence_is_the_same_whenever_it_is_gathered(env: str) -> None:
    abstraction = abstraction_of(env)
    one, two = (evidence_for(env, abstraction, 3, states=2_000) for _ in range(2))
    for side in ("before", "after"):
        for name, values in getattr(one, side).items():
            np.testing.assert_array_equal(values, getattr(two, side)[name])
    np.testing.assert_array_equal(one.action, two.action)
    assert [known.states for known in one.known] == [known.states for known in two.known]


def test_corners_are_extremes_of_both_sides() -> None:
    abstraction = abstraction_of("shapegym/MountainCar-v0")
    corners = corners_of(abstraction)
    position = corners["before"]["position"]
    assert {-1.2, 0.6, 0.0} <= set(np.round(position, 6))
    assert 0.3 < (position == corners["after"]["position"]).mean() < 0.9


def test_a_search_steps_as_the_environment_does() -> None:
    """Every transition of a known part is one that the environment makes, from the same features by the same action."""
    env_id = "shapegym/MiniGrid-DoorKey-5x5-v0"
    abstraction = abstraction_of(env_id)
    evidence = evidence_for(env_id, abstraction, states=900)
    known = {
        tuple(
            np.concatenate(
                [np.atleast_1d(evidence.before[n][row]).astype(float) for n in evidence.before]
            ).tolist()
        )
        for row in range(len(evidence))
    }
    names = [feature.name for feature in abstraction.features]
    env = gym.make(
        env_id,
        features=tuple(
            set(names) - {"agent_pos", "agent_dir", "carrying", "carrying_color", "has_key", "front"}
        ),
    )
    _, info = env.reset(seed=0)
    rng = np.random.default_rng(0)
    for _ in range(60):
        seen = tuple(
            np.concatenate([np.atleast_1d(info[name]).astype(float).reshape(-1) for name in names]).tolist()
        )
        assert seen in known
        _, _, terminated, truncated, info = env.step(int(rng.integers(7)))
        if terminated or truncated:
            break


def test_the_library_is_for_its_own_tasks_and_no_example_is_for_the_task_at_hand() -> None:
    for each in references():
        program = read_program(each.source, abstraction_of(each.env))
        assert "reference program, written for shapegym" in each.source.replace("\n# ", " ")
        assert program.parts
        assert all(each.family != example.family for example in examples_for(each.env, 4))
    assert [example.family for example in examples_for("shapegym/MiniGrid-DoorKey-8x8-v0")] == [
        "multi_room",
        "mountain_car",
    ]
    with pytest.raises(LibraryError, match="Did you mean 'door_key'"):
        reference("dor_key")
