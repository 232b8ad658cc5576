"""E3B: against its paper in plain loops, and what an ellipse pays."""

from __future__ import annotations

import numpy as np
from intrinsic_reference import elliptical
from rollout_reference import paid_walk, rollout

from shapegym.shaping import E3B, EllipticalNovelty, Sight
from shapegym.shaping.kernels.elliptical import elliptical as kernel
from shapegym.shaping.models.encoder import RandomEncoder


def test_the_ellipse_is_that_of_plain_loops_to_the_last_bit() -> None:
    done = rollout(EllipticalNovelty(Sight(), ridge=0.3))
    expected = np.array(elliptical(done.before, done.after, done.first, done.active, 0.3))
    np.testing.assert_array_equal(done.parts["elliptical_novelty"][done.active], expected[done.active])
    assert len(kernel.signatures) == 1


def test_updates_by_one_rank_are_the_inverse_of_the_sum() -> None:
    done = rollout(EllipticalNovelty(Sight()), steps=60)
    for lane in range(done.first.shape[1]):
        for t in np.flatnonzero(done.active[:, lane]):
            if done.first[t, lane]:
                start = done.before[t, lane]
                covariance = 0.1 * np.eye(3) + np.outer(start, start)
            phi = done.after[t, lane]
            paid = done.parts["elliptical_novelty"][t, lane]
            np.testing.assert_allclose(paid, phi @ np.linalg.inv(covariance) @ phi, rtol=1e-9)
            covariance = covariance + np.outer(phi, phi)


def test_a_rollout_is_paid_by_learned_codes_over_the_deviation_of_the_bonus() -> None:
    done = rollout(E3B(width=3, hidden=8))
    raw = np.array(elliptical(*done.codes("inverse_dynamics"), done.first, done.active, 0.1))[done.active]
    np.testing.assert_allclose(done.parts["elliptical_novelty"][done.active], raw, rtol=1e-5)
    np.testing.assert_allclose(done.parts["e3b"][done.active], raw / raw.std(), rtol=1e-5)


def test_of_one_hot_codes_it_is_a_count() -> None:
    paid = paid_walk(EllipticalNovelty(Sight(), ridge=1.0), [0, 1, 2, 1, 1, 3, 0])
    np.testing.assert_allclose(paid, [1, 1, 1 / 2, 1 / 3, 1, 1 / 2])


def test_a_model_of_one_side_has_no_code_of_the_first_state() -> None:
    paid = paid_walk(EllipticalNovelty(RandomEncoder(width=3, hidden=8)), [1, 1, 1, 2])
    assert paid[0] > 3 * paid[1]


def test_a_direction_that_was_seen_is_worth_less_and_a_new_one_as_much_as_ever() -> None:
    states = np.array([[0, 0, 0], [2, 0, 0], [1, 0, 0], [0, 0, 1]], dtype=np.float64)
    _, along, across = paid_walk(EllipticalNovelty(Sight()), states)
    assert along < 0.3
    assert across == 10.0
