"""ICM, Disagreement and RIDE: against their papers in plain loops, what each claims, in miniature, and what they refuse."""

from __future__ import annotations

import copy

import gymnasium as gym
import numpy as np
import pytest
import torch
from intrinsic_reference import curiosity_losses, disagreement, ride_bonuses, single_member

import shapegym as sg
from shapegym.shaping.errors import LearningError, ObservationError, ShapingError, UnknownNameError
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.models.ensemble import Ensemble
from shapegym.shaping.models.inverse_dynamics import InverseDynamics
from shapegym.shaping.terms.counts import CountBonus
from shapegym.shaping.testing import ScriptedEnv
from shapegym.shaping.testing.recording import Bench
from shapegym.shaping.transitions import Spec, Transitions
from shapegym.shaping.tree import models_of

METHODS = [sg.ICM, sg.Disagreement, sg.RIDE]


def _bench(expression: sg.Expression, lanes: int = 3, steps: int = 20) -> Bench:
    return Bench.of(expression, ScriptedEnv, lanes=lanes, steps=steps, gamma=None, seed=0, worlds=())


def _rollout(expression: sg.Expression) -> tuple[Bench, torch.nn.ModuleDict, np.ndarray]:
    """Return a bench, the networks as they judged its stream, and the parts of the whole expression, (T, B)."""
    bench = _bench(expression)
    engine = RewardEngine(expression, bench.spec, learn_every=None)
    networks = copy.deepcopy(engine.memories[-1].modules)
    for step in bench.stream:
        engine.measure(step)
    return bench, networks, engine.learn()[engine.term_names.index(engine.addends[0])]


def test_curiosity_is_the_error_of_the_forward_model() -> None:
    bench, networks, paid = _rollout(sg.ICM(width=3, hidden=8, scale="none"))
    rows = bench.experience.rows()
    errors = [
        curiosity_losses(networks, rows.obs[[i]], rows.action[[i]], rows.next_obs[[i]])[1].item()
        for i in range(len(rows.action))
    ]
    np.testing.assert_allclose(bench.experience.flat(paid), errors, rtol=1e-4)


def test_disagreement_is_the_variance_of_the_members() -> None:
    bench, networks, paid = _rollout(sg.Disagreement(members=3, width=2, hidden=5, scale="none"))
    rows = bench.experience.rows()
    expected = disagreement(networks, 3, rows.obs, rows.action)
    np.testing.assert_allclose(bench.experience.flat(paid), expected, rtol=1e-3)


def test_members_follow_the_gradient_of_their_own_losses() -> None:
    model = Ensemble(members=2, width=2, hidden=5, share=1.0, batch=10_000)
    bench = _bench(sg.ModelOutput(model))
    memory, rows = model.init(bench.spec), bench.experience.rows()
    twin = copy.deepcopy(memory.modules)
    loss: torch.Tensor = torch.zeros(())
    for s, a, then in zip(rows.obs, rows.action, rows.next_obs, strict=True):
        code, wanted = (
            twin["encoder"](torch.from_numpy(row[None].astype(np.float32)))[0].detach() for row in (s, then)
        )
        read = torch.cat([code, torch.eye(3)[a]])
        said = twin["members"](read[None])[0]
        for k in range(2):
            assert said[k].tolist() == pytest.approx(
                single_member(twin["members"], k, read.tolist()), rel=1e-4, abs=1e-6
            )
            loss = loss + sum((x - y) ** 2 for x, y in zip(said[k], wanted, strict=True))
    (loss / (len(rows.action) * 2 * 2)).backward()
    model.fit(
        bench.experience,
        memory,
        {"before": bench.experience.steps.obs, "after": bench.experience.steps.next_obs},
    )
    for ours, theirs in zip(memory["members"].parameters(), twin["members"].parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-6)


def test_impact_over_the_root_of_episodic_visits() -> None:
    bench, networks, paid = _rollout(sg.RIDE(width=3, hidden=8))
    steps = bench.experience.steps
    expected = ride_bonuses(networks["encoder"], steps.obs, steps.next_obs, steps.first, steps.active)
    np.testing.assert_allclose(paid[steps.active], np.array(expected)[steps.active], rtol=1e-4, atol=1e-6)


def test_ride_is_a_plain_product_and_shares_its_codes() -> None:
    product = sg.Impact(InverseDynamics(forward=0.2)) * CountBonus("obs", scope="episode")
    assert sg.RIDE().raw == product
    assert (
        len([model for model in models_of(sg.ICM() + sg.RIDE()) if isinstance(model, InverseDynamics)]) == 1
    )
    stored = {type(term).__name__: term.replay for term in sg.RIDE().raw.children}
    assert stored == {"Impact": sg.Replay.FROZEN, "CountBonus": sg.Replay.STAMP}


def test_codes_of_one_state_have_no_impact() -> None:
    from shapegym.shaping.models.encoder import RandomEncoder

    with pytest.raises(UnknownNameError, match="'after'"):
        _bench(sg.Impact(RandomEncoder()))


# ---------------------------------------------------------------------- what the papers claim

SPEC = Spec(64, gym.spaces.Box(-9.0, 9.0, (4,)), gym.spaces.Discrete(2))


