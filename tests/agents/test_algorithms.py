"""Algorithms of strangers: one call makes them known everywhere, and what cannot be known is said."""

import sys
from types import ModuleType

import numpy as np
import pytest
from gymnasium.spaces import Discrete
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.callbacks import BaseCallback

from shapegym.agents import ALGORITHMS, make_agent, make_vec_env, register_algorithm, resolve_settings
from shapegym.agents.algorithms import registry
from shapegym.agents.algorithms.registry import algorithm_of, algorithms
from shapegym.agents.checkpoint import load_checkpoint, save_checkpoint
from shapegym.agents.errors import SettingsError
from shapegym.experiments.runs.request import RunConfig
from shapegym.experiments.runs.run import train
from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.files.reward_files import to_data
from shapegym.shaping.surfaces.wiring import engine_of
from shapegym.shaping.terms.goals import StateReward

TINY = {"*": {"n_steps": 16, "batch_size": 16, "n_epochs": 1, "policy_kwargs": {"net_arch": [4]}}}


class MyPPO(PPO):
    """PPO with a hyper-parameter more."""

    def __init__(self, *args, patience=3, **kwargs):
        super().__init__(*args, **kwargs)
        self.patience = patience


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(registry, "_registered", dict(algorithms()))


def test_a_strangers_algorithm_is_made_by_name_with_its_settings():
    assert register_algorithm(MyPPO, settings=TINY) is MyPPO
    model = make_agent("MyPPO", "shapegym/Corridor-v0", TaskReward(), seed=0, patience=5, gamma=0.9)
    assert type(model) is ALGORITHMS["MyPPO"] is MyPPO
    assert (model.n_steps, model.n_envs, model.patience, model.gamma) == (16, 1, 5, 0.9)
    model.learn(32)
    assert engine_of(model).clock == 32
    with pytest.raises(SettingsError, match=r"hyper-parameter 'patienc'\. Did you mean 'patience'"):
        resolve_settings("MyPPO", "", {"patienc": 1})


def test_its_checkpoints_go_on_by_name_alone(tmp_path):
    register_algorithm(MyPPO, settings=TINY)
    made = {"algo": "MyPPO", "env": "shapegym/Corridor-v0", "reward": TaskReward(), "seed": 0, "num_envs": 2}
    whole = make_agent(**made).learn(128)
    save_checkpoint(tmp_path / "step_64", make_agent(**made).learn(64))
    resumed = load_checkpoint(tmp_path / "step_64", make_vec_env("shapegym/Corridor-v0", 2), TaskReward())
    assert type(resumed) is MyPPO
    resumed.learn(64, reset_num_timesteps=False)
    for ours, theirs in zip(resumed.policy.parameters(), whole.policy.parameters(), strict=True):
        assert ours.equal(theirs)


def test_a_run_asks_the_algorithm_for_its_callbacks_files_and_figures(tmp_path):
    class Note(BaseCallback):
        def __init__(self, folder):
            super().__init__()
            self.folder = folder

        def _on_step(self):
            return True

        def _on_training_end(self):
            (self.folder / "note.txt").write_text(str(self.num_timesteps))

    def refuse(model):
        if len(engine_of(model).addends) > 1:
            raise SettingsError("MyPPO takes one part.")

    register_algorithm(
        MyPPO,
        settings=TINY,
        check_reward=refuse,
        callbacks=lambda folder: [Note(folder)],
        draw=lambda folder: (folder / "note.png").write_text((folder / "note.txt").read_text()),
        files=("note.txt",),
    )
    asked = {"env": "shapegym/Corridor-v0", "steps": 32, "algo": "MyPPO", "eval_episodes": 1}
    train(RunConfig(**asked, reward=to_data(TaskReward())), tmp_path / "run")
    assert (tmp_path / "run" / "note.png").read_text() == "32"
    two = TaskReward() + StateReward("features.state")
    with pytest.raises(SettingsError, match="takes one part"):
        train(RunConfig(**asked, reward=to_data(two)), tmp_path / "refused")
    assert not (tmp_path / "refused").exists()
    assert "MyPPO" not in {name for name, each in algorithms().items() if each.takes_any_reward}


def test_a_class_can_be_decorated_and_registered_again():
    @register_algorithm
    class Mine(A2C):
        pass

    assert make_agent("Mine", "shapegym/Corridor-v0", n_steps=2).learn(4).num_timesteps == 4
    register_algorithm(Mine, settings={"*": {"gamma": 0.5}}, actions=Discrete)
    assert make_agent("Mine", "shapegym/Corridor-v0").gamma == 0.5
    with pytest.raises(SettingsError, match=r"Mine needs Discrete actions.*Use PPO, A2C"):
        make_agent("Mine", "shapegym/PointMaze-v0")


def test_two_of_one_name_are_refused_with_both_modules():
    other = type("PPO", (A2C,), {"__module__": "their_package.ppo"})
    with pytest.raises(SettingsError, match=r"stable_baselines3\.ppo\.ppo and in their_package\.ppo"):
        register_algorithm(other)
    assert ALGORITHMS["PPO"] is PPO


def test_settings_without_patterns_are_refused():
    with pytest.raises(SettingsError, match="must be hyper-parameters by pattern"):
        register_algorithm(MyPPO, settings={"n_steps": 64})
    assert "MyPPO" not in ALGORITHMS


def test_an_unknown_name_is_told_how_to_bring_ones_own():
    register_algorithm(MyPPO)
    with pytest.raises(SettingsError, match=r"'MyPP0'\. Did you mean 'MyPPO'.*--import MODULE"):
        algorithm_of("MyPP0")


def test_adding_one_is_one_file_of_the_folder(monkeypatch, tmp_path):
    (tmp_path / "nine.py").write_text(
        "from stable_baselines3 import A2C\n"
        f"from {registry.__name__} import register_algorithm\n"
        "register_algorithm(type('Nine', (A2C,), {'__module__': __name__}), settings={'*': {'gamma': 0.9}})\n"
    )
    package = sys.modules[registry.__package__]
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    registry._find_ours.cache_clear()
    assert resolve_settings("Nine").arguments == {"gamma": 0.9}
    assert isinstance(sys.modules.pop(f"{package.__name__}.nine"), ModuleType)
    assert np.isclose(make_agent("Nine", "shapegym/Corridor-v0").gamma, 0.9)
