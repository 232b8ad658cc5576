"""What users do with a wired model beside `learn`: evaluate, stop, save, load, copy, exchange its environment."""

import io
from copy import deepcopy

import cloudpickle
import numpy as np
import pytest
import torch
from sb3_contrib import QRDQN, MaskablePPO, RecurrentPPO
from sb3_reference import Walk, additive
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.callbacks import (
    BaseCallback,
    EvalCallback,
    EveryNTimesteps,
    StopTrainingOnMaxEpisodes,
)
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    VecCheckNan,
    VecFrameStack,
    VecMonitor,
    VecNormalize,
    VecTransposeImage,
    sync_envs_normalization,
)
from stable_baselines3.her.her_replay_buffer import HerReplayBuffer

from shapegym.shaping.algebra import Constant, TaskReward
from shapegym.shaping.combinators.gate import gate
from shapegym.shaping.errors import WiringError
from shapegym.shaping.surfaces.findings import check_wiring
from shapegym.shaping.surfaces.sb3_vec import MeasuringVecEnv, ShapedVecEnv
from shapegym.shaping.surfaces.wiring import engine_of, wire
from shapegym.shaping.terms.potential import Potential

torch.set_num_threads(1)
pytestmark = pytest.mark.filterwarnings(
    "ignore:`n_steps=3` is ignored"
)  # SB3 says so of every n-step model that it loads
GAMMA = 0.9
PROGRESS = TaskReward() + Potential("obs[0]")
NET = {"policy_kwargs": {"net_arch": [4]}, "device": "cpu", "seed": 0, "gamma": GAMMA}
ROLLOUT = {"n_steps": 8, "batch_size": 8, "n_epochs": 1, **NET}
REPLAY = {"buffer_size": 400, "learning_starts": 1000, **NET}


def walks(kind="box", count=1):
    return [Walk(kind, lane) for lane in range(count)]


def venv_of(lanes):
    return DummyVecEnv([lambda lane=lane: Monitor(lane) for lane in lanes])


def ppo(venv, **kwargs):
    return PPO("MlpPolicy", venv, **deepcopy({**ROLLOUT, **kwargs}))


def dqn(venv, **kwargs):
    return DQN("MlpPolicy", venv, **deepcopy({**REPLAY, **kwargs}))


def her(venv):
    reward = TaskReward() + Potential("obs.achieved_goal")
    goals = {"replay_buffer_class": HerReplayBuffer}
    return wire(DQN("MultiInputPolicy", venv, **deepcopy({**REPLAY, **goals})), reward)


MODELS = {
    "PPO": lambda venv: wire(ppo(venv), PROGRESS),
    "A2C": lambda venv: wire(A2C("MlpPolicy", venv, n_steps=8, **deepcopy(NET)), PROGRESS),
    "RecurrentPPO": lambda venv: wire(RecurrentPPO("MlpLstmPolicy", venv, **deepcopy(ROLLOUT)), PROGRESS),
    "MaskablePPO": lambda venv: wire(MaskablePPO("MlpPolicy", venv, **deepcopy(ROLLOUT)), PROGRESS),
    "DQN": lambda venv: wire(dqn(venv), PROGRESS),
    "n-step": lambda venv: wire(dqn(venv, n_steps=3), PROGRESS),
    "QRDQN": lambda venv: wire(QRDQN("MlpPolicy", venv, **deepcopy(REPLAY)), PROGRESS),
    "HER": her,
}


def model_of(name):
    lanes = walks("dict" if name == "HER" else "box")
    return MODELS[name](venv_of(lanes)), lanes


def require_shaped_rows(model):
    """Every stored row is paid for its own transition."""
    buffer, size = model.replay_buffer, model.replay_buffer.size()
    before, after = buffer.observations[:size, 0, 0], buffer.next_observations[:size, 0, 0]
    terminal = (buffer.dones * (1 - buffer.timeouts))[:size, 0]
    expected = buffer.task_rewards[:size, 0] + GAMMA * after * (1 - terminal) - before
    np.testing.assert_allclose(buffer.rewards[:size, 0], expected, atol=1e-6)


# ---------------------------------------------------------------------- evaluation

