"""Codes that tell actions: against Pathak et al. 2017 in plain loops, for every kind of action, and what they keep of a state."""

from __future__ import annotations

import copy

import gymnasium as gym
import numpy as np
import pytest
import torch
from intrinsic_reference import curiosity_losses

import shapegym as sg
from shapegym.shaping.errors import LearningError, ObservationError
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.models.action_code import ActionCode
from shapegym.shaping.models.inverse_dynamics import InverseDynamics
from shapegym.shaping.testing import ScriptedEnv, check_model
from shapegym.shaping.testing.recording import Bench
from shapegym.shaping.transitions import Experience, Spec, Transitions

LANES = 3


def _bench(model: InverseDynamics) -> Bench:
    expression = sg.ModelOutput(model, "before")
    return Bench.of(expression, ScriptedEnv, lanes=LANES, steps=16, gamma=None, seed=0, worlds=())


def _seen(experience: Experience) -> dict[str, np.ndarray]:
    return {"before": experience.steps.obs, "after": experience.steps.next_obs}


def test_one_fit_follows_the_gradient_of_the_paper() -> None:
    model = InverseDynamics(forward=0.2, width=3, hidden=8, share=1.0, batch=10_000)
    bench = _bench(model)
    memory, experience = model.init(bench.spec), bench.experience
    twin, rows = copy.deepcopy(memory.modules), bench.experience.rows()
    told, foreseen = curiosity_losses(twin, rows.obs, rows.action, rows.next_obs)
    (0.8 * told + 0.2 * foreseen).backward()
    logged = model.fit(experience, memory, _seen(experience))
    assert logged == pytest.approx({"inverse_loss": told.item(), "forward_loss": foreseen.item()}, rel=1e-5)
    for ours, theirs in zip(memory.modules.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-6)


def test_what_is_foreseen_badly_is_an_error() -> None:
    model = InverseDynamics(forward=0.2, width=3, hidden=8)
    bench = _bench(model)
    memory, rows = model.init(bench.spec), bench.experience.rows()
    seen = {"before": rows.obs, "after": rows.next_obs}
    errors = [
        curiosity_losses(memory.modules, rows.obs[[i]], rows.action[[i]], rows.next_obs[[i]])[1].item()
        for i in range(len(rows.action))
    ]
    np.testing.assert_allclose(model.evaluate(rows, memory, seen)["error"], errors, rtol=1e-4)


class _Acting(ScriptedEnv):
    """With another kind of action."""

    def __init__(self, space: gym.Space) -> None:
        super().__init__()
        self.action_space = space


@pytest.mark.parametrize(
    "space",
    [
        gym.spaces.Discrete(3, start=-1),
        gym.spaces.MultiDiscrete([2, 3]),
        gym.spaces.MultiBinary(3),
        gym.spaces.Box(-2.0, 4.0, (2,)),
    ],
)
def test_every_kind_of_action_can_be_told(space: gym.Space) -> None:
    check_model(InverseDynamics(forward=0.5, width=2, hidden=4), lambda: _Acting(space), steps=20)


def test_actions_are_read_at_unit_scale_and_judged_by_likelihood() -> None:
    numbers = ActionCode(
        gym.spaces.Box(np.array([-2.0, -np.inf]), np.array([4.0, np.inf]), dtype=float), "It"
    )
    rows = numbers.columns(np.array([[4.0, 7.0], [1.0, 0.0]]))
    np.testing.assert_array_equal(rows, [[1.0, 7.0], [0.0, 0.0]])
    said = torch.tensor([[0.0, 7.0], [0.0, 2.0]])
    np.testing.assert_allclose(numbers.log_likelihood(said, torch.from_numpy(rows)), [-0.5, -2.0])
    choices = ActionCode(gym.spaces.MultiDiscrete([2, 3], start=[0, 1]), "It")
    rows = choices.columns(np.array([[1, 3]]))
    np.testing.assert_array_equal(rows, [[0, 1, 0, 0, 1]])
    even = choices.log_likelihood(torch.zeros(1, 5), torch.from_numpy(rows))
    np.testing.assert_allclose(even, np.log([1 / 6]), rtol=1e-6)
    bits = ActionCode(gym.spaces.MultiBinary(3), "It")
    even = bits.log_likelihood(torch.zeros(1, 3), torch.from_numpy(bits.columns(np.array([[1, 0, 1]]))))
    np.testing.assert_allclose(even, np.log([1 / 8]), rtol=1e-6)


def test_actions_that_are_trees_are_refused_by_name() -> None:
    with pytest.raises(ObservationError, match=r"InverseDynamics cannot read actions of Text"):
        InverseDynamics().init(Spec(1, gym.spaces.Box(-1, 1, (3,)), gym.spaces.Text(3)))


def _moves(generator: np.random.Generator, steps: int) -> list[Transitions]:
    """The first number is what actions move; the second is noise that they do not."""
    stream, lanes = [], 32
    place = generator.normal(size=lanes)
    no, all_ = np.zeros(lanes, bool), np.ones(lanes, bool)
    noise = generator.normal(size=lanes)
    for _ in range(steps):
        action = generator.integers(0, 3, lanes)
        then, after = generator.normal(size=lanes), 0.8 * place + (action - 1)
        obs, next_obs = np.stack([place, noise], 1), np.stack([after, then], 1)
        stream.append(Transitions(obs, action, next_obs, np.zeros(lanes), no, no, no, all_))
        place, noise = after, then
    return stream


def test_codes_keep_what_actions_move_and_drop_what_they_do_not() -> None:
    model = InverseDynamics(width=4, hidden=32, learning_rate=5e-3, share=1.0, epochs=20)
    engine = RewardEngine(
        sg.ModelOutput(model),
        Spec(32, gym.spaces.Box(-9, 9, (2,)), gym.spaces.Discrete(3)),
        learn_every=None,
    )
    for step in _moves(np.random.default_rng(0), 32):
        engine.measure(step)
    engine.learn()
    assert engine.fitted["inverse_dynamics/inverse_loss"] < 0.3  # log 3 = 1.1 where nothing is known
    base = np.zeros((64, 2))
    moved, noisy = base.copy(), base.copy()
    moved[:, 0] = noisy[:, 1] = np.linspace(-1.5, 1.5, 64)
    of_place, of_noise = (
        engine.memories[-1].evaluate("encoder", rows).std(axis=0).sum() for rows in (moved, noisy)
    )
    assert of_place > 2.0 * of_noise


def test_observations_that_are_no_numbers_are_named() -> None:
    bench = _bench(model := InverseDynamics(width=3, hidden=8))
    engine = RewardEngine(sg.ModelOutput(model), bench.spec, learn_every=None)
    bench.stream[0].next_obs[1] = np.inf
    engine.measure(bench.stream[0])
    with pytest.raises(LearningError, match="not finite"):
        engine.learn()
