"""Gates and look-ahead: equal to plain loops, whatever the cuts between rollouts."""

from __future__ import annotations

import itertools

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from stream_reference import episodes, gated, gated_in_pieces, look_ahead, random_stream

from shapegym.shaping.algebra import Constant, TaskReward
from shapegym.shaping.combinators.advice import ActionPotential, LookAhead, look_ahead_advice
from shapegym.shaping.combinators.gate import Gate, gate
from shapegym.shaping.errors import DiscountError, ExpressionError, ObservationError
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.files.reward_files import dumps, loads
from shapegym.shaping.kernels import episodes as kernels
from shapegym.shaping.promises import Keeps
from shapegym.shaping.terms.potential import Potential
from shapegym.shaping.transitions import Episodes, Spec, Transitions
from shapegym.shaping.tree import keeps_of, largest
from shapegym.shaping.types import is_episodic, times_task_is_paid
from shapegym.shaping.weights.schedules import Linear

LEVELS = (TaskReward(), Constant(1.0))
MARK = Constant(2.0)
THRESHOLDS = st.sampled_from([-np.inf, -1.0, 0.0, 1.0, 2.0, np.inf])


def marks(stream) -> Episodes:
    return Episodes(
        *(
            np.stack([getattr(s, name) for s in stream])
            for name in ("first", "terminated", "truncated", "active")
        )
    )


def level_values(seed: int, count: int, stream) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    active = np.stack([s.active for s in stream])
    return [rng.integers(-1, 2, size=active.shape) * active * 1.0 for _ in range(count)]


@given(
    st.integers(0, 10_000),
    st.sampled_from([1, 3, 16]),
    THRESHOLDS,
    THRESHOLDS,
    st.booleans(),
    st.sampled_from(["sum", "max", "last"]),
)
def test_levels_equal_the_plain_loop(seed, lanes, first, second, strict, outcome):
    stream = random_stream(seed, 30, lanes, idle=0.1)
    values = level_values(seed, 3, stream)
    node = Gate((TaskReward(), Constant(1.0), Constant(2.0)), (first, second), strict, outcome)
    got = node.combine_block(values, marks(stream), node.carry(lanes))
    np.testing.assert_array_equal(got, gated(values, [first, second], stream, strict, outcome))


@given(st.integers(0, 10_000), THRESHOLDS, st.lists(st.integers(1, 29), max_size=4))
def test_an_episodes_return_does_not_depend_on_where_rollouts_are_cut(seed, threshold, cuts):
    stream = random_stream(seed, 30, 3, end=0.08)
    values = level_values(seed, 2, stream)
    node = Gate((TaskReward(), Constant(1.0)), (threshold,))
    whole = node.combine_block(values, marks(stream), node.carry(3))
    carry, pieces = node.carry(3), []
    bounds = [0, *sorted(set(cuts)), 30]
    for start, stop in itertools.pairwise(bounds):
        pieces.append(node.combine_block([v[start:stop] for v in values], marks(stream[start:stop]), carry))
    cut = np.concatenate(pieces)
    for steps in episodes(stream):
        t_end, lane = steps[-1]
        if stream[t_end].terminated[lane] or stream[t_end].truncated[lane]:
            rows = [t for t, _ in steps]
            assert cut[rows, lane].sum() == whole[rows, lane].sum()  # integers: exact


def in_pieces(node, values, stream, cuts, lanes=3) -> np.ndarray:
    carry, pieces = node.carry(lanes), []
    for start, stop in itertools.pairwise([0, *sorted(set(cuts)), len(stream)]):
        pieces.append(node.combine_block([v[start:stop] for v in values], marks(stream[start:stop]), carry))
    return np.concatenate(pieces)


def sums_of_finished(reward, stream) -> list[float]:
    return [
        sum(reward[step] for step in steps)
        for steps in episodes(stream)
        if stream[steps[-1][0]].terminated[steps[-1][1]] or stream[steps[-1][0]].truncated[steps[-1][1]]
    ]


