"""Pseudo-counts and NGU: against the paper in plain loops, and what they pay where."""

from __future__ import annotations

import numpy as np
import pytest
from intrinsic_reference import distillation_errors, kernel_counts, lifetime_factor
from rollout_reference import paid_walk, rollout

from shapegym.shaping import NGU, KernelCount, PseudoCounts, Sight
from shapegym.shaping.kernels.neighbours import pseudo_counts


@pytest.mark.parametrize(("neighbours", "memory"), [(1, 3), (4, 5), (10, 512)])
def test_pseudo_counts_are_those_of_plain_loops_to_the_last_bit(neighbours: int, memory: int) -> None:
    done = rollout(KernelCount(Sight(), neighbours, memory), steps=60)
    expected = np.array(kernel_counts(done.before, done.after, done.first, done.active, neighbours, memory))
    np.testing.assert_array_equal(done.parts["kernel_count"][done.active], expected[done.active])
    assert len(pseudo_counts.signatures) == 1


def test_long_codes_and_long_episodes_are_searched_to_the_end() -> None:
    generator = np.random.default_rng(0)
    states = np.cumsum(generator.normal(size=(300, 20)), axis=0).astype(np.float32)
    states[200:260] = states[20:80]
    first = np.arange(299)[:, None] == 0
    expected = np.array(
        kernel_counts(states[:-1, None], states[1:, None], first, np.ones_like(first), 10, 250)
    )
    paid = paid_walk(KernelCount(Sight(), memory=250), states.astype(np.float64))
    np.testing.assert_array_equal(paid, expected[:, 0])


def test_codes_that_come_again_are_worth_one_by_the_root_of_their_number() -> None:
    rarely = np.tile(np.arange(1, 7), 3)  # each state three times
    paid = paid_walk(KernelCount(Sight()), [0, *rarely])
    assert paid[:6].min() > 10.0
    np.testing.assert_allclose(paid[6:12], 1.0, rtol=0.01)
    np.testing.assert_allclose(paid[12:], 1.0 / np.sqrt(2.0), rtol=0.01)


def test_what_an_episode_no_longer_remembers_is_new_again() -> None:
    walk = [0, 1, 2, 3, 4, 5, 6, 1]
    forgotten, remembered = (paid_walk(KernelCount(Sight(), memory=places), walk)[-1] for places in (4, 512))
    assert remembered < 1.1
    assert forgotten > 10.0


def test_a_rollout_is_paid_by_both_factors() -> None:
    done = rollout(NGU(neighbours=3, width=3, hidden=8, largest=1.5))
    networks = done.models["distillation"]
    errors = np.array(
        [distillation_errors(networks["fixed"], networks["trained"], rows) for rows in done.after]
    )
    episodic = np.array(kernel_counts(*done.codes("inverse_dynamics"), done.first, done.active, 3, 512))
    lifetime = np.array(lifetime_factor(errors, done.active, 1.5))
    assert 1.0 == lifetime.min() < lifetime.max() == 1.5
    expected = (episodic * lifetime)[done.active]
    np.testing.assert_allclose(done.parts["ngu"][done.active], expected, rtol=1e-3)


def test_pseudo_counts_alone_are_the_episodic_factor() -> None:
    both, one = NGU(width=3, hidden=8), PseudoCounts(width=3, hidden=8)
    assert one.raw in both.raw.of
    assert one.inputs == (one.raw,)  # nothing is scaled
