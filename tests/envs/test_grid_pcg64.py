"""The random streams of grid worlds: NumPy's Generator, number by number and word by word."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium.utils import seeding
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pcg64_reference import Pcg64

from shapegym.envs.grid.lane.pcg64 import (
    BUFFER,
    STREAM_WORDS,
    integers,
    interval,
    next_uint32,
    pack_stream,
    seed_stream,
    shuffle,
)

seeds = st.integers(0, 2**64)
spans = (
    st.integers(1, 40)
    | st.integers(1, 2**32 - 2)
    | st.sampled_from([2**k + d for k in range(1, 32) for d in (-1, 0, 1)] + [2**32 - 2, 3 * 2**30])
)
lows = st.integers(-(2**31), 2**31)
# One use of a stream: ("integers", low, span), ("choice", low, span) from a range, or ("shuffle", items).
uses = st.one_of(
    st.tuples(st.just("integers"), lows, spans),
    st.tuples(st.just("choice"), lows, st.integers(1, 20)),
    st.tuples(st.just("shuffle"), st.integers(0, 40)),
)


def generator_stream(rng: np.random.Generator) -> NDArray[np.uint64]:
    return pack_stream(rng.bit_generator.state)


@given(seed=seeds, mixture=st.lists(uses, min_size=1, max_size=60))
def test_a_mixture_of_draws_equals_numpy(seed: int, mixture: list[tuple]) -> None:
    rng, stream = np.random.default_rng(seed), seed_stream(seed)
    for use, *arguments in mixture:
        if use == "shuffle":
            values = np.arange(*arguments)
            shuffled = values.tolist()
            shuffle(stream, values, len(values))
            rng.shuffle(shuffled)
            assert values.tolist() == shuffled
        else:
            low, span = arguments
            high = low + span
            drawn = rng.integers(low, high) if use == "integers" else rng.choice(range(low, high))
            assert integers(stream, low, high) == drawn
        np.testing.assert_array_equal(stream, generator_stream(rng))


@given(seed=seeds, low=lows, span=spans)
@example(seed=0, low=0, span=2**31)
@example(seed=0, low=0, span=2**31 + 1)  # rejects every second draw
@example(seed=0, low=-5, span=2**32 - 2)
def test_many_integers_of_one_range_equal_numpy(seed: int, low: int, span: int) -> None:
    rng, stream = np.random.default_rng(seed), seed_stream(seed)
    drawn = [integers(stream, low, low + span) for _ in range(50)]
    assert drawn == [rng.integers(low, low + span) for _ in range(50)]
    np.testing.assert_array_equal(stream, generator_stream(rng))


@given(seed=seeds, maximum=st.integers(0, 2**31))
def test_interval_stays_within_its_bounds_and_equals_the_reference(seed: int, maximum: int) -> None:
    stream, reference = seed_stream(seed), Pcg64(seed)
    for _ in range(20):
        value = interval(stream, maximum)
        assert 0 <= value <= maximum
        assert value == reference.interval(maximum)


@given(seed=seeds, low=lows, span=spans, items=st.integers(0, 30))
def test_the_reference_equals_numpy_and_the_kernels(seed: int, low: int, span: int, items: int) -> None:
    rng, stream, reference = np.random.default_rng(seed), seed_stream(seed), Pcg64(seed)
    assert [reference.uint64() for _ in range(3)] == np.random.PCG64(seed).random_raw(3).tolist()
    reference = Pcg64(seed)
    for _ in range(10):
        ours, theirs = reference.integers(low, low + span), rng.integers(low, low + span)
        assert ours == theirs == integers(stream, low, low + span)
    expected, shuffled, values = list(range(items)), list(range(items)), np.arange(items)
    rng.shuffle(expected)
    reference.shuffle(shuffled)
    shuffle(stream, values, items)
    assert shuffled == expected == values.tolist()
    bits = rng.bit_generator.state
    assert (reference.state, reference.increment) == (bits["state"]["state"], bits["state"]["inc"])


@given(seed=seeds)
def test_a_seed_means_what_gymnasium_says(seed: int) -> None:
    rng, used = seeding.np_random(seed)
    assert used == seed
    np.testing.assert_array_equal(seed_stream(seed), generator_stream(rng))


def test_without_a_seed_streams_differ() -> None:
    one, other = seed_stream(None), seed_stream(None)
    assert one.shape == (STREAM_WORDS,)
    assert one.dtype == np.uint64
    assert (one != other).any()


@given(seed=seeds, draws=st.integers(0, 5))
def test_a_buffered_half_is_packed_and_used(seed: int, draws: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(draws):
        rng.integers(0, 7)
    bits = rng.bit_generator.state
    stream = generator_stream(rng)
    assert (stream[BUFFER] != 0) == bool(bits["has_uint32"])
    if bits["has_uint32"]:
        assert next_uint32(stream.copy()) == bits["uinteger"]
    halves = rng.integers(0, 2**32, 9, dtype=np.uint32)
    assert [next_uint32(stream) for _ in range(9)] == halves.tolist()


@pytest.mark.parametrize("buffered", [False, True])
def test_a_half_of_zero_counts_as_buffered(buffered: bool) -> None:
    state = np.random.PCG64(0).state
    state["has_uint32"], state["uinteger"] = int(buffered), 0
    bits = np.random.PCG64()
    bits.state = state
    rng, stream = np.random.Generator(bits), pack_stream(state)
    assert [integers(stream, 0, 1000) for _ in range(4)] == rng.integers(0, 1000, 4).tolist()


def test_a_single_value_consumes_nothing() -> None:
    stream = seed_stream(5)
    before = stream.copy()
    values = np.array([3])
    assert integers(stream, 7, 8) == 7
    assert interval(stream, 0) == 0
    shuffle(stream, values, 1)
    np.testing.assert_array_equal(stream, before)


def test_a_second_call_compiles_nothing() -> None:
    kernels = (next_uint32, integers, interval, shuffle)

    def call(seed: int) -> None:
        stream, values = seed_stream(seed), np.arange(5)
        next_uint32(stream)
        integers(stream, -seed, seed)
        interval(stream, seed)
        shuffle(stream, values, len(values))

    call(3)
    before = [len(kernel.signatures) for kernel in kernels]
    call(2**31)
    assert [len(kernel.signatures) for kernel in kernels] == before