CUTS = st.lists(st.integers(1, 39), max_size=5)


@given(st.integers(0, 10_000), THRESHOLDS, CUTS, st.sampled_from([None, "turn"]))
def test_bootstrapped_fragments_settle_to_what_held_ones_are_paid(seed, threshold, cuts, per):
    stream = random_stream(seed, 40, 3, end=0.1, idle=0.1)
    values = level_values(seed, 3 if per else 2, stream)
    kinds = [
        Gate(LEVELS, (threshold,), fragments=fragments, **({"per": "turn", "turn": MARK} if per else {}))
        for fragments in ("held", "bootstrapped")
    ]
    held, bootstrapped = (sums_of_finished(in_pieces(node, values, stream, cuts), stream) for node in kinds)
    np.testing.assert_allclose(bootstrapped, held, atol=1e-12)


@given(
    st.integers(0, 10_000),
    st.sampled_from([-1.0, 0.0, 1.0, np.inf]),
    CUTS,
    st.sampled_from(["closed", "boot"]),
)
def test_open_fragments_are_paid_as_the_plain_loop_says(seed, threshold, cuts, how):
    stream = random_stream(seed, 40, 3, end=0.1, idle=0.1)
    values = level_values(seed, 2, stream)
    node = Gate(LEVELS, (threshold,), fragments="closed" if how == "closed" else "bootstrapped")
    expected = gated_in_pieces(values, threshold, stream, sorted(set(cuts)), how == "closed")
    active = np.stack([s.active for s in stream])
    np.testing.assert_allclose(
        in_pieces(node, values, stream, cuts)[active], expected[active], rtol=0, atol=1e-12
    )


def test_the_frequency_of_passing_follows_the_last_hundred_or_so():
    tally = np.zeros(3)
    ends = np.ones((100, 1), dtype=bool)
    kernels.count_passes(ends, ends, np.zeros_like(ends), 100, tally)
    assert tally.tolist() == [100.0, 0.0, 0.0]
    kernels.count_passes(ends, ends, ends, 100, tally)
    assert tally[:2].tolist() == [200.0, 100.0]
    assert tally[2] == pytest.approx(1 - 0.99**100)


@given(
    st.integers(0, 10_000),
    THRESHOLDS,
    THRESHOLDS,
    st.booleans(),
    st.sampled_from(["sum", "max", "last"]),
    CUTS,
)
def test_turns_pass_or_fail_by_themselves(seed, first, second, strict, outcome, cuts):
    stream = random_stream(seed, 40, 3, end=0.1, idle=0.1)
    values = level_values(seed, 4, stream)
    node = Gate((*LEVELS, MARK), (first, second), strict, outcome, "turn", MARK)
    expected = gated(values[:3], [first, second], stream, strict, outcome, values[3] > 0)
    np.testing.assert_array_equal(in_pieces(node, values, stream, []), expected)
    whole, cut = (sums_of_finished(in_pieces(node, values, stream, where), stream) for where in ([], cuts))
    assert whole == cut


@given(st.integers(0, 10_000), THRESHOLDS, st.booleans())
def test_a_step_gate_decides_at_once(seed, first, strict):
    higher, lower, lowest = np.random.default_rng(seed).integers(-1, 3, size=(3, 20, 3)) * 1.0
    node = Gate((*LEVELS, MARK), (first, 1.0), strict, per="step")
    assert not is_episodic(node)
    expected = np.zeros((20, 3))
    for step in np.ndindex(20, 3):
        reached = higher[step] > first if strict else higher[step] >= first
        again = lower[step] > 1.0 if strict else lower[step] >= 1.0
        expected[step] = higher[step] + reached * lower[step] + (reached and again) * lowest[step]
    np.testing.assert_array_equal(node.combine([higher, lower, lowest]), expected)
    np.testing.assert_array_equal(node.combine([higher[0], lower[0], lowest[0]]), expected[0])


