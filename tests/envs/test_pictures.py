"""Every task that is no grid world draws itself; recorders and windows of other people take its pictures."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import shapegym as sg
from shapegym.envs.native import NativeEnv
from shapegym.envs.pictures.canvas import AGENT, Canvas
from shapegym.envs.registration import TABLE
from shapegym.envs.tabular.finite_dynamics import FiniteDynamics
from shapegym.envs.tabular.random_mdp import random_mdp

DRAWN = [row.id for row in TABLE if ".grid." not in row.builder]
ROOMS, CAR = "shapegym/FourRooms-v0", "shapegym/MountainCar-v0"


@pytest.mark.parametrize("id", DRAWN)
def test_every_task_has_a_picture_that_follows_the_state(id: str) -> None:
    """Of one size throughout, even as video formats need it; single and vector form show the same."""
    single = gym.make(id, render_mode="rgb_array")
    lanes: Any = gym.make_vec(id, num_envs=2, render_mode="rgb_array")
    single.reset(seed=3)
    lanes.reset(seed=3)
    single.action_space.seed(0)
    seen = set()
    over = False
    for _ in range(12):
        frame: Any = single.render()
        assert frame.dtype == np.uint8
        assert frame.ndim == 3
        assert not np.any(np.array(frame.shape[:2]) % 2)
        first, _ = lanes.render()
        np.testing.assert_array_equal(frame, first)
        seen.add((frame.shape, frame.tobytes()))
        if over:
            break
        action = single.action_space.sample()
        *_, terminated, truncated, _ = single.step(action)
        lanes.step(np.stack([action, action]))
        over = terminated or truncated
    assert len({shape for shape, _ in seen}) == 1
    assert len(seen) > 1


def test_the_agent_is_drawn_where_it_is() -> None:
    env: Any = gym.make(ROOMS, render_mode="rgb_array")
    env.reset(seed=0)
    *_, info = env.step(2)
    rows, columns = np.nonzero((env.render() == AGENT).all(axis=2))
    side = 400 // 11
    assert ((rows.mean() - 12) // side, (columns.mean() - 12) // side) == tuple(info["agent_pos"])


def test_a_task_that_reports_nothing_shows_its_state() -> None:
    env = NativeEnv(FiniteDynamics(random_mdp(0)), render_mode="rgb_array")
    env.reset(seed=0)
    assert env.render().shape[1] >= 200


@pytest.fixture
def window(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pygame = pytest.importorskip("pygame")
    monkeypatch.setattr(pygame.time, "Clock", lambda: SimpleNamespace(tick=lambda fps: fps))
    yield pygame
    pygame.display.quit()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("id", DRAWN)
def test_gymnasium_finds_nothing_to_say_of_tasks_with_pictures(id: str, window: Any) -> None:
    check_env(gym.make(id, render_mode="rgb_array").unwrapped)


def test_people_watch_in_a_window_which_copies_do_not_share(window: Any) -> None:
    env: Any = gym.make(CAR, render_mode="human").unwrapped
    env.reset(seed=0)
    assert window.display.get_surface().get_size() == (480, 300)
    for twin in (copy.deepcopy(env), pickle.loads(pickle.dumps(env))):
        twin.step(1)
        twin.close()
    env.step(1)
    env.close()
    assert window.display.get_surface() is None


def test_a_machine_without_a_screen_says_so(window: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(size: Any) -> None:
        raise window.error("no video device")

    monkeypatch.setattr(window.display, "set_mode", fail)
    with pytest.raises(RuntimeError, match=r'needs a screen .no video device.; take "rgb_array"'):
        gym.make(CAR, render_mode="human").reset(seed=0)


def test_stable_baselines_gets_a_picture_of_every_lane() -> None:
    lanes = sg.make_vec_env(ROOMS, 4, seed=0, render_mode="rgb_array")
    lanes.reset()
    assert lanes.render_mode == "rgb_array"
    tiled = lanes.render()
    assert tiled is not None
    assert tiled.shape == (2 * 454, 2 * 420, 3)
    assert sg.make_vec_env(ROOMS, 2, seed=0).get_images() == [None, None]


def test_videos_are_recorded(tmp_path: Path) -> None:
    pytest.importorskip("moviepy")
    from stable_baselines3.common.vec_env import VecVideoRecorder

    env: Any = gym.wrappers.RecordVideo(
        gym.make(ROOMS, render_mode="rgb_array", max_episode_steps=5),
        str(tmp_path / "one"),
        disable_logger=True,
    )
    env.reset(seed=0)
    for _ in range(5):
        env.step(0)
    env.close()
    assert list((tmp_path / "one").glob("*.mp4"))
    lanes = sg.make_vec_env(CAR, 2, seed=0, render_mode="rgb_array")
    recorder = VecVideoRecorder(lanes, str(tmp_path / "many"), lambda step: step == 0, video_length=5)
    recorder.reset()
    for _ in range(6):
        recorder.step(np.zeros(2, int))
    recorder.close()
    assert list((tmp_path / "many").glob("*.mp4"))


def test_an_empty_box_is_nothing() -> None:
    canvas = Canvas(9, 7)
    before = canvas.pixels()
    canvas.box((3, 3), (3, 5), AGENT)
    assert canvas.pixels().shape == (8, 10, 3)
    np.testing.assert_array_equal(canvas.pixels(), before)
