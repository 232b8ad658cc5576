from copy import deepcopy

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.wrappers import NormalizeReward, TransformReward
from sb3_contrib import ARS
from sb3_reference import Walk
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    VecEnvWrapper,
    VecFrameStack,
    VecMonitor,
    VecNormalize,
)
from stable_baselines3.her.her_replay_buffer import HerReplayBuffer

from shapegym.shaping.algebra import Constant, TaskReward
from shapegym.shaping.combinators.gate import gate
from shapegym.shaping.combinators.renorm import renorm
from shapegym.shaping.errors import DiscountError, HindsightError, WiringError
from shapegym.shaping.states.keys import SimHash
from shapegym.shaping.surfaces.findings import EXPLANATIONS, check_wiring
from shapegym.shaping.surfaces.gym_env import ShapedEnv
from shapegym.shaping.surfaces.sb3_replay import HindsightReplay
from shapegym.shaping.surfaces.sb3_vec import MeasuringVecEnv, ShapedVecEnv
from shapegym.shaping.surfaces.vector_env import ShapedVectorEnv
from shapegym.shaping.surfaces.wiring import engine_of, wire
from shapegym.shaping.terms.counts import CountBonus
from shapegym.shaping.terms.potential import Potential
from shapegym.shaping.weights.blend import blend
from shapegym.shaping.weights.normalize import normalize

torch.set_num_threads(1)
GAMMA = 0.9
PROGRESS = TaskReward() + Potential("features.progress")
ON_POLICY = {"n_steps": 8, "batch_size": 8, "n_epochs": 1, "gamma": GAMMA, "device": "cpu"}
OFF_POLICY = {
    "buffer_size": 100,
    "learning_starts": 10,
    "seed": 0,
    "batch_size": 4,
    "gamma": GAMMA,
    "device": "cpu",
}


def dummy(make=Walk, count=1):
    return DummyVecEnv([make] * count)


def ppo(venv, **kwargs):
    return PPO("MlpPolicy", venv, **{**ON_POLICY, **kwargs}, policy_kwargs={"net_arch": [4]})


def dqn(venv, **kwargs):
    policy = "MultiInputPolicy" if isinstance(venv.observation_space, gym.spaces.Dict) else "MlpPolicy"
    return DQN(policy, venv, **deepcopy({**OFF_POLICY, **kwargs}), policy_kwargs={"net_arch": [4]})


def online(venv, expression=PROGRESS, gamma=GAMMA):
    return ShapedVecEnv(venv, expression, gamma=gamma)


def codes(model):
    return [(finding.code, finding.severity) for finding in check_wiring(model)]


class Doubles(VecEnvWrapper):
    def reset(self):
        return self.venv.reset()

    def step_wait(self):
        obs, reward, dones, infos = self.venv.step_wait()
        return obs, reward * 2, dones, infos


class MyReplayBuffer(ReplayBuffer):
    """A user's own buffer."""


# ---------------------------------------------------------------------- what wire does


def test_environments_get_the_surface_that_pays_at_once():
    assert isinstance(wire(Walk(), PROGRESS, gamma=GAMMA), ShapedEnv)
    assert isinstance(wire(dummy(), PROGRESS, gamma=GAMMA), ShapedVecEnv)
    vector = gym.vector.SyncVectorEnv([Walk])
    assert isinstance(wire(vector, PROGRESS, gamma=GAMMA), ShapedVectorEnv)
    late = gate(Potential("features.progress"), threshold=0.5)
    with pytest.raises(HindsightError):
        wire(dummy(), late, gamma=GAMMA)
    wire(dummy(), late, gamma=GAMMA, pay_at_end=True)


def test_what_cannot_be_wired_says_what_can():
    with pytest.raises(WiringError, match="VectorEnv"):
        wire("CartPole-v1", PROGRESS)


def test_the_measured_environment_is_the_innermost():
    venv = dummy()
    model = wire(ppo(VecNormalize(VecFrameStack(venv, 2), norm_reward=False)), PROGRESS, seed=7)
    assert isinstance(model.env, VecNormalize)
    assert isinstance(model.env.venv.venv, MeasuringVecEnv)
    assert model.env.venv.venv.venv is venv
    assert engine_of(model).spec.seed == 7
    assert engine_of(model).spec.gamma == GAMMA