def test_a_step_gate_works_where_rewards_are_paid_at_once():
    spec = Spec(4, gym.spaces.Box(-9, 9, (3,)), gym.spaces.Discrete(2))
    engine = RewardEngine(gate(Constant(1.0), threshold=1.0, per="step"), spec)
    engine.require_online("ShapedEnv")
    step = random_stream(0, 1, 4)[0]
    paid, _, _ = engine.step(Transitions(**vars(step)))
    np.testing.assert_array_equal(paid, step.reward + (step.reward >= 1.0))


@given(st.integers(0, 10_000), st.booleans(), CUTS)
def test_an_annealed_threshold_counts_as_it_is_when_the_episode_ends(seed, strict, cuts):
    stream = random_stream(seed, 40, 3, end=0.1, idle=0.1)
    values = level_values(seed, 3, stream)
    bars = np.cumsum(np.random.default_rng(seed).normal(size=(40, 1)), axis=0) * np.ones(3)
    node = Gate((*LEVELS, MARK), (Linear(0.0, 1.0, 9), 0.0), strict)
    whole = in_pieces(node, [*values, bars], stream, [])
    np.testing.assert_array_equal(whole, gated(values, [bars, 0.0], stream, strict))
    cut = in_pieces(node, [*values, bars], stream, cuts)
    assert sums_of_finished(cut, stream) == sums_of_finished(whole, stream)


def test_an_annealed_gate_is_read_from_a_file():
    text = """
reward:
  gate:
    of: [task_reward, {event: {of: features.event, equals: 1}}]
    thresholds: [{linear: {start: -1, end: 0.5, steps: 1000}}]
    per: turn
    turn: {event: {of: features.event, equals: 2}}
    fragments: bootstrapped
"""
    node = loads(text)
    assert node.thresholds == (Linear(-1, 0.5, 1000),)
    assert loads(dumps(node)) == node
    assert loads("reward: {gate: {of: [task_reward, 1], thresholds: [-.inf]}}").thresholds == (-np.inf,)


def stepped(expression, steps, **options) -> RewardEngine:
    engine = RewardEngine(expression, Spec(3, gym.spaces.Box(-9, 9, (3,)), gym.spaces.Discrete(2)), **options)
    stream = random_stream(0, steps, 3)
    if engine.tape is not None:
        for step in stream:
            engine.step(Transitions(**vars(step)))
        return engine
    for start in range(0, steps, 10):
        block = stream[start : start + 10]
        parts = np.stack([engine.measure(Transitions(**vars(step))).copy() for step in block], axis=1)
        engine.settle(parts, np.stack([step.reward for step in block]), marks(block), 3 * start)
    return engine


@pytest.mark.parametrize("options", [{}, {"pay_at_end": True}], ids=["rollouts", "at_end"])
def test_a_gate_that_never_opens_says_so_once_with_advice(options):
    never = Gate((TaskReward(), Constant(1.0)), (1e6,), warn_after=40)
    with pytest.warns(
        RuntimeWarning, match=r"not one outcome \(sum of TaskReward\(\)\) was >= 1000000"
    ) as caught:
        stepped(never, 200, **options)
    assert len(caught) == 1
    stepped(never, 40, **options)  # too few episodes
    for quiet in (np.inf, -np.inf, 0.0):  # the outcome alone on purpose; the plain sum; a gate that opens
        stepped(Gate(never.of, (quiet,), warn_after=40), 200, **options)


def test_the_count_of_a_gate_that_never_opens_outlives_a_restart():
    never = Gate((TaskReward(), Constant(1.0)), (1e6,), warn_after=40)
    first = stepped(never, 40)
    engine = RewardEngine(never, first.spec)
    engine.load_state_dict(first.state_dict())
    block = marks(random_stream(3, 120, 3))
    with pytest.warns(RuntimeWarning, match="Lower the threshold; or anneal"):
        engine.settle(np.zeros((2, 120, 3)), np.zeros((120, 3)), block, 0)


