"""The choice among ways to do the same work, with made-up times and no clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import cycle, pairwise

import pytest

from shapegym import fastest
from shapegym.fastest import Fastest


def spend(choice: Fastest[int], seconds: float, cost: Callable[[int], float]) -> Counter[int]:
    """Work for as long as that; returns the seconds that went into each way."""
    spent: Counter[int] = Counter()
    while spent.total() < seconds:
        way = choice.way
        spent[way] += cost(way)
        choice.took(cost(way))
    return spent


def costs(**of: float) -> Callable[[int], float]:
    table = {int(way.lstrip("w")): seconds for way, seconds in of.items()}
    return table.__getitem__


IDLE, LOADED = costs(w2=1e-3, w1=1.6e-3), costs(w2=4e-2, w1=5e-3)


def test_the_first_way_is_used_at_first_and_as_long_as_none_is_faster() -> None:
    choice = Fastest([2, 1])
    assert choice.way == 2
    spend(choice, 1, IDLE)
    assert spend(choice, 100, IDLE)[2] > 99


def test_a_faster_way_is_found_within_few_calls_and_kept() -> None:
    choice = Fastest([2, 1])
    assert spend(choice, 1, LOADED)[1] > 0.7
    assert spend(choice, 60, LOADED)[1] > 0.95 * 60


@pytest.mark.parametrize(("before", "after", "best"), [(IDLE, LOADED, 1), (LOADED, IDLE, 2)])
def test_a_change_of_the_machine_is_followed(
    before: Callable[[int], float], after: Callable[[int], float], best: int
) -> None:
    choice = Fastest([2, 1])
    spend(choice, 60, before)
    spend(choice, fastest.PATIENCE + 1, after)
    assert spend(choice, 20, after)[best] > 19


def test_what_the_way_in_use_shows_of_a_change_is_acted_on_at_once() -> None:
    choice = Fastest([2, 1])
    spend(choice, 60, IDLE)
    assert spend(choice, 3, LOADED)[1] > 1.5  # 3 s are less than the patience by then


def test_small_differences_change_nothing() -> None:
    choice = Fastest([2, 1])
    assert spend(choice, 60, costs(w2=1e-3, w1=0.95e-3))[2] > 55


def test_every_way_is_tried() -> None:
    choice = Fastest([8, 4, 2, 1])
    spend(choice, 3, costs(w8=4e-3, w4=3e-3, w2=1e-3, w1=2e-3))
    assert choice.way == 2


def test_trials_become_rarer_to_the_end_of_patience() -> None:
    choice, at, trials = Fastest([2, 1]), 0.0, []
    while at < 100:
        way = choice.way
        choice.took(IDLE(way))
        at += IDLE(way)
        if choice.way == 1 and way == 2:
            trials.append(at)
    pauses = [later - sooner for sooner, later in pairwise(trials)]
    assert pauses == pytest.approx(sorted(pauses))
    assert pauses[0] < 2
    assert pauses[-1] == pytest.approx(fastest.PATIENCE, rel=0.05)


def test_a_lost_trial_is_given_up() -> None:
    choice = Fastest([2, 1])
    while choice.way == 2:
        choice.took(IDLE(2))
    tried = 0
    while choice.way == 1:
        tried += 1
        choice.took(2.0)
    assert tried == 2  # one that does not count, and one that took longer than all of a winner's would have


def test_a_head_start_that_threads_have_after_a_sleep_deceives_for_a_moment_only() -> None:
    choice, awake, spent = Fastest([1, 2]), 0.0, Counter[int]()
    while spent.total() < 60:
        way = choice.way
        awake = awake if way == 2 else 0.0
        seconds = 4e-3 if way == 1 else 2.5e-4 if awake < 0.012 else 0.1
        awake += seconds
        spent[way] += seconds
        choice.took(seconds)
        assert awake < 0.5
    assert spent[1] > 0.95 * 60


def test_the_first_call_of_a_way_counts_for_nothing() -> None:
    def cost_of(first: float) -> Iterable[float]:
        yield first
        yield from cycle([1e-3])

    slow_start, choice = cost_of(5.0), Fastest([2, 1])
    for seconds, _ in zip(slow_start, range(2_000), strict=False):
        choice.took(seconds if choice.way == 2 else 2e-3)
    assert choice.way == 2


def test_the_same_times_lead_to_the_same_choices() -> None:
    def ways() -> list[int]:
        choice, found = Fastest([4, 2, 1]), []
        for call in range(20_000):
            found.append(choice.way)
            choice.took((1 + call * 7919 % 13) * 1e-4 / choice.way)
        return found

    assert ways() == ways()


def test_one_way_alone_is_used() -> None:
    choice = Fastest([1])
    assert spend(choice, 20, costs(w1=0.01)) == {1: pytest.approx(20, abs=0.02)}


def test_calls_that_take_no_time_do_no_harm() -> None:
    choice = Fastest([2, 1])
    for _ in range(100):
        choice.took(0.0)
    assert choice.way == 2
