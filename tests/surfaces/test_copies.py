"""What is shaped can be copied, pickled, sent to another process and written as a specification."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import cloudpickle
import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import SyncVectorEnv

from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.arrays import tree_equal
from shapegym.shaping.combinators.gate import gate
from shapegym.shaping.errors import ExpressionError, RewardFileError, UnknownNameError
from shapegym.shaping.files.reward_files import as_record, dump_reward
from shapegym.shaping.states import functions
from shapegym.shaping.states.functions import state_function
from shapegym.shaping.states.travelling import unpacked
from shapegym.shaping.surfaces.gym_env import ShapedEnv
from shapegym.shaping.surfaces.vector_env import ShapedVectorEnv
from shapegym.shaping.terms.counts import CountBonus
from shapegym.shaping.terms.potential import Potential
from shapegym.shaping.testing.scripted import ScriptedEnv, examples
from shapegym.shaping.tree import models_of, terms_of

COUNTS = TaskReward() + CountBonus("features.agent_pos") + Potential("features.progress", gamma=0.9)
HELD = gate(CountBonus("features.agent_pos"), threshold=-9.0)
COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda thing: pickle.loads(pickle.dumps(thing)),
    "cloudpickle": lambda thing: cloudpickle.loads(cloudpickle.dumps(thing)),
}


@state_function
def of_this_module(obs, features):
    return obs[:, 0]


def play(env: Any, steps: int) -> list[Any]:
    paid = []
    for _ in range(steps):
        _, reward, terminated, truncated, _ = env.step(
            0 if isinstance(env, ShapedEnv) else np.zeros(2, np.int64)
        )
        paid.append(reward)
        if isinstance(env, ShapedEnv) and (terminated or truncated):
            env.reset()
    return paid


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("reward", [COUNTS, HELD], ids=["at once", "at the end"])
@pytest.mark.parametrize("batch", [False, True])
def test_a_copy_of_a_shaped_environment_goes_on_by_itself(how: str, reward: Any, batch: bool) -> None:
    if batch:
        env: Any = ShapedVectorEnv(SyncVectorEnv([ScriptedEnv, ScriptedEnv]), reward, pay_at_end=True)
    else:
        env = ShapedEnv(ScriptedEnv(), reward, pay_at_end=True)
    env.reset(seed=0)
    play(env, 7)
    if batch and how == "pickle":
        env.env.env_fns = ()  # Gymnasium keeps what made the lanes, here classes; elsewhere often lambdas
    copied = COPIES[how](env)
    before = copied.engine.state_dict()
    expected = play(env, 12)
    assert tree_equal(copied.engine.state_dict(), before)
    np.testing.assert_array_equal(play(copied, 12), expected)


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(shown[0], id=name)
        for name, shown in examples().items()
        if shown and not any(reader.asks for reader in (*terms_of(shown[0].node), *models_of(shown[0].node)))
    ],
)
def test_every_reward_survives_a_pickle_with_its_memory(example: Any) -> None:
    env = ShapedEnv(ScriptedEnv(example.observation), example.node, gamma=0.9, pay_at_end=True, learn_every=5)
    env.reset(seed=0)
    play(env, 8)
    copied = pickle.loads(pickle.dumps(env))
    np.testing.assert_array_equal(play(copied, 8), play(env, 8))


def test_functions_that_no_import_would_bring_travel_with_the_reward(monkeypatch: pytest.MonkeyPatch) -> None:
    @state_function(reads=("progress",))
    def only_here(obs, features):
        return features["progress"] * 2

    sent = cloudpickle.dumps(lambda: ShapedEnv(ScriptedEnv(), TaskReward() + Potential(only_here, gamma=0.9)))
    here = only_here  # the closure above holds it; what follows plays the other process
    monkeypatch.delitem(functions._CALLABLES, "only_here")
    env = cloudpickle.loads(sent)()
    env.reset(seed=0)
    assert len(play(env, 3)) == 3
    assert env.engine.reads_before == ("progress",)
    assert pickle.loads(pickle.dumps(here)) == here == copy.deepcopy(here)


def test_functions_of_modules_travel_by_the_name_of_the_module() -> None:
    assert b"of_this_module" in (text := pickle.dumps(Potential(of_this_module)))
    assert __name__.encode() in text
    assert len(text) < 600  # no code
    with pytest.raises(UnknownNameError, match=r"'f' is defined in the module 'no_such_module'.*PYTHONPATH"):
        unpacked("no_such_module", "f")


# ---------------------------------------------------------------- specifications


@pytest.mark.parametrize(
    "reward",
    [COUNTS, HELD, TaskReward() + 0.5 * Potential(of_this_module).named("phi")],
    ids=["sum", "gate", "function"],
)
def test_a_specification_goes_to_json_and_back(reward: Any) -> None:
    env = ShapedEnv(gym.make("CartPole-v1"), reward, gamma=0.9, pay_at_end=True)
    made: Any = gym.make(EnvSpec.from_json(env.spec.to_json()))
    while not isinstance(made, ShapedEnv):
        made = made.env
    assert made.engine.expression == env.engine.expression
    assert made.engine.addends == env.engine.addends
    assert made.engine.spec.gamma == 0.9


def test_a_reward_may_be_data_or_the_name_of_a_file(tmp_path: Any) -> None:
    path = tmp_path / "reward.yaml"
    dump_reward(COUNTS, path)
    for given in (COUNTS, as_record(COUNTS), {"reward": as_record(COUNTS)}, path, str(path)):
        assert ShapedEnv(ScriptedEnv(), given).engine.expression == COUNTS
    with pytest.raises(RewardFileError, match="'nonsense' is not known"):
        ShapedEnv(ScriptedEnv(), "nonsense")
    with pytest.raises(ExpressionError, match="A reward is an expression"):
        ShapedEnv(ScriptedEnv(), 3.0)
