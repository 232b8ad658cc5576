"""Mountain car with a small picture of each step among its features."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from PIL import Image

from shapegym.envs.control.mountain_car import LEFT_WALL, RIGHT_END, MountainCar
from shapegym.envs.dynamics import State
from shapegym.envs.registration import register_task
from shapegym.experiments.pictured.material import Material

ID = "Pictured/MountainCar-v0"
ROWS, COLUMNS, PLACES = 30, 48, 256

GOAL, BASELINE = "the car is at the flag", "a car in the mountains"


@cache
def album() -> NDArray[np.uint8]:
    """Return the picture of the car at `PLACES` positions from the left wall to the right end, (PLACES, ROWS, COLUMNS, 3)."""
    task = MountainCar()
    drawn = (
        task.draw({"car": np.array([x, 0.0])}).pixels() for x in np.linspace(LEFT_WALL, RIGHT_END, PLACES)
    )
    small = [Image.fromarray(each).resize((COLUMNS, ROWS), Image.Resampling.BOX) for each in drawn]
    return np.stack([np.asarray(each) for each in small])


class PicturedMountainCar(MountainCar):
    """`MountainCar` with the feature ``picture``, (30, 48, 3) uint8, of the nearest of 256 positions; the speed is not seen."""

    def __init__(self, **knobs: Any) -> None:
        super().__init__(**knobs)
        self.features = {**self.features, "picture": spaces.Box(0, 255, (ROWS, COLUMNS, 3), np.uint8)}
        self.fingerprint = f"Pictured{self.fingerprint}"

    def measure(self, state: State, features: Mapping[str, NDArray[Any]], mask: NDArray[np.bool_]) -> None:
        """As `MountainCar`, and the picture."""
        super().measure(state, features, mask)
        share = (state["car"][:, 0] - LEFT_WALL) / (RIGHT_END - LEFT_WALL)
        features["picture"][...] = album()[np.rint(share * (PLACES - 1)).astype(np.int64)]


def says(x: float) -> list[str]:
    """Return sentences that are true of the car at a position."""
    ends = {
        -0.8: "high on the left hill",
        -0.62: "on the left slope",
        -0.4: "at the bottom of the valley",
        0.0: "on the right slope",
        0.48: "high on the right hill",
        9.0: "at the flag",
    }
    where = next(words for end, words in ends.items() if x < end)
    return [f"the car is {where}", BASELINE]


def material(seed: int) -> Material:
    """Return the whole album; it is the same for every seed."""
    del seed
    return Material(album(), [says(x) for x in np.linspace(LEFT_WALL, RIGHT_END, PLACES).tolist()])


register_task(ID, PicturedMountainCar)
