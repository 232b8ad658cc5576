"""NovelD: against its paper in plain loops, and what it pays where."""

from __future__ import annotations

import math
from itertools import pairwise

import gymnasium as gym
import numpy as np
import pytest
from intrinsic_reference import noveld
from rollout_reference import rollout

from shapegym.shaping import CountBonus, NovelD, NoveltyGain
from shapegym.shaping.errors import ExpressionError
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.files.reward_files import loads
from shapegym.shaping.intrinsic.rnd import Distillation
from shapegym.shaping.promises import Replay
from shapegym.shaping.transitions import Spec, Transitions
from shapegym.shaping.tree import replay_of

SMALL = NovelD(width=3, hidden=8)


def test_a_rollout_is_paid_as_the_paper_says() -> None:
    done = rollout(SMALL)
    networks = done.models["distillation"]
    expected = np.array(
        noveld(networks["fixed"], networks["trained"], done.before, done.after, done.first, done.active)
    )
    active = done.active
    assert 0.2 < np.mean(expected[active] > 0.0) < 0.8
    np.testing.assert_allclose(done.parts["novel_d"][active], expected[active], rtol=1e-4, atol=1e-6)


def _walk(engine: RewardEngine, cells: list[int]) -> np.ndarray:
    """Pay one lane for walking over ``cells`` of a corridor, in an episode of its own."""
    no = np.zeros(1, dtype=bool)
    for t, (here, there) in enumerate(pairwise(cells)):
        states = (np.eye(8, dtype=np.float32)[[cell]] for cell in (here, there))
        engine.measure(
            Transitions(next(states), np.zeros(1, int), next(states), np.zeros(1), no, no, no | (t == 0), ~no)
        )
    paid: np.ndarray = engine.learn()[engine.term_names.index("novel_d"), :, 0]
    return paid


def test_the_border_of_what_is_known_pays_and_walking_over_it_again_does_not() -> None:
    method = NovelD(width=8, hidden=32, learning_rate=1e-2, share=1.0, epochs=20)
    spec = Spec(1, gym.spaces.Box(0.0, 1.0, (8,)), gym.spaces.Discrete(2))
    engine = RewardEngine(method, spec, learn_every=None)
    for _ in range(5):
        _walk(engine, [0, 1, 2, 3, 2, 1, 0])
    known_2, known_3, border, back, again, beyond = _walk(engine, [1, 2, 3, 4, 3, 4, 5])
    assert border > 5 * max(known_2, known_3)
    assert back == again == 0.0
    assert beyond < border  # from new to new: the novelty of s_t is taken off


def test_stored_transitions_keep_that_they_were_first_visits_and_take_the_novelty_of_now() -> None:
    engine = RewardEngine(SMALL, Spec(1, gym.spaces.Box(0.0, 1.0, (8,)), gym.spaces.Discrete(2)))
    replays = {name: replay_of(term) for name, term in zip(engine.term_names, engine.terms, strict=True)}
    assert replays == {
        "novelty_gain": Replay.FROZEN,
        "count_bonus": Replay.STAMP,
        "novel_d": Replay.FROZEN,
    }


def test_a_gain_needs_a_model_that_judges_both_states() -> None:
    with pytest.raises(ExpressionError, match="both=True"):
        NoveltyGain(Distillation())


def test_reward_files_spell_that_only_first_visits_are_paid() -> None:
    assert loads("reward: {count_bonus: {key: obs, exponent: .inf, scope: episode}}") == CountBonus(
        exponent=math.inf, scope="episode"
    )
