"""Arithmetic on state functions: what Python and NumPy say of the same numbers, as data, and what it refuses."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shapegym.shaping.algebra import TaskReward, clip
from shapegym.shaping.errors import ExpressionError, NonFiniteError, ShapingError
from shapegym.shaping.files.reward_files import dumps, loads
from shapegym.shaping.promises import Keeps
from shapegym.shaping.states.arithmetic import Clipped, Plus, Power, maximum, minimum
from shapegym.shaping.states.distance import Distance, Gaussian
from shapegym.shaping.states.functions import Read, StateFunction, Table
from shapegym.shaping.surfaces.gym_env import ShapedEnv
from shapegym.shaping.terms.goals import StateReward
from shapegym.shaping.terms.potential import Potential
from shapegym.shaping.tree import keeps_of
from shapegym.shaping.types import Expression

X, Y = Read("obs[0]"), Read("obs[1]")
FORMS: dict[str, Callable[[Any, Any], Any]] = {
    "a sum": lambda x, y: x + y + 5,
    "differences": lambda x, y: 2 - x - y - 0.5,
    "multiples": lambda x, y: 2 * x - y * 3,
    "a product": lambda x, y: x * y * -1.5,
    "a quotient": lambda x, y: x / 4 + 1 / (y * y + 1),
    "a square": lambda x, y: (x - y) ** 2,
    "an absolute value": lambda x, y: abs(x) - abs(-y),
    "nested": lambda x, y: abs(2 * x - (y + 1)) ** 3 * 0.25,
}
numbers = st.integers(-40, 40).map(lambda number: number / 4)
rows = st.lists(st.tuples(numbers, numbers), min_size=1, max_size=5).map(np.array)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@given(obs=rows)
def test_values_are_those_of_the_same_formula_over_numbers(form: Callable[..., Any], obs: np.ndarray) -> None:
    phi = form(X, Y)
    np.testing.assert_allclose(phi.value(obs, {}), [form(x, y) for x, y in obs.tolist()], rtol=1e-13)


@given(obs=rows, low=numbers, high=numbers)
def test_least_greatest_and_limits(obs: np.ndarray, low: float, high: float) -> None:
    low, high = min(low, high), max(low, high)
    np.testing.assert_array_equal(minimum(X, Y, low).value(obs, {}), [min(x, y, low) for x, y in obs])
    np.testing.assert_array_equal(maximum(X, "obs[1]").value(obs, {}), [max(x, y) for x, y in obs])
    limited = [min(max(x, low), high) for x, _ in obs]
    np.testing.assert_array_equal(X.clip(low, high).value(obs, {}), limited)
    assert clip(X, low, high) == X.clip(low, high)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_they_are_data(form: Callable[..., Any]) -> None:
    phi = maximum(form(Distance("obs[0:1]", (0.5,)), Read("features.progress")), 0.0).clip(-1, 2)
    reward = TaskReward() + Potential(phi, gamma=0.9)
    for twin in (loads(dumps(reward)), pickle.loads(pickle.dumps(reward))):
        assert twin == reward
        assert hash(twin) == hash(reward)
    assert phi.reads == ("progress",)
    assert keeps_of(reward) & Keeps.POLICIES


def test_a_reward_file_spells_them_out() -> None:
    square = "{power: {of: obs, exponent: 2}}"
    phi = f"{{plus: [{{times: [2, obs]}}, {{absolute: features.p}}, {square}, -5]}}"
    assert loads(f"reward: {{state_reward: {{phi: {phi}}}}}") == StateReward(
        2 * Read("obs") + abs(Read("features.p")) + Read("obs") ** 2 - 5
    )


@pytest.mark.parametrize(
    ("phi", "shown"),
    [
        (X + 5, "Read('obs[0]') + 5"),
        (2 * X - Y, "2 * Read('obs[0]') - Read('obs[1]')"),
        (-(X + 1), "-(Read('obs[0]') + 1)"),
        (abs(X) ** 2, "abs(Read('obs[0]')) ** 2"),
        (minimum(X, 1).clip(0, 1), "minimum(Read('obs[0]'), 1).clip(0, 1)"),
        (maximum(X, 1), "maximum(Read('obs[0]'), 1)"),
    ],
)
def test_they_print_as_they_are_written(phi: StateFunction, shown: str) -> None:
    assert str(phi) == shown
    assert str(StateReward(phi)) == f"StateReward(phi={shown})"


NEAR = Distance("obs[0]", (0.5,), kernel=Gaussian(1.0))  # in [0, 1]


@pytest.mark.parametrize(
    ("phi", "bound"),
    [
        (NEAR + 5, 6.0),
        (2 * NEAR - NEAR * 0.5, 2.5),
        (NEAR * Table((0.0, -3.0)), 3.0),
        (abs(NEAR) ** 2, 1.0),
        ((NEAR + 1) ** -1, None),
        (minimum(NEAR, -4), 4.0),
        (X + 1, None),
        (X.clip(-2, 1), 2.0),
        (Clipped(X, low=0), None),
    ],
)
def test_bounds(phi: StateFunction, bound: float | None) -> None:
    assert phi.bound == bound


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: X + TaskReward(), r"Cannot combine a state function with TaskReward.*StateReward\(\.\.\.\)"),
        (lambda: X * None, "Cannot combine a state function with None"),
        (lambda: X + True, "Cannot combine a state function with True"),
        (lambda: X + float("nan"), "Cannot combine a state function with nan"),
        (lambda: X + "feature.x", "Did you mean 'features.x'"),
        (lambda: X / 0, "divided by 0"),
        (lambda: X ** "2", "Power: exponent must be a finite number, got '2'"),
        (lambda: minimum(1, 2), "numbers alone"),
        (lambda: Plus(()), "non-empty tuple"),
        (lambda: X.clip(1, 0), "low <= high"),
        (lambda: Power(2.0, 2.0), "Power: of must be a state function"),
    ],
)
def test_what_makes_no_state_function_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ShapingError, match=message):
        make()


@pytest.mark.parametrize("phi", [1 / (0 * X), (-abs(X) - 1) ** 0.5, (1e200 * abs(X + 9)) ** 2])
def test_what_is_not_defined_is_reported_with_the_part(phi: StateFunction) -> None:
    env = ShapedEnv(gym.make("MountainCar-v0"), StateReward(phi).named("odd"))
    env.reset(seed=0)
    with pytest.raises(NonFiniteError, match="Part 'odd' is"):
        env.step(0)


def test_a_reward_and_a_state_function_do_not_mix() -> None:
    reward: Expression = TaskReward()
    with pytest.raises(ExpressionError, match="Cannot combine an expression with Read"):
        reward + X  # type: ignore[operator]