def test_gate_at_minus_infinity_is_the_plain_sum_even_in_open_fragments():
    stream = random_stream(1, 20, 4, end=0.05)
    values = level_values(1, 2, stream)
    node = Gate((TaskReward(), Constant(1.0)), (-np.inf,))
    np.testing.assert_array_equal(
        node.combine_block(values, marks(stream), node.carry(4)), values[0] + values[1]
    )


def test_gate_at_infinity_is_the_outcome_alone():
    stream = random_stream(1, 20, 4)
    values = level_values(1, 2, stream)
    node = Gate((TaskReward(), Constant(1.0)), (np.inf,))
    np.testing.assert_array_equal(node.combine_block(values, marks(stream), node.carry(4)), values[0])


def test_a_gate_is_differentiable_in_its_dense_part():
    stream = random_stream(2, 20, 3)
    outcome, dense = (torch.tensor(v, requires_grad=True) for v in level_values(2, 2, stream))
    node = Gate((TaskReward(), Constant(1.0)), (1.0,))
    reward = node.combine_block([outcome, dense], marks(stream), node.carry(3))
    reward.sum().backward()
    paid = (
        gated([outcome.detach().numpy(), np.ones((20, 3))], [1.0], stream, False) - outcome.detach().numpy()
    )
    np.testing.assert_array_equal(dense.grad.numpy(), paid)


@given(st.integers(0, 10_000), st.sampled_from([1, 3, 16]))
def test_look_ahead_equals_the_plain_loop(seed, lanes):
    stream = random_stream(seed, 25, lanes, idle=0.1)
    values = np.random.default_rng(seed).normal(size=(25, lanes))
    node = LookAhead(TaskReward(), 0.9)
    got = node.combine_block([values], marks(stream), node.carry(lanes))
    active = np.stack([s.active for s in stream])
    np.testing.assert_array_equal(got[active], look_ahead(values, 0.9, stream)[active])


@given(st.integers(0, 10_000), st.integers(1, 29))
def test_look_ahead_telescopes_across_cuts(seed, cut):
    gamma = 0.9
    stream = random_stream(seed, 30, 2, end=0.05)
    values = np.random.default_rng(seed).normal(size=(30, 2))
    node = LookAhead(TaskReward(), gamma)
    carry = node.carry(2)
    got = np.concatenate(
        [
            node.combine_block([values[:cut]], marks(stream[:cut]), carry),
            node.combine_block([values[cut:]], marks(stream[cut:]), carry),
        ]
    )
    for steps in episodes(stream):
        total = sum(gamma**k * got[step] for k, step in enumerate(steps))
        assert total == pytest.approx(-values[steps[0]], abs=1e-10)


def test_look_ahead_advice_reads_the_action_taken():
    spec = Spec(4, gym.spaces.Box(-9, 9, (3,)), gym.spaces.Discrete(2), gamma=0.9)
    engine = RewardEngine(look_ahead_advice(["obs[0]", "obs[2]"], 0.9), spec)
    step = random_stream(0, 1, 4)[0]
    parts = engine.measure(Transitions(**vars(step)))
    np.testing.assert_array_equal(parts[0], [step.obs[lane, 2 * step.action[lane]] for lane in range(4)])


