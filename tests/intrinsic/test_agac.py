"""AGAC: against its paper, what it does while PPO learns, and that whatever does not know the policy refuses it by name."""

from __future__ import annotations

import copy
import math

import gymnasium as gym
import numpy as np
import pytest
import torch
from sb3_contrib import MaskablePPO, RecurrentPPO
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.callbacks import StopTrainingOnMaxEpisodes
from stable_baselines3.common.vec_env import DummyVecEnv

import shapegym as sg
from shapegym.shaping.errors import WiringError
from shapegym.shaping.models.action_code import ActionCode
from shapegym.shaping.models.adversary import Adversary
from shapegym.shaping.surfaces.wiring import engine_of
from shapegym.shaping.testing import ScriptedEnv, check_model
from shapegym.shaping.testing.recording import Bench

REWARD = sg.TaskReward() + 0.5 * sg.AGAC(hidden=8, learning_rate=1e-2)


def _venv(kind: type = ScriptedEnv, lanes: int = 2) -> DummyVecEnv:
    return DummyVecEnv([kind] * lanes)


class _Forces(ScriptedEnv):
    def __init__(self) -> None:
        super().__init__()
        self.action_space = gym.spaces.Box(-2.0, 2.0, (2,))


class _Masked(ScriptedEnv):
    def action_masks(self) -> np.ndarray:
        return np.array([True, True, False])


@pytest.mark.parametrize("kind", [ScriptedEnv, _Forces])
def test_the_bonus_is_the_log_ratio_and_the_adversary_follows_the_likelihood(kind: type) -> None:
    model = PPO("MlpPolicy", _venv(kind), n_steps=8, batch_size=16, seed=0)
    sg.wire(model, REWARD)
    engine = engine_of(model)
    before = copy.deepcopy(engine.memories[-1].modules)
    met = []
    measure = engine.measure

    def watched(step):
        met.append((step.obs.copy(), step.action.copy()))
        return measure(step)

    engine.measure = watched
    model.learn(16)
    paid = model.rollout_buffer.settled.parts[engine.term_names.index("agac")]
    log_probs = model.rollout_buffer.log_probs.reshape(2, 8).T  # SB3 has flattened it, lane by lane
    for t in range(8):
        for lane in range(2):
            obs, action = (values[lane] for values in met[t])
            said = before["policy"](torch.from_numpy(obs[None].astype(np.float32)))[0].tolist()
            if kind is ScriptedEnv:
                theirs = said[action] - math.log(sum(math.exp(x) for x in said))
            else:
                theirs = 0.0
                for x, mean, log_deviation in zip(action / 2, said[:2], said[2:], strict=True):
                    deviation = math.exp(max(-5.0, min(2.0, log_deviation)))
                    theirs -= 0.5 * ((x - mean) / deviation) ** 2 + math.log(
                        deviation * math.sqrt(2 * math.pi) * 2.0
                    )
            assert paid[t, lane] == pytest.approx(log_probs[t, lane] - theirs, rel=1e-4, abs=1e-5)


def test_the_adversary_comes_to_act_as_the_agent_does() -> None:
    """An agent that always does the same soon surprises nobody; one that changes its mind does again."""
    model = Adversary(hidden=16, learning_rate=1e-2, epochs=10)
    bench = Bench.of(sg.ModelOutput(model), ScriptedEnv, lanes=3, steps=20, gamma=None, seed=0, worlds=())
    memory, experience = model.init(bench.spec), bench.experience
    seen = {"before": experience.steps.obs}
    experience.steps.action[:] = 1
    for _ in range(10):
        model.fit(experience, memory, seen)
    rows = experience.rows()
    known = model.evaluate(rows, memory, {"before": rows.obs})["log_prob"]
    rows.action[:] = 2
    new = model.evaluate(rows, memory, {"before": rows.obs})["log_prob"]
    assert known.mean() > -0.1
    assert new.mean() < -3.0


@pytest.mark.parametrize(
    "space", [gym.spaces.MultiDiscrete([2, 3]), gym.spaces.MultiBinary(2), gym.spaces.Box(-2.0, 4.0, (2,))]
)
def test_every_kind_of_action_can_be_imitated(space: gym.Space) -> None:
    class Acting(ScriptedEnv):
        def __init__(self) -> None:
            super().__init__()
            self.action_space = space

    check_model(Adversary(hidden=4), Acting, steps=20)


def test_a_density_is_that_of_the_actions_themselves() -> None:
    code = ActionCode(gym.spaces.Box(-2.0, 4.0, (2,)), "It")
    action = np.array([[1.0, 2.5]])
    told = code.density(torch.tensor([[0.5, 0.0, 0.0, 1.0]]), torch.from_numpy(code.columns(action)))
    one = torch.distributions.Normal(torch.tensor([2.5, 1.0]), torch.tensor([3.0, 3.0 * math.e]))
    np.testing.assert_allclose(told, one.log_prob(torch.from_numpy(action)).sum(1), rtol=1e-5)


@pytest.mark.parametrize(
    ("algorithm", "policy", "kind"),
    [
        (A2C, "MlpPolicy", ScriptedEnv),
        (RecurrentPPO, "MlpLstmPolicy", ScriptedEnv),
        (MaskablePPO, "MlpPolicy", _Masked),
    ],
)
def test_it_is_paid_wherever_a_policy_is_sampled(algorithm: type, policy: str, kind: type) -> None:
    more = {} if algorithm is A2C else {"batch_size": 8}
    model = algorithm(policy, _venv(kind), n_steps=8, seed=0, **more)
    sg.wire(model, REWARD)
    model.learn(48)
    settled = model.rollout_buffer.settled
    assert np.abs(settled.parts[engine_of(model).term_names.index("agac")]).min() > 0


def test_who_does_not_know_the_policy_refuses_it_by_name() -> None:
    with pytest.raises(WiringError, match=r"'agac' reads the log-probabilities.*on-policy"):
        sg.wire(DQN("MlpPolicy", _venv(lanes=1), learning_starts=4), REWARD)
    with pytest.raises(WiringError, match="'agac' reads the log-probabilities"):
        sg.wire(ScriptedEnv(), REWARD)
    with pytest.raises(WiringError, match="'agac' reads the log-probabilities"):
        sg.wire(_venv(), REWARD)


def test_a_run_that_is_saved_goes_on_to_the_bit(tmp_path) -> None:
    def made():
        model = PPO("MlpPolicy", _venv(), n_steps=8, batch_size=16, seed=0)
        return sg.wire(model, REWARD)

    whole, half = made(), made()
    whole.learn(32)
    half.learn(16)
    sg.save_engine(engine_of(half), tmp_path / "half")
    again = made()
    sg.load_engine(engine_of(again), tmp_path / "half")
    ours, theirs = engine_of(again).memories[-1].state_dict(), engine_of(half).memories[-1].state_dict()
    np.testing.assert_equal(ours, theirs)
    half.learn(16, reset_num_timesteps=False)
    assert engine_of(half).clock == engine_of(whole).clock


def test_steps_of_a_stopped_rollout_are_booked_without_it() -> None:
    model = sg.wire(PPO("MlpPolicy", _venv(), n_steps=8, batch_size=16, seed=0), REWARD)
    model.learn(16, callback=StopTrainingOnMaxEpisodes(1))
    model.learn(32)
    assert np.isfinite(model.rollout_buffer.rewards).all()
