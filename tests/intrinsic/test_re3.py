"""RE3: against its paper in plain loops, a sample of the run that stays as large as it is, and what it pays where."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from intrinsic_reference import neighbour_distances
from rollout_reference import paid_walk, rollout

from shapegym.shaping import RE3, NeighbourDistance, RewardEngine, Sight
from shapegym.shaping.transitions import Spec, Transitions


@pytest.mark.parametrize(("neighbours", "memory"), [(1, 2), (3, 9), (3, 2048)])
def test_distances_are_those_of_plain_loops(neighbours: int, memory: int) -> None:
    done = rollout(NeighbourDistance(Sight(), neighbours, memory), steps=60)
    expected = np.array(neighbour_distances(done.after, done.active, neighbours, max(memory // 3, 1), 0))
    np.testing.assert_allclose(done.parts["neighbour_distance"], expected, rtol=1e-15)


def test_a_random_encoder_measures_the_distance_which_is_divided_by_its_deviation_so_far() -> None:
    done = rollout(RE3(width=3, hidden=8), steps=20)
    encoder = done.models["random_encoder"]
    codes = np.stack([encoder.evaluate("encoder", rows.astype(np.float32)) for rows in done.after])
    expected = np.array(neighbour_distances(codes, done.active, 3, 2048 // 3, 0))
    np.testing.assert_allclose(done.parts["neighbour_distance"], expected, rtol=1e-5)
    last = expected[-1] / expected[done.active].std()
    np.testing.assert_allclose(done.parts["re3"][-1][done.active[-1]], last[done.active[-1]], rtol=1e-5)


def test_where_the_run_has_seldom_been_is_worth_more() -> None:
    paid = paid_walk(NeighbourDistance(Sight(), neighbours=1), [0, 1, 2, 1, 2, 1, 2, 3])
    assert paid[2:6].max() == 0.0
    assert paid[6] == pytest.approx(np.log1p(np.sqrt(2.0)))


def test_the_sample_is_of_all_of_the_run() -> None:
    engine = RewardEngine(
        NeighbourDistance(Sight(), memory=40),
        Spec(2, gym.spaces.Box(-np.inf, np.inf, (1,)), gym.spaces.Discrete(2)),
    )
    no = np.zeros(2, dtype=bool)
    for t in range(2000):
        states = np.full((2, 1), float(t))
        engine.measure(Transitions(states, np.zeros(2, int), states, np.zeros(2), no, no, no | (t == 0), ~no))
    remembered = np.unique(engine.states[0]["memory"])
    assert engine.states[0]["memory"].shape == (1, 40)
    assert 600 < np.median(remembered) < 1400
    assert remembered.min() < 300
    assert remembered.max() > 1700


def test_a_stored_state_is_worth_its_distance_to_the_sample_of_now() -> None:
    term = NeighbourDistance(Sight(), neighbours=1, memory=8)
    engine = RewardEngine(term, Spec(2, gym.spaces.Box(-9.0, 9.0, (1,)), gym.spaces.Discrete(2)))
    no = np.zeros(2, dtype=bool)

    def at(*places: float) -> Transitions:
        states = np.array(places, dtype=np.float64)[:, None]
        return Transitions(states, np.zeros(2, int), states, np.zeros(2), no, no, no, ~no)

    for step in (at(0, 1), at(3, 3), at(5, 5)):
        engine.measure(step)
    np.testing.assert_allclose(engine.remeasure(at(1, 7), np.zeros((1, 2)))[0], np.log1p([0.0, 4.0]))
