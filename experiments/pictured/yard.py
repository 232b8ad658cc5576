"""A yard seen from above: a robot, a flag in the upper left corner, and a ball that the robot carries or not.

Small enough for exact answers, and drawn under any exposure of the camera, which says nothing of what is wanted: the nuisance.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from shapegym.experiments.pictured.material import Material

Array = NDArray[np.float64]

SIDE, PIXELS = 5, 4
FARTHEST = 2 * (SIDE - 1)
STATES: tuple[tuple[int, int, int], ...] = tuple(product(range(SIDE), range(SIDE), (0, 1)))
"""Row, column, and whether the ball is carried."""
NEARNESS: Array = np.array([1.0 - (row + column) / FARTHEST for row, column, _ in STATES])
CARRIES: Array = np.array([float(ball) for *_, ball in STATES])
WANTED: Array = NEARNESS + CARRIES
"""What is wanted in each state: to be near the flag, and to carry the ball."""

GOAL, BASELINE = "the robot is at the flag with the ball", "the robot is in the yard"

_MOVES = ((-1, 0), (1, 0), (0, -1), (0, 1))
_GROUND, _FLAG, _ROBOT, _BALL = (150, 170, 140), (40, 140, 60), (120, 60, 140), (220, 150, 40)


def transitions() -> Array:
    """Return P (S, A, S): four moves, which walls stop, and taking up the ball or putting it away. Nothing ends."""
    place = {state: number for number, state in enumerate(STATES)}
    P = np.zeros((len(STATES), 5, len(STATES)))
    for number, (row, column, ball) in enumerate(STATES):
        for action, (down, right) in enumerate(_MOVES):
            there = (min(max(row + down, 0), SIDE - 1), min(max(column + right, 0), SIDE - 1), ball)
            P[number, action, place[there]] = 1.0
        P[number, 4, place[row, column, 1 - ball]] = 1.0
    return P


def draw(exposures: Array) -> NDArray[np.uint8]:
    """Return the picture of every state, (S, 20, 20, 3), its colours times the exposure of its place, (S,)."""
    pictures = np.empty((len(STATES), SIDE * PIXELS, SIDE * PIXELS, 3))
    pictures[:] = _GROUND
    pictures[:, :PIXELS, 1:PIXELS] = _FLAG
    for picture, (row, column, ball) in zip(pictures, STATES, strict=True):
        top, left = row * PIXELS, column * PIXELS
        picture[top + 1 : top + PIXELS, left : left + PIXELS - 1] = _ROBOT
        if ball:
            picture[top : top + 2, left + 1 : left + 3] = _BALL
    return np.clip(pictures * exposures[:, None, None, None], 0, 255).astype(np.uint8)


def exposures(seed: int, spread: float) -> Array:
    """Return the exposure in each state, (S,): e to a normal number of that spread, one for each place."""
    of_place = np.exp(spread * np.random.default_rng([7, seed]).normal(size=SIDE * SIDE))
    return np.repeat(of_place, 2)


def says(row: int, column: int, ball: int) -> list[str]:
    """Return sentences that are true in a state."""
    far = row + column
    where = ("at the flag", "next to the flag", "near the flag", "far from the flag", "in the other corner")[
        0 if far == 0 else 1 if far == 1 else 2 if far <= 3 else 3 if far < FARTHEST else 4
    ]
    what = "with the ball" if ball else "without the ball"
    return [f"the robot is {where}", f"the robot is {what}", f"the robot is {where} {what}", BASELINE]


def material(seed: int, spread: float = 0.1, rounds: int = 8) -> Material:
    """Return every state under ``rounds`` draws of exposures."""
    pictures = [draw(exposures(1000 * seed + number, spread)) for number in range(rounds)]
    return Material(np.concatenate(pictures), [says(*state) for _ in pictures for state in STATES])
