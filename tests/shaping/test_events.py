"""Events, comparisons and milestones: equal to plain Python over random streams, blind to inactive rows."""

from __future__ import annotations

import events_reference as reference
import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stream_reference import episodes, random_stream

from shapegym.shaping.algebra import Constant, TaskReward
from shapegym.shaping.combinators.elementwise import when
from shapegym.shaping.combinators.gate import gate
from shapegym.shaping.errors import ExpressionError, FeatureError, NonFiniteError, ObservationError
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.kernels import events as kernels
from shapegym.shaping.promises import Guarantee, Keeps, Replay
from shapegym.shaping.terms.events import Compare, Event, Milestones
from shapegym.shaping.terms.potential import Potential
from shapegym.shaping.transitions import Spec, Transitions
from shapegym.shaping.tree import guarantee_of

BOX = gym.spaces.Box(-9, 9, (3,))


def bind(expression, lanes: int, features=None) -> RewardEngine:
    return RewardEngine(expression, Spec(lanes, BOX, gym.spaces.Discrete(2), features, gamma=0.9))


def id_step(before, now, dtype=np.int64) -> Transitions:
    lanes = len(now)
    no, nothing = np.zeros(lanes, dtype=bool), np.zeros((lanes, 3))
    ids = ({"event": np.array(x, dtype=dtype)} for x in (before, now))
    return Transitions(nothing, no, nothing, np.zeros(lanes), no, no, no, ~no, *ids)


IDS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=8)


@given(
    IDS, st.floats(-2, 2), st.sampled_from(["level", "rise", "change"]), st.sampled_from([None, 0, 1, 2.0])
)
def test_events_equal_plain_python(pairs, value, trigger, equals):
    before, now = zip(*pairs, strict=True)
    term = Event("features.event", value, trigger, equals)
    got = term.measure(id_step(before, now), {})
    np.testing.assert_array_equal(got, [reference.event(b, n, value, trigger, equals) for b, n in pairs])


@given(IDS, st.sampled_from(sorted(reference.OPERATORS)), st.integers(0, 3))
def test_comparisons_equal_plain_python(pairs, op, number):
    before, now = zip(*pairs, strict=True)
    step = id_step(before, now)
    step.next_features["other"] = np.array(before, dtype=np.float32)
    holds = reference.OPERATORS[op]
    got = Compare("features.event", op, number).measure(step, {})
    np.testing.assert_array_equal(got, [float(holds(n, number)) for n in now])
    got = Compare("features.event", op, "features.other").measure(step, {})
    np.testing.assert_array_equal(got, [float(holds(n, b)) for b, n in pairs])


def test_a_comparison_is_a_condition():
    expression = when(Compare("features.event", "==", 2), Constant(5.0), Constant(-1.0))
    rewards, _, _ = bind(expression, 3).step(id_step([0, 0, 0], [1, 2, 3]))
    np.testing.assert_array_equal(rewards, [-1.0, 5.0, -1.0])


@given(st.integers(0, 9999), st.sampled_from([1, 3, 16]), st.booleans())
def test_milestones_equal_plain_python(seed, lanes, ordered):
    stream = random_stream(seed, 40, lanes, end=0.1, idle=0.2)
    term = Milestones(
        tuple(Compare("obs[0]", ">", edge) * value for edge, value in ((-1.0, 0.5), (0.8, 2.0), (0.0, -1.0))),
        ordered,
    )
    engine = bind(term, lanes)
    paid = np.array([engine.step(transitions(step))[0] for step in stream])
    for steps in episodes(stream):
        values = [
            [
                value if stream[t].next_obs[lane, 0] > edge else 0.0
                for edge, value in ((-1.0, 0.5), (0.8, 2.0), (0.0, -1.0))
            ]
            for t, lane in steps
        ]
        np.testing.assert_array_equal(
            [paid[t, lane] for t, lane in steps], reference.milestones(values, ordered)
        )


def transitions(step) -> Transitions:
    return Transitions(
        step.obs,
        step.action,
        step.next_obs,
        step.reward,
        step.terminated,
        step.truncated,
        step.first,
        step.active,
    )