CHAINS = {
    "plain": lambda venv: venv,
    "normalised": lambda venv: VecNormalize(venv, norm_reward=False),
    "monitor inside": lambda venv: VecNormalize(VecMonitor(venv), norm_reward=False),
    "monitor outside": lambda venv: VecMonitor(VecNormalize(venv, norm_reward=False)),
    "stacked outside": lambda venv: VecFrameStack(VecNormalize(venv, norm_reward=False), 2),
    "stacked inside": lambda venv: VecNormalize(VecFrameStack(VecCheckNan(venv), 2), norm_reward=False),
    "transposed": lambda venv: VecTransposeImage(VecFrameStack(venv, 2)),
}


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("algorithm", [ppo, dqn])
@pytest.mark.filterwarnings("error")
def test_wrappers_of_training_and_evaluation_stay_alike(name, algorithm):
    """SB3 walks both at once (`sync_envs_normalization`) and warns if their classes differ; warnings are errors here."""
    if name == "stacked outside" and algorithm is dqn:
        pytest.skip("SB3 stores the observations that VecNormalize got, which are not stacked yet")
    kind = "image" if name == "transposed" else "box"
    train, test = (CHAINS[name](DummyVecEnv([lambda: Walk(kind)])) for _ in range(2))
    model = wire(algorithm(train), TaskReward() + Constant(1.0))
    assert check_wiring(model) == []
    model.learn(16, callback=EvalCallback(test, eval_freq=8, n_eval_episodes=1, verbose=0, warn=False))
    sync_envs_normalization(model.get_env(), test)
    assert evaluate_policy(model, test, n_eval_episodes=1, warn=False)[0] <= 1.0


def test_the_measured_environment_counts_as_the_one_in_whose_place_it_is():
    venv = venv_of(walks())
    measured = wire(ppo(venv), PROGRESS).get_env()
    assert isinstance(measured, DummyVecEnv)
    assert isinstance(measured, MeasuringVecEnv)
    assert measured.unwrapped is venv
    assert measured.envs is venv.envs
    assert measured.get_attr("kind") == ["box"]


class OneStep(Walk):
    """Episodes of one step."""

    def step(self, action):
        obs, reward, terminated, _, info = super().step(action)
        return obs, reward, terminated, True, info


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("kind", [Walk, OneStep])
def test_evaluating_on_the_training_environment_is_an_error(name, kind):
    lane = kind("dict" if name == "HER" else "box")
    model = MODELS[name](venv_of([lane]))
    evaluation = EvalCallback(model.get_env(), eval_freq=1, n_eval_episodes=1, verbose=0, warn=False)
    with pytest.raises(WiringError, match="Do not step the training environment"):
        model.learn(20, callback=evaluation)


@pytest.mark.parametrize("name", MODELS)
def test_so_is_evaluating_on_what_it_was_made_of(name):
    """SB3 hands on the variable that a user holds; measuring is not asked."""
    venv = venv_of(walks("dict" if name == "HER" else "box"))
    model = MODELS[name](venv)
    with pytest.raises(WiringError, match="Do not step the training environment"):
        model.learn(20, callback=EvalCallback(venv, eval_freq=4, n_eval_episodes=1, verbose=0, warn=False))
    model.learn(8)
    evaluate_policy(model, venv, n_eval_episodes=1)
    model.learn(8)


class Steps(BaseCallback):
    def __init__(self, when, reset=False):
        super().__init__()
        self.when, self.reset = when, reset

    def _act(self, now):
        if now == self.when and self.num_timesteps in (3, 8):
            if self.reset:
                self.training_env.reset()
            self.training_env.step(np.zeros(1, dtype=int))
        return True

    def _on_step(self):
        return self._act("step")

    def _on_rollout_start(self):
        self._act("start")

    def _on_rollout_end(self):
        self._act("end")


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("when", ["step", "start", "end"])
@pytest.mark.parametrize("name", ["PPO", "DQN"])
def test_a_callback_that_steps_it_is_an_error_or_leaves_no_wrong_row(name, when, reset):
    model, _ = model_of(name)
    if (
        name == "DQN" and when != "step" and not reset
    ):  # as after a rollout that was stopped: the next row is left out
        model.learn(40, callback=Steps(when, reset))
        require_shaped_rows(model)
        return
    with pytest.raises(WiringError, match="Do not step"):
        model.learn(40, callback=Steps(when, reset))