@given(st.integers(0, 10_000), st.integers(1, 29))
def test_advice_that_is_the_same_for_all_actions_is_the_potential_also_where_episodes_are_truncated(
    seed, cut
):
    spec = Spec(2, gym.spaces.Box(-9, 9, (3,)), gym.spaces.Discrete(2), gamma=0.9)
    stream = random_stream(seed, 30, 2, end=0.2)
    advice, potential = look_ahead_advice(["obs[0]", "obs[0]"], 0.9), Potential("obs[0]", 0.9)
    paid = {}
    for node in (advice, potential):
        engine = RewardEngine(node, spec)
        blocks = []
        for block in (stream[:cut], stream[cut:]):
            parts = np.stack([engine.measure(Transitions(**vars(step))).copy() for step in block], axis=1)
            blocks.append(engine.settle(parts, np.stack([s.reward for s in block]), marks(block), 0)[1])
        paid[node] = np.concatenate(blocks)
    for steps in episodes(stream):
        t_end, lane = steps[-1]
        if not (stream[t_end].terminated[lane] or stream[t_end].truncated[lane]):
            continue  # still open: its last step waits for the next action
        sums = [sum(0.9**k * paid[node][step] for k, step in enumerate(steps)) for node in paid]
        assert sums[0] == pytest.approx(sums[1], abs=1e-10)


@pytest.mark.parametrize("terminated", [False, True])
def test_the_last_step_counts_the_mean_over_actions_where_an_episode_is_cut_off(terminated):
    """A bootstrapping agent takes s_T for a state of the task, where Phi(s_T, a) is due for an action that nobody took."""
    spec = Spec(1, gym.spaces.Box(-9, 9, (3,)), gym.spaces.Discrete(2), gamma=0.9)
    engine = RewardEngine(look_ahead_advice(["obs[0]", "obs[2]"], 0.9), spec)
    (step,) = random_stream(3, 1, 1)
    step.first[:], step.active[:] = True, True
    step.terminated[:], step.truncated[:] = terminated, not terminated
    parts = engine.measure(Transitions(**vars(step))).copy()[:, None]
    (paid,) = engine.settle(parts, step.reward[None], marks([step]), 0)[1]
    then = 0.0 if terminated else 0.9 * step.next_obs[0, [0, 2]].mean()
    assert paid[0] == pytest.approx(then - step.obs[0, 2 * step.action[0]])


def test_advice_is_refused_where_it_makes_no_sense():
    continuous = Spec(1, gym.spaces.Box(-9, 9, (3,)), gym.spaces.Box(-1, 1, (2,)), gamma=0.9)
    with pytest.raises(ObservationError, match="one for each discrete action"):
        RewardEngine(look_ahead_advice(["obs[0]", "obs[1]"], 0.9), continuous)
    discrete = Spec(1, gym.spaces.Box(-9, 9, (3,)), gym.spaces.Discrete(2), gamma=0.99)
    with pytest.raises(DiscountError, match=r"0\.9, the agent has gamma=0\.99"):
        RewardEngine(look_ahead_advice(["obs[0]", "obs[1]"], 0.9), discrete)
    with pytest.raises(ExpressionError, match="needs gamma"):
        LookAhead(ActionPotential(("obs[0]",)), None)
    with pytest.raises(ExpressionError, match="phis must be a non-empty tuple of state functions"):
        look_ahead_advice([], 0.9)


