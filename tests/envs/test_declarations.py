"""What environments say of themselves: by their class before any is made, and by the task once one is."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from minigrid.envs import EmptyEnv

from shapegym.envs.dynamics import Dynamics
from shapegym.envs.foreign.minigrid_views import with_view
from shapegym.envs.grid.features.reader import REQUESTED
from shapegym.envs.grid.grid_dynamics import GridDynamics
from shapegym.envs.native import NativeEnv, NativeVectorEnv, dynamics_of
from shapegym.envs.registration import TABLE, EnvRow, build, dynamics_class
from shapegym.envs.tabular.finite_dynamics import FiniteDynamics
from shapegym.envs.tabular.random_mdp import random_mdp

DOOR_KEY = "shapegym/MiniGrid-DoorKey-5x5-v0"


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_the_class_behind_an_id_is_known_before_anything_is_built(row: EnvRow) -> None:
    assert dynamics_class(gym.spec(row.id)) is type(build(row.builder, **row.knobs))


def test_ids_of_others_offer_nothing_beyond_the_contract() -> None:
    kind = dynamics_class(gym.spec("CartPole-v1"))
    assert kind is Dynamics
    assert not kind.views
    assert not kind.reports_on_request("room")


def untold(**knobs: Any):  # type: ignore[no-untyped-def]
    """A builder without an annotation."""


def told(size: int = 4) -> FiniteDynamics:
    """A stranger's builder."""
    return FiniteDynamics(random_mdp(0, states=size))


def test_a_stranger_builder_is_asked_for_what_it_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = "shapegym.envs.registration:make_env"
    builders = {"mine:told": told, "mine:untold": untold}
    monkeypatch.setattr("shapegym.envs.registration.load_env_creator", builders.__getitem__)
    for knobs, kind in (
        ({"builder": "mine:told"}, FiniteDynamics),
        ({"builder": "mine:untold"}, Dynamics),
        ({}, Dynamics),
    ):
        assert dynamics_class(EnvSpec("Mine-v0", entry_point=ours, kwargs=knobs)) is kind


def test_grid_worlds_report_what_is_asked_for_and_nothing_that_they_report_anyway() -> None:
    kind = dynamics_class(gym.spec(DOOR_KEY))
    assert all(map(kind.reports_on_request, REQUESTED))
    assert kind.reports_on_request("distance_to_3_4")
    assert not any(map(kind.reports_on_request, ["agent_pos", "success", "distance_to_luck"]))


def test_views_are_options_that_the_class_takes() -> None:
    shapes = {}
    for view, options in GridDynamics.views.items():
        env = gym.make(DOOR_KEY, **options)
        assert isinstance(env.observation_space, spaces.Box)
        shapes[view] = env.observation_space.shape
    assert shapes == {"flat": (147,), "image": (7, 7, 3), "flat_full": (75,), "image_full": (5, 5, 3)}


class MyEmpty(EmptyEnv):
    """A MiniGrid environment of somebody else's."""


def test_environments_of_minigrids_kind_show_the_same_views_and_others_stay() -> None:
    for view, options in GridDynamics.views.items():
        ours = gym.make("shapegym/MiniGrid-Empty-8x8-v0", **options)
        assert with_view(MyEmpty(), view).observation_space == ours.observation_space
    cart = gym.make("CartPole-v1")
    assert with_view(cart, "flat") is cart
    flat = with_view(MyEmpty(), "flat")
    assert with_view(flat, "image") is flat, "it has a view already"


def test_what_is_played_is_found_inside_of_wrappers() -> None:
    dynamics = build("shapegym.envs.tabular.corridor:corridor")
    assert dynamics_of(gym.wrappers.TimeLimit(NativeEnv(dynamics), 3)) is dynamics
    assert dynamics_of(NativeVectorEnv(dynamics, 2)) is dynamics
    assert dynamics_of(gym.make("CartPole-v1")) is None


@pytest.mark.parametrize("observation", ["one_hot", "coordinates", "index"])
def test_states_and_what_agents_see_of_them_tell_each_other(observation: str) -> None:
    dynamics = build("shapegym.envs.tabular.key_door:key_door", size=5, observation=observation)
    assert isinstance(dynamics, FiniteDynamics)
    assert dynamics.finite is dynamics.task
    seen = dynamics.observe_states()
    assert len(seen) == dynamics.task.n_states
    assert all(row in dynamics.observation_space for row in seen)
    np.testing.assert_array_equal(dynamics.states_of(seen), np.arange(len(seen)))


def test_tasks_without_tables_have_no_exact_answers() -> None:
    dynamics = build("shapegym.envs.control.acrobot:Acrobot")
    assert dynamics.finite is None
    assert dynamics.exact_returns() is None
    for ask in (dynamics.observe_states, lambda: dynamics.states_of(np.zeros((1, 6)))):
        with pytest.raises(TypeError, match=r"Acrobot.* has no tables"):
            ask()


def test_exact_returns_are_the_solvers() -> None:
    best, random = build("shapegym.envs.tabular.corridor:corridor", length=2, slip=0.0).exact_returns() or (
        0,
        0,
    )
    assert best == 1.0
    assert random == pytest.approx(1 - 0.5**20)


def test_a_state_is_known_again_whenever_it_is_visited() -> None:
    env: Any = gym.make(DOOR_KEY).unwrapped
    env.reset(seed=0)

    def kept() -> dict[str, bytes]:
        state = {name.removeprefix("state."): array for name, array in env.snapshot().items()}
        return {name: array.tobytes() for name, array in env.dynamics.timeless(state).items()}

    before = kept()
    env.step(0)
    turned = kept()
    env.step(1)
    assert turned != before
    assert kept() == before, "the clock went on, the state is the same"


def test_a_grid_world_names_its_size_missions_and_actions() -> None:
    door_key = build("shapegym.envs.grid.families.door_key:door_key", size=6)
    assert door_key.grid_size == (6, 6)
    assert door_key.missions == ("use the key to open the door and then get to the goal",)
    assert door_key.action_names[3] == "pick up"
    moving = build("shapegym.envs.grid.families.dynamic_obstacles:dynamic_obstacles")
    assert moving.action_names == ("left", "right", "forward")
    assert set(door_key.about()) == {"Options", "Features"}
