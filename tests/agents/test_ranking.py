"""What RAPID keeps, against plain loops: episodes however rollouts cut them, exactly the best of them, visits within bounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapid_reference import Ranking, ended_episodes

from shapegym.agents.algorithms.ranking.best import BestEpisodes, Weights
from shapegym.agents.algorithms.ranking.steps import Episodes, OpenEpisodes, Steps
from shapegym.agents.algorithms.ranking.visits import (
    count,
    digests,
    distinct,
    no_visits,
    require_table,
    visits,
)
from shapegym.shaping.kernels.counts import digest

WEIGHTS = (1.0, 0.1, 0.05)


def steps_of(numbers: np.ndarray, rewards: np.ndarray | None = None) -> Steps:
    """Steps that are told apart by a number, which is the observation, the action and the state."""
    paid = np.zeros(numbers.shape) if rewards is None else rewards
    obs = {"number": numbers[..., None].astype(np.float32)}
    return Steps(obs, numbers[..., None], numbers.astype(np.uint64), paid)


def episodes_of(drawn: list[tuple[list[int], list[float]]]) -> Episodes:
    states = np.array([state for each, _ in drawn for state in each], dtype=np.int64)
    rewards = np.array([reward for _, each in drawn for reward in each])
    return Episodes(steps_of(states, rewards), np.array([len(each) for each, _ in drawn], dtype=np.int64))


@given(
    seed=st.integers(0, 2**32 - 1),
    lanes=st.integers(1, 4),
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=8),
    longest=st.integers(1, 9),
    ends=st.floats(0, 0.6),
)
def test_episodes_are_those_of_plain_loops_wherever_rollouts_are_cut(seed, lanes, lengths, longest, ends):
    rng = np.random.default_rng(seed)
    total = sum(lengths)
    last = rng.random((total, lanes)) < ends
    first = np.vstack([rng.random((1, lanes)) < 0.5, last[:-1]])
    first |= rng.random((total, lanes)) < 0.03  # abandoned by a reset
    numbers = np.arange(total * lanes).reshape(total, lanes)
    window, found, made = OpenEpisodes.none(steps_of(numbers)), [], 0
    for length in lengths:
        rows = slice(made, made + length)
        made += length
        window, ended = window.extended(steps_of(numbers[rows]), first[rows], last[rows], longest, made)
        assert len(window.steps) < longest
        cuts = np.cumsum(ended.lengths)[:-1]
        found += [piece.tolist() for piece in np.split(ended.steps.actions[:, 0], cuts) if len(piece)]
        np.testing.assert_array_equal(ended.steps.obs["number"], ended.steps.actions)
    expected = ended_episodes(first.tolist(), last.tolist(), longest)
    assert found == [[int(numbers[step]) for step in episode] for episode in expected]


EPISODE = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from([0.0, 0.0, 0.5, 1.0])), min_size=1, max_size=6
).map(lambda rows: ([state for state, _ in rows], [paid for _, paid in rows]))


@given(
    rollouts=st.lists(st.lists(EPISODE, max_size=5), min_size=1, max_size=8),
    size=st.integers(6, 30),
    weights=st.sampled_from([WEIGHTS, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)]),
)
def test_the_buffer_keeps_exactly_the_best(rollouts, size, weights):
    reference, table = Ranking(*weights, size), no_visits()
    best = BestEpisodes.none(steps_of(np.zeros(0, np.int64)))
    for drawn in rollouts:
        ended = episodes_of(drawn)
        count(table, ended.steps.keys)
        best = best.with_more(ended, Weights(*weights), table, size)
        reference.add(drawn)
        assert len(best.episodes.steps) <= size
        scores = [reference.score(states, paid) for _, states, paid in reference.kept]
        np.testing.assert_allclose(best.scores, scores)
        assert best.episodes.steps.keys.tolist() == [s for _, states, _ in reference.kept for s in states]
    assert table["size"] == len(reference.counts)
    require_table(table)


def test_of_equals_the_latest_are_kept():
    table, size = no_visits(), 4
    best = BestEpisodes.none(steps_of(np.zeros(0, np.int64)))
    for state in range(4):
        ended = episodes_of([([state, state], [0.0, 1.0])])
        count(table, ended.steps.keys)
        best = best.with_more(ended, Weights(1.0, 0.1, 0.001), table, size)
    assert best.episodes.steps.keys.tolist() == [2, 2, 3, 3]


@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=5), min_size=1, max_size=5))
def test_different_states_are_counted_within_each_episode(episodes):
    keys = np.array([state for each in episodes for state in each], dtype=np.uint64)
    found = distinct(keys, np.array([len(each) for each in episodes]))
    assert found.tolist() == [len(set(each)) for each in episodes]


def test_a_full_table_counts_what_it_knows_and_takes_the_rest_for_new():
    table = no_visits()
    count(table, np.arange(5, dtype=np.uint64), most=6)
    count(table, np.array([3, 9, 3], dtype=np.uint64), most=6)
    assert visits(table, np.array([0, 3, 9], dtype=np.uint64)).tolist() == [1, 3, 1]
    assert table["size"] == 5
    require_table(table)


@pytest.mark.parametrize(
    "damage",
    [
        {"size": 7},
        {"counts": np.ones(64, np.int64)},
        {"counts": np.zeros(63, np.int64), "keys": np.zeros((63, 2), np.uint64)},
        {"keys": np.zeros((64, 1), np.uint64)},
        {"counts": np.full(64, -1)},
        {"more": 1},
    ],
)
def test_a_table_that_nobody_made_is_refused(damage):
    with pytest.raises(ValueError, match="is none"):
        require_table({**no_visits(), **damage})


def test_digests_tell_keys_apart_and_compile_once():
    words = np.random.default_rng(0).integers(0, 3, (4000, 3)).astype(np.uint64)
    found = digests(words)
    assert len(np.unique(found)) == len(np.unique(words, axis=0)) == 27
    np.testing.assert_array_equal(digests(words[:1]), found[:1])
    assert len(digest.signatures) == 1