def test_engine_of_finds_the_one_engine():
    shaped = wire(Walk(), PROGRESS, gamma=GAMMA)
    assert engine_of(shaped) is shaped.engine
    assert engine_of(gym.wrappers.TimeLimit(shaped, 10)) is shaped.engine
    with pytest.raises(WiringError, match="not shaped"):
        engine_of(ppo(dummy()))
    with pytest.raises(WiringError, match="2 engines"):
        engine_of(dummy(lambda: wire(Walk(), PROGRESS, gamma=GAMMA), 2))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: wire(ppo(dummy()), PROGRESS), "wired already"),
        (lambda: ppo(online(dummy())), "shaped already by ShapedVecEnv"),
        (lambda: ppo(dummy(lambda: wire(Walk(), PROGRESS, gamma=GAMMA))), "shaped already by ShapedEnv"),
        (lambda: ppo(VecNormalize(dummy())), "norm_reward=False"),
        (lambda: dqn(dummy()).learn(20), "holds 20 transitions"),
        (lambda: dqn(dummy(), replay_buffer_class=MyReplayBuffer), "class ShapedMyReplayBuffer"),
        (lambda: ARS("LinearPolicy", dummy(), device="cpu"), "no rollout or replay buffer"),
        (lambda: PPO.load(_saved(ppo(dummy()))), "set_env"),
    ],
)
def test_a_model_that_would_be_shaped_wrongly_is_refused_and_unchanged(make, message):
    model = make()
    env, buffer = model.env, getattr(model, "rollout_buffer", None)
    with pytest.raises(WiringError, match=message):
        wire(model, PROGRESS)
    assert model.env is env
    assert getattr(model, "rollout_buffer", None) is buffer


def _saved(model):
    import io

    file = io.BytesIO()
    model.save(file)
    file.seek(0)
    return file


def test_options_that_contradict_a_model_are_refused():
    with pytest.raises(DiscountError, match=r"0\.5"):
        wire(ppo(dummy()), PROGRESS, gamma=0.5)
    with pytest.raises(DiscountError):
        wire(ppo(dummy()), TaskReward() + Potential("features.progress", gamma=0.5))
    with pytest.raises(WiringError, match="pay_at_end"):
        wire(ppo(dummy()), PROGRESS, pay_at_end=True)


def test_an_own_buffer_class_joins_by_deriving_from_it():
    class Own(ReplayBuffer):
        """A user's own buffer."""

    class ShapedOwn(HindsightReplay, Own):
        """Its shaped counterpart."""

    model = wire(dqn(dummy(), replay_buffer_class=Own), PROGRESS)
    assert type(model.replay_buffer) is ShapedOwn
    model.learn(20)
    assert np.any(model.replay_buffer.rewards != model.replay_buffer.task_rewards)


# ---------------------------------------------------------------------- what check_wiring finds

GOALS = {"replay_buffer_class": HerReplayBuffer}

CORRECT = {
    "wired on-policy": lambda: wire(ppo(dummy()), PROGRESS),
    "wired off-policy": lambda: wire(dqn(VecMonitor(dummy())), PROGRESS),
    "wired, monitored lanes": lambda: wire(ppo(dummy(lambda: Monitor(Walk()), 2)), PROGRESS),
    "wired, normalised observations": lambda: wire(dqn(VecNormalize(dummy(), norm_reward=False)), PROGRESS),
    "wired HER": lambda: wire(dqn(dummy(lambda: Walk("dict")), **GOALS), PROGRESS),
    "wired n-step": lambda: wire(dqn(dummy(), n_steps=3), PROGRESS),
    "wired after loading": lambda: wire(PPO.load(_saved(ppo(dummy())), env=dummy()), PROGRESS),
    "inside VecNormalize, off-policy": lambda: dqn(VecNormalize(online(dummy()))),
    "inside VecNormalize, on-policy": lambda: ppo(VecNormalize(online(dummy()))),
    "outside VecMonitor": lambda: ppo(online(VecMonitor(dummy()))),
    "shaped lanes around monitors": lambda: dqn(
        dummy(lambda: wire(Monitor(Walk()), PROGRESS, gamma=GAMMA), 2)
    ),
    "a running scale with a discount of its own": lambda: wire(
        ppo(dummy()), TaskReward() + normalize(Constant(0.1), "return", gamma=0.5)
    ),
    "counts of floats in steps": lambda: wire(ppo(dummy()), TaskReward() + CountBonus("obs", resolution=0.5)),
    "counts of floats in hashes": lambda: wire(
        dqn(dummy()), TaskReward() + CountBonus("obs", hashing=SimHash(8))
    ),
    "a bonus without guarantee": lambda: wire(ppo(dummy()), TaskReward() + 0.1),
}


