"""The engine: screening of parts, inactive rows, binding, hindsight, remeasuring, state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stream_reference import episodes, random_stream

from shapegym.shaping.algebra import TaskReward, clip
from shapegym.shaping.combinators.gate import gate
from shapegym.shaping.errors import (
    DiscountError,
    FeatureError,
    HindsightError,
    NonFiniteError,
    ObservationError,
)
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.kernels import accounting
from shapegym.shaping.promises import Replay
from shapegym.shaping.terms.potential import Potential
from shapegym.shaping.transitions import Episodes, Spec, State, Transitions
from shapegym.shaping.types import Expression, Term

NEARER = Potential("obs[0]", gamma=0.9)


def spec(lanes: int = 3, **options) -> Spec:
    return Spec(lanes, gym.spaces.Box(-9, 9, (3,)), gym.spaces.Discrete(2), **options)


def transitions(lanes: int = 3, **changes) -> Transitions:
    step = random_stream(0, 1, lanes, end=0.0)[0]
    return Transitions(**{**vars(step), **changes})


@pytest.fixture(autouse=True)
def _forget_test_nodes():
    """Terms defined in a test must not join the suites that run over every registered node."""
    from shapegym.shaping.types import NODES

    before = dict(NODES)
    yield
    NODES.clear()
    NODES.update(before)


def visits_term(replay: Replay = Replay.FROZEN) -> Expression:
    """A term that remembers: how many active steps each lane has made."""
    kind = replay

    @dataclass(frozen=True)
    class Visits(Term):
        replay: ClassVar[Replay] = kind

        def init(self, spec: Spec) -> State:
            return {"steps": np.zeros(spec.num_lanes)}

        def observe(self, transitions: Transitions, state: State, *inputs: np.ndarray) -> None:
            state["steps"] += transitions.active

        def measure(self, transitions: Transitions, state: State, *inputs: np.ndarray) -> np.ndarray:
            return np.resize(state["steps"], transitions.num_lanes)

    return Visits()


def test_nan_part_names_term_lane_and_step():
    engine = RewardEngine(TaskReward() + NEARER.named("nearer"), spec())
    engine.step(transitions())
    bad = transitions()
    bad.next_obs = bad.next_obs.copy()
    bad.next_obs[2, 0] = np.nan
    with pytest.raises(NonFiniteError, match=r"Part 'nearer' is nan in lane 2 at global step 3"):
        engine.step(bad)


def test_nonfinite_parts_count_as_zero_with_one_warning():
    engine = RewardEngine(TaskReward() + NEARER, spec(), on_nonfinite="zero")
    bad = transitions()
    bad.next_obs = np.full_like(bad.next_obs, np.inf)
    with pytest.warns(RuntimeWarning, match="'potential' is inf in lane 0"):
        shaped, _, _ = engine.step(bad)
    np.testing.assert_array_equal(shaped, bad.reward)
    engine.step(bad)  # a second warning would be an error in this suite
    assert engine.clock == 6


@pytest.mark.filterwarnings("ignore:overflow")
def test_overflow_in_a_combinator_is_reported_with_the_parts():
    engine = RewardEngine((1e200 * TaskReward()) * (1e200 * TaskReward()), spec())
    with pytest.raises(NonFiniteError, match=r"lane 0 at global step 0 is not finite although every part is"):
        engine.step(transitions(reward=np.full(3, 2.0)))


def test_a_part_must_be_one_number_a_lane():
    @dataclass(frozen=True)
    class Column(Term):
        def measure(self, transitions, state, *inputs):
            return transitions.reward[:, None]

    with pytest.raises(ObservationError, match=r"'column' measured an array of shape \(3, 1\)"):
        RewardEngine(TaskReward() + Column(), spec()).step(transitions())


def test_inactive_rows_are_worth_nothing_and_do_not_move_the_clock():
    engine = RewardEngine(TaskReward() + NEARER, spec())
    shaped, _, _ = engine.step(
        transitions(
            active=np.array([True, False, False]), next_obs=np.full((3, 3), [[1.0], [np.nan], [np.inf]])
        )
    )
    assert shaped[0] != 0
    np.testing.assert_array_equal(shaped[1:], 0.0)
    assert engine.clock == 1


def test_missing_features_are_named_at_binding_time():
    declared = {"agent_pos": gym.spaces.Box(0, 1, (2,)), "success": gym.spaces.Discrete(2)}
    with pytest.raises(
        FeatureError, match=r"'potential' reads the feature 'agent_poss'.*Did you mean 'agent_pos'"
    ):
        RewardEngine(TaskReward() + Potential("features.agent_poss[0]", gamma=0.9), spec(features=declared))


def test_discounts_must_agree():
    with pytest.raises(DiscountError, match=r"gamma=0.9, the agent has gamma=0.99"):
        RewardEngine(NEARER, spec(gamma=0.99))
    with pytest.raises(DiscountError, match="no gamma"):
        RewardEngine(Potential("obs[0]"), spec())
    assert RewardEngine(Potential("obs[0]"), spec(gamma=0.97)).states[0]["gamma"] == 0.97


def test_dict_observations_need_a_selection():
    space = gym.spaces.Dict({"image": gym.spaces.Box(0, 1, (2,)), "mission": gym.spaces.Discrete(3)})
    bound = Spec(1, space, gym.spaces.Discrete(2), gamma=0.9)
    with pytest.raises(
        ObservationError, match=r"ambiguous: select one entry, e.g. 'obs.image'.*entries: image, mission"
    ):
        RewardEngine(Potential("obs"), bound)
    with pytest.raises(ObservationError, match=r"no entry 'imag'. Did you mean 'image'"):
        RewardEngine(Potential("obs.imag[0]"), bound)
    RewardEngine(Potential("obs.image[1]"), bound)


def test_episodic_nodes_need_hindsight():
    engine = RewardEngine(TaskReward() + gate(NEARER, threshold=1.0), spec())
    with pytest.raises(
        HindsightError, match=r"ShapedEnv pays each reward at once, but Gate .*wire.*pay_at_end"
    ):
        engine.require_online("ShapedEnv")
    with pytest.raises(HindsightError):
        engine.step(transitions())


@given(st.integers(0, 1000), st.sampled_from([-np.inf, 0.0, 1.0, 3.0, np.inf]))
def test_pay_at_end_pays_the_episodes_sum_at_its_last_step(seed, threshold):
    stream = random_stream(seed, 25, 3, idle=0.1)
    gated = gate(NEARER, threshold=threshold)
    engine = RewardEngine(TaskReward() + gated, spec(), pay_at_end=True)
    paid = np.stack([engine.step(Transitions(**vars(step)))[1].copy() for step in stream])  # (T, K, B)
    for steps in episodes(stream):
        t_end, lane = steps[-1]
        if not (stream[t_end].terminated[lane] or stream[t_end].truncated[lane]):
            continue
        outcome = sum(stream[t].reward[lane] for t, _ in steps)
        dense = sum(
            0.9 * stream[t].next_obs[lane, 0] * (not stream[t].terminated[lane]) - stream[t].obs[lane, 0]
            for t, _ in steps
        )
        expected = outcome + (dense if outcome >= threshold else 0.0)
        assert paid[t_end, 1, lane] == pytest.approx(expected, abs=1e-12)
        assert all(paid[t, 1, lane] == 0 for t, _ in steps[:-1])
        assert all(paid[t, 0, lane] == stream[t].reward[lane] for t, _ in steps)


@pytest.mark.parametrize("replay", list(Replay))
def test_remeasuring_follows_the_replay_fact_and_changes_nothing(replay):
    engine = RewardEngine(TaskReward() + visits_term(replay), spec())
    stored = transitions()
    parts = engine.measure(stored).copy()
    for _ in range(4):
        engine.measure(transitions())
    before = engine.state_dict()["terms"]["visits"]["steps"].copy()
    again = engine.remeasure(stored, parts)
    expected = 5.0 if replay is Replay.FROZEN else 1.0
    np.testing.assert_array_equal(again[1], expected)
    np.testing.assert_array_equal(again[0], parts[0])
    relabelled = engine.remeasure(transitions(reward=np.full(3, 7.0)), parts, relabelled=True)
    np.testing.assert_array_equal(relabelled[0], 7.0)
    np.testing.assert_array_equal(relabelled[1], 1.0 if replay is Replay.STAMP else 5.0)
    np.testing.assert_array_equal(engine.states[1]["steps"], before)
    assert engine.clock == 15


def test_state_continues_bit_for_bit():
    expression = TaskReward() + gate(NEARER, threshold=0.5) + 0.1 * visits_term()
    stream = [Transitions(**vars(step)) for step in random_stream(5, 40, 3)]
    whole, resumed = (RewardEngine(expression, spec(), pay_at_end=True) for _ in range(2))
    first = [whole.step(step)[0] for step in stream[:20]]
    resumed.load_state_dict(copy_state(whole.state_dict()))
    for step in stream[20:]:
        a, parts_a, ended_a = whole.step(step)
        parts_a = parts_a.copy()
        b, parts_b, ended_b = resumed.step(step)
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(parts_a, parts_b)
        assert ended_a == ended_b
    assert len(first) == 20


def test_block_and_step_give_the_same_elementwise_rewards():
    stream = random_stream(9, 30, 4, idle=0.2)
    expression = TaskReward() + 0.5 * NEARER + clip(NEARER, -0.1, 0.1)
    online, late = RewardEngine(expression, spec(4)), RewardEngine(expression, spec(4))
    shaped = np.stack([online.step(Transitions(**vars(step)))[0] for step in stream])
    parts = np.stack([late.measure(Transitions(**vars(step))).copy() for step in stream], axis=1)
    _, block, records = late.settle(parts, np.stack([s.reward for s in stream]), segments(stream), 0)
    np.testing.assert_array_equal(block, shaped)
    assert len(records) == sum(int((s.terminated | s.truncated).sum()) for s in stream)


def test_kernels_do_not_recompile():
    engine = RewardEngine(TaskReward() + NEARER, spec())
    engine.step(transitions())
    compiled = [len(kernel.signatures) for kernel in (accounting.book_step, accounting.screen_parts)]
    RewardEngine(TaskReward(), spec(7)).step(transitions(7))
    assert [len(kernel.signatures) for kernel in (accounting.book_step, accounting.screen_parts)] == compiled


def segments(stream) -> Episodes:
    return Episodes(
        *(
            np.stack([getattr(s, name) for s in stream])
            for name in ("first", "terminated", "truncated", "active")
        )
    )


def copy_state(state):
    if isinstance(state, dict):
        return {key: copy_state(value) for key, value in state.items()}
    return state.copy() if isinstance(state, np.ndarray) else state
