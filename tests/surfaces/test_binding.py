"""What all surfaces share: options under the same names, and a state that is saved and loaded."""

import json

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import SyncVectorEnv
from pettingzoo import ParallelEnv
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.vec_env import DummyVecEnv

from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.arrays import tree_equal
from shapegym.shaping.errors import ExpressionError, HindsightError, WiringError
from shapegym.shaping.surfaces.binding import BindingOptions
from shapegym.shaping.surfaces.gym_env import ShapedEnv
from shapegym.shaping.surfaces.parallel_env import ShapedParallelEnv
from shapegym.shaping.surfaces.sb3_vec import MeasuringVecEnv, ShapedVecEnv
from shapegym.shaping.surfaces.vector_env import ShapedVectorEnv
from shapegym.shaping.surfaces.wiring import engine_of, wire
from shapegym.shaping.terms.counts import CountBonus
from shapegym.shaping.testing.scripted import ScriptedEnv

REWARD = TaskReward() + CountBonus("obs")
OPTIONS: BindingOptions = {
    "gamma": 0.9,
    "seed": 3,
    "on_nonfinite": "zero",
    "pay_at_end": True,
    "learn_every": 7,
}


class Two(ParallelEnv):
    """Two agents that never move."""

    metadata = {"name": "two"}  # noqa: RUF012  as PettingZoo spells it
    possible_agents = ["a", "b"]  # noqa: RUF012

    def observation_space(self, agent):
        return gym.spaces.Box(-1.0, 1.0, (2,))

    def action_space(self, agent):
        return gym.spaces.Discrete(2)


def vec():
    return DummyVecEnv([ScriptedEnv] * 2)


SURFACES = {
    "ShapedEnv": lambda **options: ShapedEnv(ScriptedEnv(), REWARD, **options),
    "ShapedVectorEnv": lambda **options: ShapedVectorEnv(SyncVectorEnv([ScriptedEnv] * 2), REWARD, **options),
    "ShapedVecEnv": lambda **options: ShapedVecEnv(vec(), REWARD, **options),
    "MeasuringVecEnv": lambda **options: MeasuringVecEnv(vec(), REWARD, capacity=1, **options),
    "ShapedParallelEnv": lambda **options: ShapedParallelEnv(Two(), REWARD, **options),
    "wire": lambda **options: wire(ScriptedEnv(), REWARD, **options),
}
every_surface = pytest.mark.parametrize("name", SURFACES)


@every_surface
def test_options_reach_spec_and_engine(name):
    engine = SURFACES[name](**OPTIONS).engine
    assert (engine.spec.gamma, engine.spec.seed) == (0.9, 3)
    assert (engine.on_nonfinite, engine.learn_every) == ("zero", 7)
    assert SURFACES[name]().engine.learn_every == (None if name == "MeasuringVecEnv" else 128)


@every_surface
def test_an_unknown_option_is_named_with_the_nearest(name):
    with pytest.raises(
        TypeError,
        match=rf"{name} takes no option 'gama'\. Did you mean 'gamma'\? Known: answers, flat_info, gamma, ",
    ):
        SURFACES[name](gama=0.9)


@pytest.mark.parametrize("learn_every", [0, -1, 2.5, True, None])
def test_learning_happens_every_whole_number_of_steps(learn_every):
    with pytest.raises(ExpressionError, match="at least 1"):
        ShapedEnv(ScriptedEnv(), REWARD, learn_every=learn_every)


def test_a_models_option_says_when_a_replay_buffer_learns_and_none_when_a_rollout_does():
    settings = {"device": "cpu", "policy_kwargs": {"net_arch": [4]}}
    assert engine_of(wire(DQN("MlpPolicy", vec(), **settings), REWARD, learn_every=9)).learn_every == 9
    with pytest.raises(WiringError, match="learn_every is for rewards that are paid at once"):
        wire(PPO("MlpPolicy", vec(), n_steps=8, batch_size=8, **settings), REWARD, learn_every=9)


def test_a_spec_holds_the_given_options_as_plain_data():
    spec = ShapedEnv(gym.make("CartPole-v1"), TaskReward(), **OPTIONS).spec
    kwargs = spec.additional_wrappers[-1].kwargs
    assert kwargs == {"expression": "task_reward", **OPTIONS}
    assert json.loads(spec.to_json())["additional_wrappers"][-1]["kwargs"]["learn_every"] == 7
    assert gym.make(spec).engine.learn_every == 7


def test_a_vec_env_saves_what_terms_remember(tmp_path):
    env, twin = SURFACES["ShapedVecEnv"](), SURFACES["ShapedVecEnv"]()
    env.reset()
    for _ in range(5):
        env.step(np.zeros(2, int))
    env.save(tmp_path / "state.npz")
    twin.reset()
    twin.load(tmp_path / "state.npz")
    with pytest.raises(WiringError, match="call reset"):
        twin.step(np.zeros(2, int))
    assert tree_equal(twin.engine.state_dict(), env.engine.state_dict())


def test_a_derived_surface_calls_itself_by_its_name():
    from shapegym.shaping.combinators.gate import gate

    class Mine(ShapedEnv):
        """A user's own."""

    with pytest.raises(HindsightError, match="Mine pays each reward at once"):
        Mine(ScriptedEnv(), gate(TaskReward(), threshold=1.0))