def test_a_milestone_out_of_order_pays_nothing_and_can_still_be_reached():
    key, door = Event("features.event", 1.0, equals=1), Event("features.event", 10.0, equals=2)
    paid = {}
    for ordered in (False, True):
        engine = bind(Milestones((key, door), ordered), 1)
        paid[ordered] = [engine.step(id_step([0], [event]))[0][0] for event in (2, 1, 1, 2, 2)]
    assert paid == {False: [10.0, 1.0, 0.0, 0.0, 0.0], True: [0.0, 1.0, 0.0, 10.0, 0.0]}


def test_inactive_rows_leave_milestones_alone():
    term = Milestones((Event("features.event"),))
    state = term.init(Spec(2, BOX, gym.spaces.Discrete(2)))
    step = id_step([0, 0], [1, 1])
    step.first[:] = True
    step.active[:] = [True, False]
    term.observe(step, state, np.ones(2))
    np.testing.assert_array_equal(state["reached"], [[True], [False]])
    step.active[:] = [False, True]
    term.observe(step, state, np.ones(2))
    np.testing.assert_array_equal(state["reached"], [[True], [True]])


def test_nan_is_reported_not_an_event():
    for term in (
        Event("features.event"),
        Event("features.event", trigger="rise"),
        Event("features.event", trigger="change", equals=1),
        Compare("features.event", "<", 0.0),
    ):
        with pytest.raises(NonFiniteError):
            bind(term, 1).measure(id_step([0], [np.nan], float))
    engine = RewardEngine(
        Milestones((Event("features.event"),)), Spec(1, BOX, gym.spaces.Discrete(2)), on_nonfinite="zero"
    )
    with pytest.warns(RuntimeWarning, match="Counted as 0"):
        engine.measure(id_step([0], [np.nan], float))
    assert engine.measure(id_step([0], [1.0], float))[-1] == 1.0  # not reached by NaN


def test_facts():
    event = Event()
    assert event.reads == ("success",)
    assert event.reads_before == ()
    assert Event(trigger="rise").reads_before == ("success",)
    assert Compare("features.a", ">", "features.b").reads == ("a", "b")
    assert Milestones((event,)).replay is Replay.STAMP
    assert guarantee_of(Event(value=-0.5)) == Guarantee(Keeps.NOTHING, 0.5)
    assert guarantee_of(Compare()) == Guarantee(Keeps.NOTHING, 1.0)
    assert guarantee_of(Milestones((event, 0.5 * event))) == Guarantee(Keeps.NOTHING, 1.5)
    assert guarantee_of(Milestones((event, Potential("obs[0]")))) == Guarantee(Keeps.NOTHING, None)


def test_a_feature_of_several_numbers_is_an_error():
    pair = {"event": gym.spaces.Box(0, 1, (2,))}
    for term in (
        Event("features.event"),
        Compare("features.event"),
        Compare("obs[0]", "<", "features.event"),
    ):
        with pytest.raises(ObservationError, match=r"features\.event\[0\]"):
            bind(term, 1, pair)
        with pytest.raises(ObservationError, match=r"features\.event\[0\]"):
            bind(term, 1).measure(id_step([[0, 0]], [[1, 0]]))
    assert bind(Event("features.event[1]"), 1, pair).measure(id_step([[0, 0]], [[1, 0]]))[0, 0] == 0
    with pytest.raises(FeatureError, match="Did you mean 'event'"):
        bind(Event("features.events"), 1, pair)


@pytest.mark.parametrize(
    "build",
    [
        lambda: Event("success"),
        lambda: Event(value=np.nan),
        lambda: Event(value="1"),
        lambda: Event(trigger="fall"),
        lambda: Event(equals=np.inf),
        lambda: Compare(op="=<"),
        lambda: Compare(to="zero"),
        lambda: Compare(to=np.nan),
        lambda: Milestones(()),
        lambda: Milestones((1.0,)),
        lambda: Milestones((Event(value=0.0),)),
        lambda: Milestones((gate(Constant(1.0), threshold=0.0),)),
        lambda: Milestones(TaskReward()),
    ],
)
def test_bad_hyperparameters_are_named(build):
    with pytest.raises(ExpressionError):
        build()


def test_no_second_compilation():
    engine = bind(Milestones((Event("features.event"), Compare("obs[1]", "<", 0.0))), 2)
    for dtype in (np.int64, np.float32, bool, np.uint8):
        engine.step(id_step([0, 0], [1, 0], dtype))
    Event("features.event", trigger="change").measure(id_step([0, 0], [1, 0]), {})
    assert len(kernels.indicate.signatures) == len(kernels.pay_first_times.signatures) == 1