def _from(states: np.ndarray, generator: np.random.Generator, noise: float = 0.0) -> Transitions:
    """Every action moves a state by a fixed amount; with noise the last number comes to anything."""
    action = generator.integers(0, 2, 64)
    after = states + np.where(action[:, None] == 1, [0.5, -0.5, 0.0, 0.0], [-0.5, 0.0, 0.5, 0.0])
    after[:, 3] = noise * generator.normal(size=64)
    no = np.zeros(64, dtype=bool)
    return Transitions(states, action, after, np.zeros(64), no, no, no, ~no)


@pytest.mark.parametrize("method", [sg.ICM, sg.Disagreement])
def test_where_nothing_was_learned_is_paid_more(method: type) -> None:
    engine = RewardEngine(
        method(share=1.0, epochs=30, width=8, hidden=32, learning_rate=5e-3, scale="none"),
        SPEC,
        learn_every=None,
    )
    generator = np.random.default_rng(0)
    for _ in range(4):
        engine.measure(_from(generator.normal(0.0, 1.0, (64, 4)), generator))
    engine.learn()
    for center in (0.0, 6.0):
        engine.measure(_from(generator.normal(center, 1.0, (64, 4)), generator))
    known, new = engine.learn()[-1]
    assert new.mean() > 3 * known.mean()


def test_members_agree_on_what_nobody_can_foresee() -> None:
    engine = RewardEngine(
        sg.Disagreement(share=1.0, epochs=20, width=8, hidden=32, learning_rate=5e-3, scale="none"),
        SPEC,
        learn_every=None,
    )
    generator = np.random.default_rng(0)
    paid = []
    for _ in range(8):
        for _ in range(8):
            engine.measure(_from(generator.normal(0.0, 1.0, (64, 4)), generator, noise=2.0))
        paid.append(float(engine.learn()[-1].mean()))
    assert engine.fitted["ensemble/loss"] > 10 * paid[-1]  # the error stays, the disagreement goes
    assert paid[-1] < 0.3 * paid[0]


def test_going_back_and_forth_pays_less_and_less() -> None:
    engine = RewardEngine(
        sg.RIDE(width=3, hidden=8), Spec(1, SPEC.observation_space, SPEC.action_space), learn_every=None
    )
    here, there = np.zeros((1, 4)), np.ones((1, 4))
    no = np.zeros(1, dtype=bool)
    for t in range(8):
        pair = (here, there) if t % 2 == 0 else (there, here)
        engine.measure(
            Transitions(pair[0], np.zeros(1, int), pair[1], np.zeros(1), no, no, no | (t == 0), ~no)
        )
    paid = engine.learn()[-1][:, 0]
    np.testing.assert_allclose(paid / paid[0], 1 / np.sqrt([1, 1, 2, 2, 3, 3, 4, 4]), rtol=1e-5)


# ---------------------------------------------------------------------- bad input


@pytest.mark.parametrize("method", METHODS)
def test_a_constant_observation_pays_nothing_of_note(method: type) -> None:
    reward = method(width=3, hidden=8, scale="none", learning_rate=1e-2, epochs=8)
    bench = _bench(reward)
    engine = RewardEngine(reward, bench.spec, learn_every=None)
    paid = []
    for _ in range(12):
        for step in bench.stream:
            step.obs[:] = step.next_obs[:] = 0.5
            engine.measure(step)
        paid.append(np.abs(engine.learn()[-1]).mean())
    assert paid[-1] <= max(0.2 * paid[0], 1e-12)
    assert np.isfinite(paid).all()


@pytest.mark.parametrize("method", METHODS)
def test_one_lane_with_episodes_of_one_step(method: type) -> None:
    reward = method(width=3, hidden=8)
    bench = _bench(reward, lanes=1)
    engine = RewardEngine(reward, bench.spec, learn_every=1)
    for step in bench.stream:
        step.first[:] = step.terminated[:] = True
        shaped, _, _ = engine.step(step)
        assert np.isfinite(shaped).all()


@pytest.mark.parametrize("method", METHODS)
def test_a_dict_needs_a_choice_and_a_vector_is_no_picture(method: type) -> None:
    def bind(sight: sg.Sight, space: gym.Space) -> None:
        RewardEngine(method(sight), Spec(1, space, gym.spaces.Discrete(2)))

    with pytest.raises(ObservationError, match=r"ambiguous: select one entry"):
        bind(sg.Sight(), gym.spaces.Dict(a=gym.spaces.Box(0, 1, (2,)), b=gym.spaces.Box(0, 1, (2,))))
    with pytest.raises(ObservationError, match="pictures"):
        bind(sg.Sight(network="cnn"), gym.spaces.Box(0, 1, (5,)))
    with pytest.raises(ShapingError, match="three a cell"):
        bind(sg.Sight(network="grid"), gym.spaces.Box(0, 255, (64, 64, 3), np.float32))
    bind(
        sg.Sight(network="mlp"), gym.spaces.Box(0, 255, (8, 8, 3), np.uint8)
    )  # a picture may be read as numbers


@pytest.mark.parametrize("method", METHODS)
def test_numbers_that_are_not_finite_are_named(method: type) -> None:
    reward = method(width=3, hidden=8)
    bench = _bench(reward)
    engine = RewardEngine(reward, bench.spec, learn_every=None)
    bench.stream[0].obs[1] = np.nan
    engine.measure(bench.stream[0])
    with pytest.raises(LearningError, match="not finite"):
        engine.learn()