@pytest.mark.parametrize(("method", "args"), [("reset", ()), ("step", (0,))])
@pytest.mark.parametrize("name", ["PPO", "DQN"])
def test_a_callback_that_moves_one_of_its_lanes_is_an_error(name, method, args):
    class Moves(BaseCallback):
        def _on_step(self):
            if self.num_timesteps == 3:
                self.training_env.env_method(method, *args)
            return True

    model, _ = model_of(name)
    with pytest.raises(WiringError, match="nor what is inside of it"):
        model.learn(40, callback=Moves())


@pytest.mark.parametrize("name", ["PPO", "DQN"])
def test_after_an_evaluation_on_it_learning_begins_anew(name):
    model, _ = model_of(name)
    model.learn(16)
    assert evaluate_policy(model, model.get_env(), n_eval_episodes=2)[0] <= 1.0
    model.learn(16)
    evaluate_policy(model, model.get_env(), n_eval_episodes=2)
    with pytest.raises(WiringError, match="reset_num_timesteps=True"):
        model.learn(16, reset_num_timesteps=False)


# ---------------------------------------------------------------------- stopping and going on


@pytest.mark.parametrize("anew", [False, True])
@pytest.mark.parametrize("name", [name for name in MODELS if name != "HER"])
def test_a_stopped_model_goes_on(name, anew):
    model, lanes = model_of(name)
    stop = StopTrainingOnMaxEpisodes(max_episodes=3)
    model.learn(400, callback=[stop, EveryNTimesteps(4, callback=BaseCallbackThatCounts())])
    model.learn(40, reset_num_timesteps=anew)
    if hasattr(model, "replay_buffer"):
        require_shaped_rows(model)
        made = len(lanes[0].log)
        assert model.replay_buffer.size() == made - (
            1 if anew else 2
        )  # the step that stopped it, and the one after


class BaseCallbackThatCounts(BaseCallback):
    def _on_step(self):
        return True


def test_n_step_returns_end_where_learning_was_cut():
    model, lanes = model_of("n-step")
    lanes[0].cut = 0.0
    model.learn(8)
    model.learn(8)
    buffer = model.replay_buffer
    at = 7  # the last row before learning began anew: its return is its own reward
    assert not buffer.dones[at]
    np.testing.assert_allclose(
        buffer._get_samples(np.array([at])).rewards.numpy(), buffer.rewards[at : at + 1], atol=1e-6
    )


def test_an_episode_that_was_cut_is_not_paid_by_a_gate():
    model, _ = model_of("DQN")
    model = wire(dqn(venv_of(walks())), gate(Potential("obs[0]"), threshold=-100.0))
    model.learn(50, callback=StopTrainingOnMaxEpisodes(max_episodes=2))
    model.learn(60, reset_num_timesteps=False)
    buffer = model.replay_buffer
    for step in np.flatnonzero(buffer.episode_length[:, 0]):
        start, length = buffer.episode_start[step, 0], buffer.episode_length[step, 0]
        observations = buffer.observations[start : start + length, 0]
        np.testing.assert_array_equal(
            observations[1:], buffer.next_observations[start : start + length - 1, 0]
        )


# ---------------------------------------------------------------------- saving, loading, copying


def saved(model):
    file = io.BytesIO()
    model.save(file)
    file.seek(0)
    return file


@pytest.mark.parametrize("name", MODELS)
def test_a_loaded_model_acts_but_does_not_learn_before_it_is_wired(name):
    model, _ = model_of(name)
    model.learn(16)
    kind = type(model)
    again = kind.load(saved(model), env=venv_of(walks("dict" if name == "HER" else "box")))
    again.predict(again.get_env().reset())
    with pytest.raises(WiringError, match="wire"):
        again.learn(16)
    again.set_env(venv_of(walks("dict" if name == "HER" else "box")))
    wire(again, engine_of(model).expression).learn(16)
    assert check_wiring(again) == []
    if name != "HER" and hasattr(again, "replay_buffer"):
        require_shaped_rows(again)


@pytest.mark.parametrize("name", MODELS)
def test_loaded_onto_the_wired_environment_it_does_not_learn_the_task_alone(name):
    model, _ = model_of(name)
    model.learn(16)
    again = type(model).load(saved(model), env=model.get_env())
    with pytest.raises(WiringError, match=r"wire|wired"):
        again.learn(16)


