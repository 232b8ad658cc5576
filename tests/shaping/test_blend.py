"""Blends: what learned weights are worth before and after they are changed, as arrays and as tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium import spaces

from shapegym.shaping.algebra import Clip, Product, TaskReward
from shapegym.shaping.combinators.gate import Gate
from shapegym.shaping.errors import ExpressionError, ObservationError
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.files.reward_files import dumps, loads
from shapegym.shaping.terms.events import Event
from shapegym.shaping.terms.goals import StateReward
from shapegym.shaping.transitions import Episodes, Spec, Transitions
from shapegym.shaping.weights.blend import LearnedWeight, blend

HEIGHT = StateReward("features.height").named("height")
FORMS = {
    "scalar": LearnedWeight("w", 0.5),
    "table": LearnedWeight("w", 0.5, "table", "features.cell", 4),
    "network": LearnedWeight("w", 0.5, "network", "obs", 3),
}


def spec(lanes: int = 5) -> Spec:
    return Spec(lanes, spaces.Box(-1, 1, (2,)), spaces.Discrete(2))


def transitions(lanes: int = 5, seed: int = 0) -> Transitions:
    rng = np.random.default_rng(seed)
    no = np.zeros(lanes, dtype=bool)
    features = {"cell": rng.integers(0, 4, lanes), "height": rng.normal(size=lanes)}
    obs = rng.normal(size=(lanes, 2))
    return Transitions(
        obs, np.zeros(lanes), obs + 1, rng.normal(size=lanes), no, no, ~no, ~no, features, features
    )


def block(lanes: int) -> Episodes:
    no = np.zeros((1, lanes), dtype=bool)
    return Episodes(~no, no, no, ~no)


def test_a_new_blend_is_the_naive_sum():
    step = transitions()
    engine = RewardEngine(blend(TaskReward(), HEIGHT), spec())
    shaped, contributions, _ = engine.step(step)
    assert engine.addends == ("task_reward", "height", "weight_bias")
    np.testing.assert_array_equal(shaped, step.reward + step.features["height"])
    np.testing.assert_array_equal(contributions[2], 0.0)


@pytest.mark.parametrize("form", FORMS)
def test_weights_start_at_their_initial_value(form):
    weight = FORMS[form]
    np.testing.assert_array_equal(weight.measure(transitions(), weight.init(spec())), 0.5)


def test_a_table_is_read_in_the_state_before_the_step():
    weight, step = FORMS["table"], transitions()
    state = {"table": np.array([1.0, 2.0, 3.0, 4.0])}
    np.testing.assert_array_equal(weight.measure(step, state), 1.0 + step.features["cell"])
    step.next_features = {"cell": np.zeros(5, dtype=int)}
    np.testing.assert_array_equal(weight.measure(step, state), 1.0 + step.features["cell"])


def test_a_network_is_the_formula_whatever_the_number_of_lanes():
    weight, rng = FORMS["network"], np.random.default_rng(1)
    state = {name: rng.normal(size=array.shape) for name, array in weight.init(spec()).items()}
    step = transitions(7)
    wanted = [
        sum(state["output"][j] * np.tanh(x @ state["hidden"][:, j] + state["offset"][j]) for j in range(3))
        + state["weight"][0]
        for x in step.obs
    ]
    values = weight.measure(step, state)
    np.testing.assert_allclose(values, wanted)
    one = transitions(7)
    one.obs, one.reward = step.obs[3:4], step.reward[3:4]
    assert weight.measure(one, state)[0] == values[3]


@pytest.mark.parametrize("form", FORMS)
def test_the_engine_combines_tensors_to_the_same_values_and_differentiably(form):
    weight = FORMS[form]
    engine = RewardEngine(Clip(Product((TaskReward(), weight)) + HEIGHT, -2.0, 2.0), spec())
    rng = np.random.default_rng(2)
    index = engine.terms.index(weight)
    for name, array in engine.states[index].items():
        engine.states[index][name] = rng.normal(size=array.shape)
    step = transitions()
    shaped, _, _ = engine.step(step)
    phi = {name: torch.from_numpy(array).requires_grad_() for name, array in engine.states[index].items()}
    parts = list(torch.from_numpy(engine.measure(step).copy())[:, None])
    parts[index] = weight.value(phi, torch.from_numpy(weight.rows(step)))[None]
    (value,) = engine.combine(parts, block(5))
    np.testing.assert_allclose(value.detach().numpy()[0], shaped, atol=1e-12)
    value.sum().backward()
    assert all(tensor.grad is not None and tensor.grad.abs().sum() > 0 for tensor in phi.values())


def test_weights_with_different_keys_are_different_terms():
    names = RewardEngine(blend(TaskReward(), HEIGHT, initial=1.0), spec()).term_names
    assert names == ("task_reward", "weight_task_reward", "height", "weight_height", "weight_bias")


def test_a_blend_survives_a_reward_file():
    expression = blend(TaskReward(), HEIGHT, initial=(1, 0.5), form="table", read="features.cell", size=4)
    again = loads(dumps(expression))
    assert again == expression
    assert RewardEngine(again, spec()).addends == ("task_reward", "height", "weight_bias")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (blend, "blend: parts must be a non-empty tuple of expressions"),
        (lambda: blend(TaskReward(), initial=(1, 2)), "1 parts and 2"),
        (lambda: blend(3.0), "expressions"),  # type: ignore[arg-type]
        (lambda: blend(Gate((TaskReward(), HEIGHT), (0.5,))), "hindsight"),
        (lambda: blend(TaskReward(), Event("features.cell", name="bias")), "otherwise"),
        (lambda: LearnedWeight("a b"), "identifier"),
        (lambda: LearnedWeight("w", float("nan")), "finite"),
        (lambda: LearnedWeight("w", form="spline"), "form"),  # type: ignore[arg-type]
        (lambda: LearnedWeight("w", form="table"), "read"),
        (lambda: LearnedWeight("w", read="obs"), "read"),
        (lambda: LearnedWeight("w", form="table", read="obs", size=0), "size"),
    ],
)
def test_what_is_no_blend_is_refused(make, words):
    with pytest.raises(ExpressionError, match=words):
        make()


def test_an_index_outside_of_the_table_names_the_table():
    weight = LearnedWeight("w", 1.0, "table", "features.cell", 2)
    step = transitions()
    step.features = {"cell": np.array([0, 1, 2, 0, 0])}
    with pytest.raises(ObservationError, match="is 2, and the table has the entries 0 to 1"):
        weight.measure(step, weight.init(spec()))


def test_what_a_form_cannot_read_is_refused_at_binding():
    with pytest.raises(ObservationError, match="one index"):
        LearnedWeight("w", 1.0, "table", "obs", 2).init(spec())
    with pytest.raises(ObservationError, match="must know"):
        LearnedWeight("w", 1.0, "network", "features.height", 2).init(spec())
