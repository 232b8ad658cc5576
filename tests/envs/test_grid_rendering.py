"""Pictures of grid worlds: MiniGrid's to the pixel, through Gymnasium's interface."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import gymnasium as gym
import minigrid  # noqa: F401  # registers its ids
import numpy as np
import pygame
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env

import shapegym  # noqa: F401  # registers the ids
from shapegym.envs.grid.lane.cells import BALL, BLUE, COLORS, RED, box
from shapegym.envs.grid.lane.facts import CARRIED
from shapegym.envs.native import NativeEnv

pytestmark = pytest.mark.filterwarnings("ignore:The system font")  # said by MiniGrid's window

DOOR_KEY = "MiniGrid-DoorKey-5x5-v0"


def pair(id: str, **options: Any) -> tuple[gym.Env[Any, Any], gym.Env[Any, Any]]:
    """MiniGrid's environment and ours, under the same seed."""
    theirs, ours = gym.make(id, **options), gym.make(f"shapegym/{id}", **options)
    theirs.reset(seed=7)
    ours.reset(seed=7)
    return theirs, ours


@pytest.mark.parametrize(
    ("id", "options"),
    [
        (DOOR_KEY, {}),
        (DOOR_KEY, {"agent_pov": True, "tile_size": 8}),
        (DOOR_KEY, {"highlight": False, "tile_size": 9}),
        (DOOR_KEY, {"agent_pov": True, "highlight": False, "agent_view_size": 3, "tile_size": 12}),
        ("MiniGrid-Empty-Random-6x6-v0", {"agent_view_size": 5, "tile_size": 8}),
        ("MiniGrid-Empty-5x5-v0", {"agent_pov": True, "tile_size": 8}),  # sees through walls
        ("MiniGrid-FourRooms-v0", {"tile_size": 8}),
        ("MiniGrid-LavaCrossingS9N3-v0", {"tile_size": 8}),
        ("MiniGrid-Dynamic-Obstacles-5x5-v0", {"tile_size": 8}),
        ("MiniGrid-ObstructedMaze-2Dlhb-v1", {"tile_size": 8}),
        ("MiniGrid-ObstructedMaze-2Dlhb-v1", {"tile_size": 8, "agent_pov": True}),
        ("MiniGrid-Playground-v0", {"tile_size": 8}),
    ],
)
def test_frames_are_minigrids(id: str, options: dict[str, Any]) -> None:
    theirs, ours = pair(id, render_mode="rgb_array", **options)
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(50):
        expected, frame = theirs.render(), ours.render()
        assert frame.dtype == expected.dtype == np.uint8
        np.testing.assert_array_equal(frame, expected)
        seen.add(frame.tobytes())
        action = int(rng.choice([0, 1, 2, 2, 2, 3, 4, 5])) % ours.action_space.n
        *_, terminated, truncated, _ = theirs.step(action)
        ours.step(action)
        if terminated or truncated:
            theirs.reset()
            ours.reset()
    assert len(seen) > 5


def test_what_is_carried_and_what_a_box_hides_are_mirrored() -> None:
    theirs, ours = pair(DOOR_KEY, render_mode="rgb_array", agent_pov=True)
    from minigrid.core.world_object import Ball

    theirs.unwrapped.carrying = Ball("red")
    ours.unwrapped._lane._state["facts"][0, CARRIED] = BALL + RED
    np.testing.assert_array_equal(ours.render(), theirs.render())
    ours.unwrapped._lane._state["facts"][0, CARRIED] = box(RED, BLUE)
    ours.render()
    carried = ours.unwrapped.dynamics.renderer._mirror.carrying
    assert (carried.type, carried.color, carried.contains.color) == ("box", COLORS[RED], COLORS[BLUE])


@pytest.fixture
def window():
    yield
    pygame.quit()


def shown() -> np.ndarray:
    return pygame.surfarray.array3d(pygame.display.get_surface())


@pytest.fixture
def no_waiting(monkeypatch):
    """The window without its ten pictures a second."""
    from minigrid.minigrid_env import MiniGridEnv

    monkeypatch.setitem(MiniGridEnv.metadata, "render_fps", 100_000)


