"""How far a reward by similarity is from what is wanted, on the yard: STARC distances by the strength of the projection.

In the synthetic encoder, codes are sums of random directions: one for the scene, which is in every picture and sentence; one each
for being far, for being at the flag and for the ball; and noise. The nuisance is how much of the scene a picture shows, as under
another exposure, and depends on the place. The trained encoder sees the yard drawn, under exposures that vary so or more than
those that it learned from.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shapegym.experiments.pictured import yard
from shapegym.shaping.audit.exact import starc
from shapegym.shaping.similarity.encoder import unit
from shapegym.shaping.similarity.goal import similarity

Array = NDArray[np.float64]

ALPHAS = tuple(round(0.1 * tenth, 1) for tenth in range(11))
GAMMA = 0.95
WIDTH, CLUTTER, MISSAID = 64, 1.0, 0.3
"""Of the synthetic encoder: numbers in a code, and the lengths of what else a picture shows and of what sentences say wrongly."""

SIZES = ((2, 4), (6, 12), (16, 32))
"""Of the trained encoder: channels and numbers in a code."""
STEPS, NUISANCES = 400, (0.1, 0.4, 0.8)
"""Of its training, and the spreads of exposures under which it is used; the first is that of training."""


class Draw(NamedTuple):
    """A synthetic encoder: its seed, and how much the share of the scene varies."""

    seed: int
    nuisance: float


class Trained(NamedTuple):
    """A trained encoder: its seed, size and steps of training, and the spreads of exposures under which it is used."""

    seed: int
    channels: int
    width: int
    steps: int
    nuisances: tuple[float, ...]


def synthetic(draw: Draw) -> list[float]:
    """Return the distance of the similarity from what is wanted by alpha, 11 numbers."""
    rng = np.random.default_rng(draw.seed)

    def directions(count: int) -> Array:
        return rng.normal(size=(count, WIDTH)) / np.sqrt(WIDTH)

    scene, flag, far, ball = directions(4)
    shown = 1.0 + draw.nuisance * rng.normal(size=(len(yard.STATES), 1))
    content = (
        np.outer(yard.NEARNESS, flag) + np.outer(1.0 - yard.NEARNESS, far) + np.outer(yard.CARRIES, ball)
    )
    codes = shown * scene + content + CLUTTER * directions(len(yard.STATES))
    goal, baseline = scene + flag + ball, scene + far
    wrong = MISSAID * directions(2)
    return by_alpha(
        np.array([unit(code) for code in codes]), unit(goal + wrong[0]), unit(baseline + wrong[1])
    )


def trained(encoder: Trained) -> list[list[float]]:
    """Train an encoder and return distances by nuisance and alpha, (nuisances, 11)."""
    import torch

    from shapegym.shaping.similarity.towers import bag_of, train

    plan, towers = train(
        *yard.material(encoder.seed),
        channels=encoder.channels,
        width=encoder.width,
        steps=encoder.steps,
        seed=encoder.seed,
    )
    places = {word: place for place, word in enumerate(plan.vocabulary)}
    with torch.no_grad():
        bags = torch.from_numpy(np.stack([bag_of(said, places) for said in (yard.GOAL, yard.BASELINE)]))
        goal, baseline = (unit(code) for code in towers.read(bags).numpy())
        seen = [
            towers.see(torch.from_numpy(yard.draw(yard.exposures(encoder.seed, spread)))).numpy()
            for spread in encoder.nuisances
        ]
    return [by_alpha(np.array([unit(code) for code in codes]), goal, baseline) for codes in seen]


def by_alpha(codes: Array, goal: Array, baseline: Array) -> list[float]:
    """Return STARC distances (VAL) of the similarity of the state reached from what is wanted there, by alpha."""
    along = unit(goal - baseline)
    return [distance(np.array([similarity(code, goal, along, alpha) for code in codes])) for alpha in ALPHAS]


def distance(values: Array) -> float:
    """Return the STARC distance of a value of the state reached, (S,), from what is wanted there."""
    P = _transitions()
    paid, wanted = (np.broadcast_to(each, P.shape) for each in (values, yard.WANTED))
    return float(starc(P, paid, wanted, GAMMA))


@cache
def _transitions() -> Array:
    return yard.transitions()