@pytest.mark.parametrize("name", MODELS)
def test_a_copy_goes_on_as_the_model_does(name):
    model, _ = model_of(name)
    copied = deepcopy(model)
    assert copied.get_env() is not model.get_env()
    for one in (model, copied):
        one.set_random_seed(0)
        one.learn(16)
    buffers = [getattr(one, "replay_buffer", None) or one.rollout_buffer for one in (model, copied)]
    assert engine_of(copied).clock == engine_of(model).clock
    assert np.any(buffers[1].rewards)
    np.testing.assert_array_equal(buffers[0].rewards, buffers[1].rewards)


@pytest.mark.parametrize("name", ["PPO", "DQN", "RecurrentPPO"])
def test_a_pickled_model_does_not_learn_before_it_is_wired(name):
    model, _ = model_of(name)
    model.learn(16)
    again = cloudpickle.loads(cloudpickle.dumps(model))
    with pytest.raises(WiringError, match="wire"):
        again.learn(16)
    again.set_env(venv_of(walks()))
    wire(again, PROGRESS).learn(16)


@pytest.mark.parametrize("name", MODELS)
def test_another_environment_is_an_error(name):
    model, _ = model_of(name)
    model.learn(16)
    model.set_env(venv_of(walks("dict" if name == "HER" else "box")))
    assert [finding.code for finding in check_wiring(model)] == ["environment-replaced"]
    with pytest.raises(WiringError, match="replaced"):
        model.learn(16)


@pytest.mark.parametrize("algorithm", [ppo, dqn])
def test_another_model_does_not_learn_from_a_measured_environment(algorithm):
    wired = wire(algorithm(venv_of(walks())), PROGRESS)
    plain = algorithm(venv_of(walks()))
    plain.set_env(wired.get_env())
    for other in (plain, algorithm(wired.get_env()), algorithm(VecCheckNan(wired.get_env()))):
        with pytest.raises(WiringError, match="measured for another model"):
            other.learn(16)
    wired.learn(16)


def test_an_unshaped_buffer_that_is_loaded_into_a_wired_model_is_an_error(tmp_path):
    plain = dqn(venv_of(walks()))
    plain.learn(16)
    plain.save_replay_buffer(tmp_path / "buffer.pkl")
    for anew in (False, True):
        model = wire(dqn(venv_of(walks())), PROGRESS)
        model.learn(16)
        model.load_replay_buffer(tmp_path / "buffer.pkl")
        with pytest.raises(WiringError, match="load_replay_buffer"):
            model.learn(16, reset_num_timesteps=anew)


def test_parameters_can_be_exchanged():
    model, lanes = model_of("DQN")
    model.learn(16)
    model.set_parameters(model_of("DQN")[0].get_parameters())
    model.learn(16)
    np.testing.assert_allclose(
        model.replay_buffer.rewards[:32], additive([lane.log for lane in lanes], GAMMA)[:32], atol=1e-6
    )


# ---------------------------------------------------------------------- shaped once


@pytest.mark.parametrize(
    "shape",
    [
        lambda: ShapedVecEnv(ShapedVecEnv(venv_of(walks()), PROGRESS, gamma=GAMMA), PROGRESS, gamma=GAMMA),
        lambda: ShapedVecEnv(venv_of([wire(Walk(), PROGRESS, gamma=GAMMA)]), PROGRESS, gamma=GAMMA),
        lambda: ShapedVecEnv(wire(ppo(venv_of(walks())), PROGRESS).get_env(), PROGRESS, gamma=GAMMA),
        lambda: wire(VecCheckNan(wire(ppo(venv_of(walks())), PROGRESS).get_env()), PROGRESS, gamma=GAMMA),
        lambda: wire(ppo(wire(dqn(venv_of(walks())), PROGRESS).get_env()), PROGRESS),
        lambda: wire(ppo(VecNormalize(ShapedVecEnv(venv_of(walks()), PROGRESS, gamma=GAMMA))), PROGRESS),
        lambda: wire(wire(dqn(venv_of(walks())), PROGRESS), PROGRESS),
    ],
)
def test_nothing_is_shaped_twice(shape):
    with pytest.raises(WiringError, match=r"shaped already|shaped twice"):
        shape()
