"""Playing and recording: what keys do, what is shown, what is written, and how mistakes are answered."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pygame
import pytest
from PIL import Image
from typer.testing import CliRunner

from shapegym.envs.grid.lane.stepping import LEFT, TOGGLE
from shapegym.experiments.cli import app
from shapegym.experiments.errors import RunError
from shapegym.experiments.play import gif as recording
from shapegym.experiments.play import window as playing
from shapegym.experiments.play.scene import Scene, open_grid_world

EMPTY = "shapegym/MiniGrid-Empty-5x5-v0"
TO_THE_GOAL = [pygame.K_UP, pygame.K_w, pygame.K_d, pygame.K_UP, pygame.K_UP]


def shapegym(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def press(*keys: int) -> None:
    """Queue keys for a window that opens later; Escape ends the game."""
    pygame.display.init()
    for key in (*keys, pygame.K_ESCAPE):
        pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=key))


def scene(id: str = EMPTY, **options: object) -> Scene:
    return Scene(open_grid_world(id, options, 200))


def test_a_person_reaches_the_goal_and_begins_anew(monkeypatch):
    shown = []
    monkeypatch.setattr(
        pygame.display,
        "flip",
        lambda: shown.append(pygame.surfarray.array3d(pygame.display.get_surface()).swapaxes(0, 1)),
    )
    game = scene()
    press(*TO_THE_GOAL, pygame.K_UP, pygame.K_BACKSPACE, pygame.K_LEFT)
    assert playing.play(game, seed=0) == [pytest.approx(1 - 0.9 * 5 / 100)]
    assert (game.steps, game.over) == (1, False)  # the key after the end did nothing, the next episode began
    assert len(shown) == 1 + 5 + 2
    np.testing.assert_array_equal(shown[-1], np.asarray(game.picture()))
    np.testing.assert_array_equal(shown[0], shown[6])
    assert not pygame.display.get_init()


@pytest.mark.parametrize(("key", "action"), playing.ACTION_OF_KEY.items())
def test_every_key_does_its_action(key, action, monkeypatch):
    game, acted = scene(), []
    monkeypatch.setattr(game, "act", acted.append)
    press(key, pygame.K_x)
    playing.play(game, seed=0)
    assert acted == [action]


def test_the_window_can_be_closed():
    pygame.display.init()
    pygame.event.post(pygame.event.Event(pygame.MOUSEMOTION))
    pygame.event.post(pygame.event.Event(pygame.WINDOWEXPOSED))
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    assert playing.play(scene(), seed=0) == []


def test_the_command_opens_the_window():
    press(*TO_THE_GOAL)
    assert "Returns: 0.9" in shapegym("play", EMPTY, "--env-arg", "agent_pov=true")
    press()
    assert shapegym("play", EMPTY) == ""


def test_no_screen_is_explained(monkeypatch):
    monkeypatch.setattr(pygame.display, "get_driver", lambda: "offscreen")
    assert "no screen for a window" in shapegym("play", EMPTY, code=2)

    def fail(*_: object) -> None:
        raise pygame.error("No available video device")

    monkeypatch.undo()
    monkeypatch.setattr(pygame.display, "set_mode", fail)
    assert "No available video device" in shapegym("play", EMPTY, code=2)


def test_an_action_that_the_task_lacks_moves_nothing():
    game = scene("shapegym/MiniGrid-Dynamic-Obstacles-5x5-v0")
    game.begin(0)
    before = np.asarray(game.picture())
    game.act(TOGGLE)
    assert game.steps == 0
    assert not np.array_equal(np.asarray(game.picture()), before)


def test_the_text_follows_the_episode():
    game = scene("shapegym/MiniGrid-DoorKey-5x5-v0", max_steps=2)
    game.begin(0)
    sizes, pictures = set(), set()
    for _ in range(2):
        game.act(LEFT)
        sizes.add(game.picture().size)
        frame = Image.fromarray(game.env.render())
        pictures.add(game.picture().crop((0, frame.height, frame.width, game.picture().height)).tobytes())
    assert len(sizes) == 1
    assert len(pictures) == 2
    assert (game.over, game.solved, game._news) == (True, False, "you run out of time")
    game.begin()
    assert (game.steps, game.over, game._news) == (0, False, "")


def test_pictures_of_one_task_have_one_size_whatever_the_mission():
    game = scene("shapegym/MiniGrid-PutNear-6x6-N2-v0")
    sizes = set()
    for seed in range(5):
        game.begin(seed)
        sizes.add(game.picture().size)
    assert len(sizes) == 1


def test_a_recording_shows_the_episodes(tmp_path):
    path = tmp_path / "random.gif"
    game = scene(max_steps=6)
    outcomes = recording.record(game, "random", path, seed=3, episodes=2, fps=10, max_steps=4)
    assert [steps for *_, steps in outcomes] == [4, 4]
    with Image.open(path) as film:
        assert film.n_frames == 2 * 5
        durations = []
        for frame in range(film.n_frames):
            film.seek(frame)
            durations.append(film.info["duration"])
        assert durations == 2 * (4 * [100] + [1500])
        film.seek(0)
        first = np.asarray(film.convert("RGB"), float)
    game.begin(3)
    assert np.abs(first - np.asarray(game.picture(), float)).mean() < 2
    again = tmp_path / "again.gif"
    recording.record(scene(max_steps=6), "random", again, seed=3, episodes=2, fps=10, max_steps=4)
    assert again.read_bytes() == path.read_bytes()


def test_the_planner_is_recorded(tmp_path):
    path = tmp_path / "solved.gif"
    text = shapegym(
        "play", "shapegym/MiniGrid-DoorKey-5x5-v0", "--record", str(path), "--policy", "planner",
        "--episodes", "2", "--env-arg", "tile_size=8",
    )  # fmt: skip
    assert "Episode 1: solved" in text
    assert "Episode 2: solved" in text
    assert path.read_bytes().startswith(b"GIF89a")


def test_a_recording_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "old.gif"
    path.write_bytes(b"old")

    def stumble(*_: object):
        steps = iter([LEFT])
        return lambda: next(steps)

    monkeypatch.setitem(recording.POLICIES, "stumble", stumble)
    with pytest.raises((StopIteration, RuntimeError)):
        recording.record(scene(), "stumble", path, seed=0, episodes=1, fps=10, max_steps=9)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["shapegym/Corridor-v0"], "Corridor-v0 has no picture to play in. Grid worlds have one"),
        (["MiniGrid-DoorKey-5x5-v0"], "Take shapegym/MiniGrid-DoorKey-5x5-v0."),
        (["shapegym/MiniGrid-DorKey-5x5-v0"], "Did you mean"),
        ([EMPTY, "--env-arg", "size=2"], "rejects its arguments {'size': 2}: size must be at least 4"),
        ([EMPTY, "--env-arg", "foo=2"], "rejects its arguments {'foo': 2}"),
        ([EMPTY, "--policy", "planner"], "--policy is for recordings: add --record FILE.gif"),
        ([EMPTY, "--max-steps", "9"], "--max-steps is for recordings"),
        ([EMPTY, "--record", "a.png"], "A recording is a GIF: name it a.gif"),
        ([EMPTY, "--record", "nowhere/a.gif"], "There is no folder nowhere"),
        ([EMPTY, "--record", "a.gif", "--policy", "clever"], "no policy 'clever'; there are random, planner"),
        ([EMPTY, "--record", "a.gif", "--fps", "60"], "for '--fps'"),
    ],
)
def test_mistakes_are_explained(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = shapegym("play", *arguments, code=2)
    assert message in text
    assert "Traceback" not in text
    assert not list(Path().iterdir())


def test_a_layout_that_fails_is_explained(monkeypatch):
    from shapegym.envs.grid.grid_dynamics import LayoutError

    game = scene()

    def fail(**_: object) -> None:
        raise LayoutError("lane 0: no place")

    monkeypatch.setattr(game.env, "reset", fail)
    with pytest.raises(RunError, match="no place"):
        game.begin(0)