def test_advice_keeps_the_optimal_policies_of_who_acts_on_it_and_says_its_discount():
    advice = look_ahead_advice(["obs[0]", "obs[1]"], 0.9)
    assert keeps_of(advice) is Keeps.ADVICE
    assert keeps_of(LookAhead(TaskReward(), 0.9)) is Keeps.NOTHING
    assert advice.discount == 0.9
    assert Gate(LEVELS, (1.0,)).discount == 1.0
    assert largest(LookAhead(Constant(-2.0), 0.5)) == 3.0
    assert largest(advice) is None


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Gate((TaskReward(),), ()), "of must be a tuple of at least 2 expressions"),
        (lambda: Gate((TaskReward(), TaskReward()), 1.0), "tuple of numbers or schedules such as Linear"),
        (lambda: gate(TaskReward(), threshold="high"), "tuple of numbers or schedules"),
        (lambda: Gate((TaskReward(), TaskReward()), (1.0, 2.0)), "2 levels and 2 thresholds"),
        (lambda: gate(TaskReward(), threshold=float("nan")), "numbers or schedules"),
        (
            lambda: Gate((TaskReward(), TaskReward()), (1.0,), outcome="mean"),
            "outcome must be 'sum', 'max' or 'last', got 'mean'",
        ),
        (lambda: Gate(LEVELS, (MARK,)), "numbers or schedules"),
        (lambda: Gate(LEVELS, (1.0,), per="lane"), "per must be 'episode', 'turn' or 'step'"),
        (lambda: Gate(LEVELS, (1.0,), per="turn"), "belong together"),
        (lambda: Gate(LEVELS, (1.0,), turn=MARK), "belong together"),
        (lambda: Gate(LEVELS, (1.0,), per="turn", turn=gate(MARK, threshold=0.0)), "known at its step"),
        (
            lambda: Gate(LEVELS, (1.0,), fragments="open"),
            "fragments must be 'held', 'closed' or 'bootstrapped'",
        ),
        (lambda: Gate(LEVELS, (1.0,), per="step", fragments="closed"), "a step is never cut"),
        (lambda: Gate(LEVELS, (1.0,), warn_after=0), "at least 1"),
    ],
)
def test_bad_gates_say_what_is_wrong(build, message):
    with pytest.raises(ExpressionError, match=message):
        build()


def test_a_gate_is_bounded_where_nothing_is_paid_late():
    levels, turn = (Constant(-1.0), Constant(2.0), Constant(0.5)), Constant(9.0)
    assert largest(Gate(levels, (0.0, 0.0))) is None
    assert largest(Gate(levels, (0.0, 0.0), fragments="bootstrapped")) is None
    assert largest(Gate(levels, (0.0, Linear(1, 0, 100_000)), per="step")) == 3.5
    assert largest(Gate(levels, (0.0, 0.0), per="turn", turn=turn, fragments="closed")) == 3.5
    assert largest(Gate((TaskReward(), Constant(1.0)), (0.0,), per="step")) is None
    assert keeps_of(Gate((TaskReward(), Potential("obs[0]", gamma=0.9)), (0.0,))) is Keeps.NOTHING


def test_a_gate_pays_the_task_as_often_as_its_levels_do():
    task = TaskReward()
    assert times_task_is_paid(Gate((task, task + MARK), (0.0,))) == 2
    assert times_task_is_paid(Gate((MARK, MARK), (0.0,), per="turn", turn=task)) == 0


def test_a_level_is_left_out_with_a_threshold():
    task, one, two = TaskReward(), Constant(1.0), Constant(2.0)
    node = Gate((task, one + two, MARK), (0.25, Linear(1, 0, 100_000)))
    assert list(node.leave_one_out()) == [
        (one, Gate((task, two, MARK), (0.25, Linear(1, 0, 100_000)))),
        (two, Gate((task, one, MARK), (0.25, Linear(1, 0, 100_000)))),
        (MARK, Gate((task, one + two), (0.25,))),
    ]
    assert list(Gate((task, one, MARK), (0.25, 0.5)).leave_one_out()) == [
        (one, Gate((task, MARK), (0.25,))),
        (MARK, Gate((task, one), (0.25,))),
    ]
    assert list(Gate((task, one), (0.0,), per="turn", turn=two).leave_one_out()) == [(one, task)]


def test_kernels_do_not_recompile():
    used = (kernels.episode_totals, kernels.hold_back, kernels.count_passes, kernels.successors)
    for lanes in (2, 5):
        stream = random_stream(0, 9, lanes)
        for node, count in (
            (Gate(LEVELS, (0.0,)), 2),
            (Gate((*LEVELS, MARK), (0.0, Linear(1, 0, 100_000)), fragments="bootstrapped"), 4),
            (LookAhead(TaskReward(), 0.9), 1),
        ):
            node.combine_block(level_values(0, count, stream), marks(stream), node.carry(lanes))
        compiled = [len(kernel.signatures) for kernel in used]
    assert compiled == [1, 1, 1, 1]