@pytest.mark.parametrize("name", CORRECT)
def test_a_correct_set_up_has_no_findings(name):
    model = CORRECT[name]()
    assert check_wiring(model, raise_on_error=True) == []
    model.learn(24)
    assert check_wiring(model) == []


def _measured_not_paid():
    model = wire(dqn(dummy()), PROGRESS)
    model.replay_buffer = dqn(dummy()).replay_buffer
    return model


def _environment_replaced():
    model = wire(dqn(dummy()), PROGRESS)
    model.set_env(dummy())
    return model


def _buffer_detached():
    model = wire(dqn(dummy()), PROGRESS)
    model.replay_buffer = deepcopy_without_source(model.replay_buffer)
    return model


def deepcopy_without_source(buffer):
    import pickle

    return pickle.loads(pickle.dumps(buffer))


def _normalised_later():
    model = wire(ppo(VecNormalize(dummy(), norm_reward=False)), PROGRESS)
    model.env.norm_reward = True
    return model


def _other_gamma():
    model = wire(ppo(dummy()), PROGRESS)
    model.gamma = 0.5
    return model


def _shaped_beneath(venv):
    """Surfaces refuse what is shaped; so it is put there behind their backs."""
    model = ppo(online(dummy()))
    model.env.venv = venv
    return model


def shaped_lane(inner=lambda env: env, outer=lambda env: env):
    return dummy(lambda: outer(wire(inner(Walk()), PROGRESS, gamma=GAMMA)))


