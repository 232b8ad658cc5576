"""What every bonus makes of input that nobody hopes for: found by walking the nodes, so a new one joins by its examples."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from shapegym.shaping.arrays import flatten
from shapegym.shaping.errors import ShapingError
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.intrinsic.bonus import Bonus
from shapegym.shaping.testing import examples
from shapegym.shaping.testing.scripted import ScriptedEnv
from shapegym.shaping.transitions import Spec, Transitions
from shapegym.shaping.types import NODES, Expression

BONUSES = [
    pytest.param(example.node, id=f"{name}-{number}")
    for name, shown in examples().items()
    if issubclass(NODES[name], Bonus)
    for number, example in enumerate(shown)
    if example.observation == "box"
]
SPACE = gym.spaces.Box(-1.0, 1.0, (3,), np.float32)
ACTIONS = gym.spaces.Discrete(3)


def _step(states: np.ndarray, first: bool, terminated: bool = False) -> Transitions:
    lanes = len(states)
    no = np.zeros(lanes, dtype=bool)
    features = {name: np.zeros((lanes, 2), np.int64) for name in ("agent_pos", "goal_pos")}
    arrays = (np.zeros(lanes, int), states, np.zeros(lanes))
    return Transitions(states, *arrays, no | terminated, no, no | first, ~no, features, features)


def _engine(bonus: Expression, lanes: int, **options: int | None) -> RewardEngine:
    return RewardEngine(bonus, Spec(lanes, SPACE, ACTIONS, ScriptedEnv().features), **options)


@pytest.mark.parametrize("bonus", BONUSES)
@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize("every_step_ends", [False, True])
def test_constant_states_are_paid_finite_numbers_in_memory_that_does_not_grow(
    bonus: Expression, lanes: int, every_step_ends: bool
) -> None:
    engine = _engine(bonus, lanes, learn_every=16)
    states = np.full((lanes, 3), 0.5, np.float32)
    paid, sizes = [], []
    for t in range(96):
        shaped, _, _ = engine.step(_step(states, t == 0 or every_step_ends, every_step_ends))
        paid.append(shaped)
        if t % 16 == 15:
            sizes.append(sum(np.size(leaf) for leaf in flatten(engine.state_dict()).values()))
    assert np.isfinite(paid).all()
    assert sizes[-1] <= sizes[-3]


@pytest.mark.parametrize("bonus", BONUSES)
def test_numbers_that_are_none_are_a_typed_error(bonus: Expression) -> None:
    engine = _engine(bonus, 2, learn_every=4)
    states = np.zeros((2, 3), np.float32)
    engine.step(_step(states, True))
    states[1] = np.nan
    with pytest.raises(ShapingError):
        engine.step(_step(states, False))


@pytest.mark.parametrize(
    "bonus", [kind for kind in NODES.values() if issubclass(kind, Bonus)], ids=lambda kind: kind.__name__
)
def test_a_dict_without_a_choice_is_a_typed_error(bonus: type[Bonus]) -> None:
    dictionary = ScriptedEnv("dict").observation_space
    with pytest.raises(ShapingError, match="obs"):
        RewardEngine(bonus(), Spec(2, dictionary, ACTIONS))  # type: ignore[call-arg]  # a method has defaults
