"""Sharpe ratios and drawdowns, held to plain loops; what becomes of episodes that have none; where blocks are cut."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from risk_reference import differential_sharpe, drawdown, sharpe

from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.combinators.episode_sharpe import EpisodeSharpe
from shapegym.shaping.combinators.gate import gate
from shapegym.shaping.combinators.max_drawdown import MaxDrawdown
from shapegym.shaping.errors import ExpressionError, HindsightError, ShapingError
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.kernels import risk
from shapegym.shaping.promises import Keeps
from shapegym.shaping.surfaces.gym_env import ShapedEnv
from shapegym.shaping.terms.differential_sharpe import DifferentialSharpe
from shapegym.shaping.transitions import Episodes, Spec, Transitions
from shapegym.shaping.tree import keeps_of, largest
from shapegym.shaping.types import Expression

TASK = TaskReward()
episodes = st.lists(
    st.lists(st.integers(-40, 40).map(lambda number: number / 8), min_size=1, max_size=12),
    min_size=1,
    max_size=4,
)


def engine_of(expression: Expression, lanes: int = 1) -> RewardEngine:
    return RewardEngine(expression, Spec(lanes, gym.spaces.Discrete(2), gym.spaces.Discrete(2)))


def paid_in_blocks(expression: Expression, returns: list[list[float]], cut: int) -> list[list[float]]:
    """What the episodes of one lane are paid, settled every ``cut`` steps."""
    values = np.array([value for episode in returns for value in episode])[:, None]
    first = np.array([step == 0 for episode in returns for step in range(len(episode))])[:, None]
    last = np.array([step + 1 == len(episode) for episode in returns for step in range(len(episode))])[
        :, None
    ]
    engine, rewards = engine_of(expression), []
    for start in range(0, len(values), cut):
        rows = slice(start, start + cut)
        marks = Episodes(first[rows], last[rows], ~last[rows] & False, np.ones_like(first[rows]))
        (paid,) = engine.combine(values[None, rows], marks)
        rewards += paid[:, 0].tolist()
    left = iter(rewards)
    return [[next(left) for _ in episode] for episode in returns]


@given(episodes, st.integers(1, 9))
def test_an_episode_is_paid_its_sharpe_ratio_at_the_end(returns: list[list[float]], cut: int) -> None:
    for episode, paid in zip(returns, paid_in_blocks(EpisodeSharpe(), returns, cut), strict=True):
        assert paid[:-1] == [0.0] * (len(episode) - 1)
        assert paid[-1] == pytest.approx(sharpe(episode), rel=1e-9, abs=1e-12)


@given(episodes, st.integers(1, 9), st.booleans())
def test_an_episode_is_paid_its_deepest_fall_at_the_end(
    returns: list[list[float]], cut: int, compounded: bool
) -> None:
    paid_each = paid_in_blocks(MaxDrawdown(compounded=compounded), returns, cut)
    for episode, paid in zip(returns, paid_each, strict=True):
        assert paid[:-1] == [0.0] * (len(episode) - 1)
        assert paid[-1] == pytest.approx(drawdown(episode, compounded=compounded), rel=1e-9, abs=1e-12)
        assert paid[-1] >= 0.0


@pytest.mark.parametrize("returns", [[0.3], [0.1] * 7, [-2.5] * 3, [0.0] * 4, [1e9 + 1e-9] * 5, [1e-300] * 5])
def test_an_episode_without_variance_has_no_ratio_and_is_paid_nothing(returns: list[float]) -> None:
    assert paid_in_blocks(EpisodeSharpe(), [returns], 3)[0][-1] == 0.0


@pytest.mark.parametrize(
    ("returns", "compounded", "fall"),
    [
        ([1.0, 2.0, 3.0], False, 0.0),
        ([-1.0], False, 1.0),
        ([2.0, -1.0, 0.5, -3.0, 9.0], False, 3.5),
        ([0.5, -0.5], True, 0.5),
        ([0.1, -1.5, 4.0], True, 1.0),  # all is lost, and stays so
        ([-1.0, -1.0], True, 1.0),
    ],
)
def test_falls(returns: list[float], compounded: bool, fall: float) -> None:
    (paid,) = paid_in_blocks(MaxDrawdown(compounded=compounded), [returns], 2)
    assert paid[-1] == pytest.approx(fall)


def steps_of(returns: list[list[float]]) -> list[Transitions]:
    """One lane's transitions with these task rewards."""
    yes, no, nothing = np.ones(1, dtype=bool), np.zeros(1, dtype=bool), np.zeros(1, dtype=np.int64)
    return [
        Transitions(
            *(nothing,) * 3,
            np.array([reward]),
            yes if step + 1 == len(episode) else no,
            no,
            yes if step == 0 else no,
            yes,
        )
        for episode in returns
        for step, reward in enumerate(episode)
    ]


@given(episodes, st.sampled_from([0.01, 0.25, 0.9]), st.sampled_from(["episode", "run"]))
def test_each_step_is_paid_what_it_does_to_the_ratio(
    returns: list[list[float]], rate: float, over: str
) -> None:
    engine = engine_of(DifferentialSharpe(rate=rate, over=over))
    paid = [engine.step(step)[0].item() for step in steps_of(returns)]
    rows = returns if over == "episode" else [[value for episode in returns for value in episode]]
    expected = [value for row in rows for value in differential_sharpe(row, rate)]
    np.testing.assert_allclose(paid, expected, rtol=1e-6, atol=1e-9)


def test_the_differential_ratio_is_the_derivative_of_the_ratio_by_the_rate() -> None:
    values, rate, small = [0.5, -0.25, 1.0, 0.75, -0.5], 0.2, 1e-6

    def ratio(last_rate: float) -> float:
        mean = square = 0.0
        for value, by in zip(values, [rate] * 4 + [last_rate], strict=True):
            mean, square = mean + by * (value - mean), square + by * (value**2 - square)
        return float(mean / np.sqrt(square - mean**2))

    assert differential_sharpe(values, rate)[-1] == pytest.approx(
        (ratio(small) - ratio(-small)) / (2 * small)
    )


def test_what_they_promise_and_where_they_can_be_paid() -> None:
    for node in (EpisodeSharpe(), MaxDrawdown(), DifferentialSharpe()):
        assert keeps_of(TASK + node) is Keeps.NOTHING
        assert largest(node) is None
    assert largest(MaxDrawdown(compounded=True)) == 1.0
    with pytest.raises(HindsightError, match="pay_at_end"):
        ShapedEnv(gym.make("MountainCar-v0"), TASK - MaxDrawdown())
    with pytest.raises(ShapingError, match="must be known at its step"):
        EpisodeSharpe(gate(TASK, threshold=1.0))
    with pytest.raises(ExpressionError, match="rate must be"):
        DifferentialSharpe(rate=1.0)


def test_kernels_are_compiled_once() -> None:
    for node in (EpisodeSharpe(), MaxDrawdown()):
        paid_in_blocks(node, [[1.0, 2.0]], 1)
    compiled = [len(kernel.signatures) for kernel in (risk.episode_sharpe, risk.deepest_fall)]
    for node in (EpisodeSharpe(0.5 * TASK), MaxDrawdown(compounded=True)):
        paid_in_blocks(node, [[1.0, 2.0], [3.0]], 2)
    assert [len(kernel.signatures) for kernel in (risk.episode_sharpe, risk.deepest_fall)] == compiled