WRONG = {
    "no shaping": (lambda: ppo(dummy()), [("unshaped", "info")]),
    "buffer replaced": (_measured_not_paid, [("measured-not-paid", "error")]),
    "buffer loaded after wiring": (_buffer_detached, [("buffer-detached", "error")]),
    "environment replaced": (_environment_replaced, [("environment-replaced", "error")]),
    "two layers": (lambda: _shaped_beneath(online(dummy())), [("shaped-twice", "error")]),
    "two kinds of layer": (lambda: _shaped_beneath(shaped_lane()), [("shaped-twice", "error")]),
    "outside VecNormalize, off-policy": (
        lambda: dqn(online(VecNormalize(dummy()))),
        [("dropped-outside-normalize", "error")],
    ),
    "foreign wrapper outside VecNormalize": (
        lambda: dqn(Doubles(VecNormalize(online(dummy())))),
        [("dropped-outside-normalize", "warning")],
    ),
    "outside VecNormalize, on-policy": (
        lambda: ppo(online(VecNormalize(dummy()))),
        [("task-rescaled", "warning")],
    ),
    "normalised after wiring": (_normalised_later, [("task-rescaled", "error")]),
    "NormalizeReward outside": (
        lambda: ppo(shaped_lane(outer=NormalizeReward)),
        [("reward-normalised-by-lane", "warning")],
    ),
    "NormalizeReward inside": (
        lambda: ppo(shaped_lane(inner=NormalizeReward)),
        [("reward-normalised-by-lane", "warning")],
    ),
    "NormalizeReward, wired": (
        lambda: wire(ppo(dummy(lambda: NormalizeReward(Walk()))), PROGRESS),
        [("reward-normalised-by-lane", "warning")],
    ),
    "HER with a wrapper around all lanes": (
        lambda: dqn(online(dummy(lambda: Walk("dict"))), **GOALS),
        [("missed-by-hindsight", "error")],
    ),
    "HER with shaped lanes": (
        lambda: dqn(dummy(lambda: wire(Walk("dict"), PROGRESS, gamma=GAMMA)), **GOALS),
        [("missed-by-hindsight", "error")],
    ),
    "HER with a reward wrapper, wired": (
        lambda: wire(dqn(dummy(lambda: TransformReward(Walk("dict"), lambda r: r + 1)), **GOALS), PROGRESS),
        [("missed-by-hindsight", "error")],
    ),
    "monitor outside a lane's shaping": (
        lambda: ppo(shaped_lane(outer=Monitor)),
        [("monitor-sees-shaped", "warning")],
    ),
    "SB3 adds a monitor by itself": (
        lambda: ppo(wire(Walk(), PROGRESS, gamma=GAMMA)),
        [("monitor-sees-shaped", "warning")],
    ),
    "monitor outside the shaping of all lanes": (
        lambda: ppo(VecMonitor(online(dummy()))),
        [("monitor-sees-shaped", "warning")],
    ),
    "two monitors": (
        lambda: wire(ppo(dummy(lambda: Monitor(Monitor(Walk())))), PROGRESS),
        [("nested-monitors", "warning")],
    ),
    "another gamma": (lambda: ppo(online(dummy(), gamma=0.5)), [("gamma-mismatch", "error")]),
    "gamma changed after wiring": (_other_gamma, [("gamma-mismatch", "error")]),
    "n-step returns with another gamma": (
        lambda: wire(dqn(dummy(), **_n_step(0.5)), TaskReward() + 0.1),
        [("n-step-gamma-mismatch", "error")],
    ),
    "no task reward": (
        lambda: wire(ppo(dummy()), Potential("features.progress")),
        [("task-dropped", "warning")],
    ),
    "the task twice": (
        lambda: wire(ppo(dummy()), TaskReward() + 0.5 * gate(Constant(0.1), threshold=1.0)),
        [("task-paid-twice", "warning")],
    ),
    "the task twice, as an outcome of every step": (
        lambda: wire(ppo(dummy()), TaskReward() + renorm(Constant(0.1))),
        [("task-paid-twice", "warning")],
    ),
    "weights that nobody learns": (
        lambda: wire(ppo(dummy()), blend(TaskReward(), Potential("features.progress"))),
        [("weights-stay", "info")],
    ),
    "lifetime counts of floats": (
        lambda: wire(ppo(dummy()), TaskReward() + CountBonus("obs", beta=0.1)),
        [("term-remark", "warning")],
    ),
    "a clipped potential": (
        lambda: wire(ppo(dummy()), TaskReward() + _clipped()),
        [("guarantee-lost", "info")],
    ),
}


def _n_step(gamma):
    from stable_baselines3.common.buffers import NStepReplayBuffer

    return {"replay_buffer_class": NStepReplayBuffer, "replay_buffer_kwargs": {"n_steps": 3, "gamma": gamma}}


def _clipped():
    from shapegym.shaping.algebra import clip

    return clip(Potential("features.progress"))


@pytest.mark.parametrize("name", WRONG)
def test_every_wrong_set_up_is_named(name):
    make, expected = WRONG[name]
    model = make()
    assert codes(model) == expected
    messages = [str(finding) for finding in check_wiring(model)]
    assert all("{" not in message for message in messages)
    if expected[0][1] == "error":
        with pytest.raises(WiringError, match=expected[0][0]):
            check_wiring(model, raise_on_error=True)
    else:
        check_wiring(model, raise_on_error=True)


def test_every_explanation_has_a_case():
    assert {code for _, expected in WRONG.values() for code, _ in expected} == set(EXPLANATIONS)


def test_checking_has_no_side_effects():
    model = wire(dqn(dummy()), PROGRESS)
    model.learn(24)
    clock, steps, position = engine_of(model).clock, model.env.steps, model.replay_buffer.pos
    check_wiring(model)
    assert (engine_of(model).clock, model.env.steps, model.replay_buffer.pos) == (clock, steps, position)


def test_a_model_without_environment_cannot_be_checked():
    with pytest.raises(WiringError, match="set_env"):
        check_wiring(PPO.load(_saved(ppo(dummy()))))