def test_the_window_is_minigrids(window, no_waiting) -> None:
    frames = []
    for id in (DOOR_KEY, f"shapegym/{DOOR_KEY}"):  # one after the other: there is one window
        env = gym.make(id, render_mode="human", screen_size=200)
        env.reset(seed=3)
        first = shown()
        for action in (1, 2, 2, 3):
            env.step(action)
        assert env.render() is None
        assert not np.array_equal(first, shown())
        frames.append([first, shown()])
        env.close()
        assert not pygame.display.get_init()
        env.close()
    assert frames[0][0].shape == (200, 200, 3)
    np.testing.assert_array_equal(frames[1], frames[0])


def test_a_closed_window_opens_again(window, no_waiting) -> None:
    env = gym.make(f"shapegym/{DOOR_KEY}", render_mode="human", screen_size=100)
    env.reset(seed=0)
    env.close()
    env.reset(seed=0)
    assert shown().any()


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_an_open_window_does_not_hinder_copies(clone: Any, window, no_waiting) -> None:
    env = gym.make(f"shapegym/{DOOR_KEY}", render_mode="human").unwrapped
    env.reset(seed=0)
    twin = clone(env)
    assert isinstance(twin, NativeEnv)
    twin.step(0)
    env.step(0)


def test_gymnasium_finds_nothing_to_say(window, no_waiting) -> None:
    check_env(gym.make(f"shapegym/{DOOR_KEY}", render_mode="rgb_array").unwrapped)


def test_the_vector_form_shows_every_lane() -> None:
    vector = gym.make_vec(f"shapegym/{DOOR_KEY}", num_envs=3, render_mode="rgb_array", tile_size=8)
    vector.reset(seed=4)
    vector.step(np.array([2, 1, 0]))
    frames = vector.render()
    assert isinstance(frames, tuple)
    for lane, (frame, action) in enumerate(zip(frames, (2, 1, 0), strict=True)):
        single = gym.make(f"shapegym/{DOOR_KEY}", render_mode="rgb_array", tile_size=8)
        single.reset(seed=4 + lane)
        single.step(action)
        np.testing.assert_array_equal(frame, single.render())


@pytest.mark.parametrize(
    ("id", "options", "error", "message"),
    [
        (DOOR_KEY, {"render_mode": "ansi"}, ValueError, "one of .'human', 'rgb_array'.* got 'ansi'"),
        (DOOR_KEY, {"tile_size": 0}, ValueError, "tile_size must be at least 1"),
        (DOOR_KEY, {"screen_size": "big"}, TypeError, "screen_size must be an integer, got 'big'"),
    ],
)
def test_wrong_options_are_explained(id: str, options: dict[str, Any], error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        gym.make(f"shapegym/{id}", **options)
    with pytest.raises(error, match=message.replace("'human', ", "")):
        gym.make_vec(f"shapegym/{id}", num_envs=2, **options)


def test_the_vector_form_has_no_window() -> None:
    with pytest.raises(ValueError, match=r"one of .'rgb_array',. or None here, got 'human'"):
        gym.make_vec(f"shapegym/{DOOR_KEY}", num_envs=2, render_mode="human")


@pytest.mark.parametrize("make", [gym.make, lambda id, **knobs: gym.make_vec(id, num_envs=2, **knobs)])
def test_there_is_nothing_to_see_before_the_first_reset_or_without_a_mode(make: Any) -> None:
    with pytest.raises(ResetNeeded):
        make(f"shapegym/{DOOR_KEY}", render_mode="rgb_array").unwrapped.render()
    env = make(f"shapegym/{DOOR_KEY}").unwrapped
    env.reset(seed=0)
    with pytest.warns(UserWarning, match="without a render mode"):
        assert env.render() is None


def test_stable_baselines_is_told_of_pictures() -> None:
    from stable_baselines3.common.env_util import make_vec_env

    assert make_vec_env(f"shapegym/{DOOR_KEY}", env_kwargs={"observation": "flat"}).render_mode == "rgb_array"
