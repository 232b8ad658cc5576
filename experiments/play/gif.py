"""Episodes as an animated picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image

from shapegym.envs.native import NativeEnv
from shapegym.experiments.errors import RunError
from shapegym.experiments.play.scene import Scene
from shapegym.shaping.atomic_file import replacing

SIDE = 320
"""Pixels that the grid may take."""

_HOLD_MS = 1500


def _random(env: NativeEnv, seed: int) -> Callable[[], int]:
    env.action_space.seed(seed)
    return lambda: int(env.action_space.sample())


def _planner(env: NativeEnv, seed: int) -> Callable[[], int]:
    from shapegym.envs.grid.planner import Planner

    del seed  # a planner draws nothing
    planner = Planner(env)
    return lambda: int(planner.actions())


POLICIES: dict[str, Callable[[NativeEnv, int], Callable[[], int]]] = {"random": _random, "planner": _planner}
"""Name -> (environment, seed) -> what chooses the next action."""


def record(
    scene: Scene, policy: str, path: Path, *, seed: int, episodes: int, fps: int, max_steps: int
) -> list[tuple[bool, float, int]]:
    """Play episodes and write them as a GIF, whole or not at all.

    Args:
        scene: Of the environment.
        policy: A name in `POLICIES`.
        path: Of the picture, ending in .gif.
        seed: Of the first episode and of the random policy; the other episodes continue its stream.
        episodes: How many.
        fps: Steps a second, at most 50.
        max_steps: Steps after which an episode is left.

    Returns:
        (solved, return, steps) of every episode.

    Raises:
        RunError: There is no such policy or folder, or the file has another ending.
        OSError: The file cannot be written.
    """
    if policy not in POLICIES:
        raise RunError(f"There is no policy {policy!r}; there are {', '.join(POLICIES)}.")
    if path.suffix.lower() != ".gif":
        raise RunError(f"A recording is a GIF: name it {path.with_suffix('.gif')}.")
    if not path.parent.is_dir():
        raise RunError(f"There is no folder {path.parent}.")
    choose = POLICIES[policy](scene.env, seed)
    outcomes: list[tuple[bool, float, int]] = []

    def frames() -> Iterator[Image.Image]:
        for episode in range(episodes):
            scene.begin(seed if episode == 0 else None)
            while not scene.over and scene.steps < max_steps:
                yield _frame(scene, 1000 // fps)
                scene.act(choose())
            yield _frame(scene, _HOLD_MS)
            outcomes.append((scene.solved, scene.total, scene.steps))

    with replacing(path) as file:
        film = frames()
        next(film).save(file, format="GIF", save_all=True, append_images=film, loop=0)
    return outcomes


def _frame(scene: Scene, milliseconds: int) -> Image.Image:
    frame = scene.picture().quantize(dither=Image.Dither.NONE)
    frame.info["duration"] = milliseconds
    return frame
