"""Random network distillation: against its paper in plain loops, and what it promises as a part."""

from __future__ import annotations

import copy

import gymnasium as gym
import numpy as np
import pytest
import torch
from intrinsic_reference import distillation_errors, standardised, stream_scale

import shapegym as sg
from shapegym.shaping.arrays import join_rows
from shapegym.shaping.errors import LearningError, ObservationError
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.intrinsic.rnd import RND, Distillation
from shapegym.shaping.models.sight import Sight
from shapegym.shaping.testing import ScriptedEnv, check_expression, check_model, record
from shapegym.shaping.transitions import Experience, Spec, Transitions

SMALL = RND(width=3, hidden=8)


def _bound(expression: sg.Expression, steps: int = 24) -> tuple[Spec, list[Transitions]]:
    return record(expression, ScriptedEnv, lanes=3, steps=steps, gamma=None, seed=0, worlds=())


def test_a_rollout_is_judged_before_it_is_learned_from() -> None:
    spec, stream = _bound(SMALL)
    engine = RewardEngine(SMALL, spec, learn_every=None)
    networks = copy.deepcopy(_networks(engine))
    stream = [step for step in stream if step.active.any()]
    for step in stream:
        engine.measure(step)
    parts = engine.learn()
    raw, scale, bonus = (
        parts[engine.term_names.index(name)] for name in ("model_output", "running_scale", "rnd")
    )
    errors = [distillation_errors(networks["fixed"], networks["trained"], step.next_obs) for step in stream]
    active = np.array([step.active for step in stream])
    np.testing.assert_allclose(raw[active], np.array(errors)[active], rtol=1e-4)
    np.testing.assert_allclose(
        scale[active], scale[0, 0]
    )  # one rollout is paid at the scale that it ends with
    np.testing.assert_allclose(scale[0, 0], stream_scale(raw.tolist(), active.tolist())[-1], rtol=1e-6)
    np.testing.assert_allclose(bonus, raw * scale)
    again = _networks(engine)
    assert all(
        torch.equal(a, b)
        for a, b in zip(networks["fixed"].parameters(), again["fixed"].parameters(), strict=True)
    )
    assert not torch.equal(next(networks["trained"].parameters()), next(again["trained"].parameters()))


def test_the_predictor_follows_the_gradient_of_the_transcription() -> None:
    model = Distillation(width=3, hidden=8, share=1.0, batch=10_000, learning_rate=1e-2)
    spec, stream = _bound(sg.ModelOutput(model))
    memory = model.init(spec)
    rows = np.concatenate([step.next_obs[step.active] for step in stream]).astype(np.float32)
    twin, fixed = copy.deepcopy(memory["trained"]), memory["fixed"]
    losses = [
        sum((a - b) ** 2 for a, b in zip(twin(x[None])[0], fixed(x[None])[0].detach(), strict=True)) / 3
        for x in torch.from_numpy(rows)
    ]
    (sum(losses) / len(losses)).backward()
    model.fit(_experience(stream), memory, {"after": np.stack([step.next_obs for step in stream])})
    for ours, theirs in zip(memory["trained"].parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-7)


def _networks(engine: RewardEngine) -> torch.nn.ModuleDict:
    return engine.memories[engine.program.model_names.index("distillation")].modules


def _experience(stream: list[Transitions]) -> Experience:
    return Experience(join_rows(np.stack, stream), np.arange(len(stream)))


def test_standardised_numbers_are_those_of_all_states_seen() -> None:
    sight = Sight(standardise=True, clip=1.5)
    spec, stream = _bound(sg.ModelOutput(sight))
    memory = sight.init(spec)
    half = len(stream) // 2
    for block in (stream[:half], stream[half:]):
        sight.fit(_experience(block), memory)
    seen = np.concatenate([step.next_obs[step.active] for step in stream])
    for side, rows in (("after", stream[0].next_obs), ("before", stream[0].obs)):
        shown = sight.evaluate(stream[0], memory)[side]
        np.testing.assert_allclose(shown, standardised(rows, seen, 1.5), rtol=1e-4, atol=1e-5)


def test_what_is_new_is_paid_more_than_what_was_learned() -> None:
    model = Distillation(share=1.0, epochs=30, width=8, hidden=32, learning_rate=1e-2)
    spec = Spec(64, gym.spaces.Box(-9.0, 9.0, (4,)), gym.spaces.Discrete(2))
    generator = np.random.default_rng(0)
    known, new = (generator.normal(center, 1.0, (64, 4)) for center in (0.0, 5.0))

    def at(states: np.ndarray) -> Transitions:
        no = np.zeros(64, dtype=bool)
        return Transitions(states, np.zeros(64, int), states, np.zeros(64), no, no, no, ~no)

    engine = RewardEngine(sg.ModelOutput(model), spec, learn_every=None)
    engine.measure(at(known))
    engine.learn()
    engine.measure(at(known))
    engine.measure(at(new))
    learned, fresh = engine.learn()[0]
    assert fresh.min() > 5 * learned.mean()


@pytest.mark.parametrize("network", ["mlp", "grid", "auto"])
def test_grids_of_symbols_are_read_by_every_network(network: str) -> None:
    reward = sg.TaskReward() + 0.1 * RND(Sight(("obs.image",), network=network), width=3, hidden=8)
    check_expression(reward, "shapegym/MiniGrid-DoorKey-5x5-v0")


def test_pictures_are_read_by_convolutions() -> None:
    model = Distillation(Sight(("obs.picture",)), both=True, width=3, hidden=8)
    check_model(model, _Pictures, steps=8)


class _Pictures(ScriptedEnv):
    """A Dict with a picture of bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = gym.spaces.Dict({"picture": gym.spaces.Box(0, 255, (3, 36, 40), np.uint8)})

    def reset(self, **kwargs):
        obs, info = super().reset(**kwargs)
        return self._picture(obs), info

    def step(self, action):
        obs, *rest = super().step(action)
        return self._picture(obs), *rest

    def _picture(self, obs):
        value = int(abs(np.sum(obs)) * 40) % 256
        return {"picture": np.full((3, 36, 40), value, np.uint8)}


@pytest.mark.parametrize(
    ("sight", "said"),
    [
        (Sight(network="cnn"), "pictures"),
        (Sight(network="grid"), "three a cell"),
        (Sight(("obs[0]",), network="cnn"), "pictures"),
    ],
)
def test_a_network_for_something_else_is_refused(sight: Sight, said: str) -> None:
    with pytest.raises(ObservationError, match=said):
        _bound(RND(sight))


def test_observations_that_are_no_numbers_are_named() -> None:
    spec, stream = _bound(SMALL)
    engine = RewardEngine(SMALL, spec, learn_every=None)
    stream[0].next_obs[1] = np.nan
    engine.measure(stream[0])
    with pytest.raises(LearningError, match="not finite"):
        engine.learn()


def test_constant_observations_pay_next_to_nothing_soon() -> None:
    spec, stream = _bound(SMALL)
    engine = RewardEngine(
        RND(width=3, hidden=8, scale="none", learning_rate=1e-2, epochs=8), spec, learn_every=None
    )
    paid = []
    for _ in range(20):
        for step in stream:
            step.next_obs[:] = 0.5
            engine.measure(step)
        paid.append(float(engine.learn()[-1].mean()))
    assert paid[-1] < 0.05 * paid[0]
