"""What lies beside the current folder: a reward with functions of its own, an environment, and the names people are pointed to."""

from __future__ import annotations

import json
import os
import sys

import gymnasium as gym
import pytest
from typer.testing import CliRunner

from shapegym.experiments import nearby
from shapegym.experiments.cli import app
from shapegym.experiments.runs.request import RunConfig
from shapegym.shaping.discovery import import_modules
from shapegym.shaping.errors import PluginError
from shapegym.shaping.states import functions
from shapegym.shaping.types import NODES

REACH = '''
import gymnasium as gym
import numpy as np


class Reach(gym.Env):
    """Ten steps to the right at most."""

    observation_space = gym.spaces.Box(-20, 20, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.place += 2 * int(action) - 1
        there = self.place == 3
        return np.array([self.place], np.float32), float(there), there, False, {}


gym.register("Reach-v0", entry_point=Reach, max_episode_steps=10)
'''
TOLLS = '''
from dataclasses import dataclass

import numpy as np

import shapegym as sg
from shapegym.shaping.types import Term


@sg.state_function
def nearer(obs, features):
    return -np.abs(obs[:, 0] - 3)


@dataclass(frozen=True)
class Toll(Term):
    """A cost of every step."""

    size: float = 0.01

    def measure(self, transitions, state):
        return np.full(len(transitions.reward), -self.size)
'''
REWARD = "imports: [tolls]\nreward: {sum: [task_reward, toll, {potential: {phi: nearer}}]}\n"
SUITE = """
title: Tolls
seeds: 1
settings: {num_envs: 2, n_steps: 16, batch_size: 16, n_epochs: 1}
eval: {points: 1, episodes: 2}
rewards: {sparse: null, toll: toll.yaml}
tasks: {reach: {env: "reach:Reach-v0", steps: 32}}
"""
SMALL = [
    *("--steps", "64", "--checkpoint-every", "32", "--eval-episodes", "2", "--eval-every", "0"),
    *("--set", "num_envs=2", "--set", "n_steps=16", "--set", "batch_size=16"),
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with an environment, nodes, a reward file and a suite; nothing of it is on Python's path."""
    files = {"reach.py": REACH, "tolls.py": TOLLS, "toll.yaml": REWARD, "tolled.yaml": SUITE}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    tables = NODES, functions._CALLABLES, gym.registry
    before = [dict(table) for table in tables]
    yield tmp_path
    for table, entries in zip(tables, before, strict=True):
        table.clear()
        table.update(entries)
    for name in ("reach", "tolls"):
        sys.modules.pop(name, None)


def shapegym(*arguments: str, code: int = 0) -> str:
    found = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})
    assert found.exit_code == code, found.output
    return found.output


@pytest.mark.filterwarnings("ignore:.*new episodes:UserWarning")  # Reach has no snapshots
def test_a_reward_with_functions_of_its_own_is_checked_audited_and_trained_on(folder):
    assert "It fits reach:Reach-v0" in shapegym("check", "toll.yaml", "--env", "reach:Reach-v0")
    assert "toll" in shapegym("audit", "toll.yaml", "--env", "reach:Reach-v0", "--rollouts", "2", code=3)
    shapegym("train", "reach:Reach-v0", "--reward", "toll.yaml", "--out", "run", *SMALL)
    (folder / "run" / "result.json").unlink()
    shapegym("train", "--resume", "run", "--import", "tolls", "--import", "reach")
    assert json.loads((folder / "run" / "result.json").read_text())["steps"] == 64


def test_a_suite_and_its_workers_find_what_lies_beside_them(folder):
    assert "sparse, toll" in shapegym("suites", "tolled.yaml")
    shapegym("sweep", "tolled.yaml", "--workers", "1", "--out", "swept")
    assert len((folder / "swept" / "results.jsonl").read_text().splitlines()) == 2


def test_what_a_folder_asks_for_is_not_looked_for_beside_it(folder):
    with pytest.raises(PluginError, match="If it lies in the current folder, add --import tolls"):
        RunConfig("reach:Reach-v0", 8, imports=("tolls",)).import_modules()
    assert os.getcwd() not in sys.path


def test_a_module_that_lies_nowhere_is_said_to_be_missing(folder):
    with pytest.raises(PluginError, match="Run this in its folder"):
        import_modules(["absent.rewards"], "A test", beside=True)
    assert os.getcwd() not in sys.path  # for nothing


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["train", "Reach-v0"], "Did you mean reach:Reach-v0 (name the module that registers it)"),
        (["train", "Reach-v1"], "Did you mean reach:Reach-v0"),
        (["train", "tolls:Reach-v0"], "Did you mean reach:Reach-v0"),
        (["check", "novelty", "--env", "Raech-v0"], "Did you mean reach:Reach-v0"),
        (["terms", "toll"], "The module tolls of the current folder defines one: --import tolls."),
        (["terms", "Toll"], "--import tolls."),
    ],
)
def test_what_lies_beside_is_named_and_not_run(arguments, hint, folder):
    (folder / "tolls.py").write_text("class Toll: ...\n")
    (folder / "reach.py").write_text("raise SystemExit('was run')\nregister(id='Reach-v0')\n")
    found = CliRunner().invoke(app, arguments)
    assert found.exit_code == 2
    assert hint in found.output


def test_packages_are_looked_into_and_other_folders_not(folder):
    for name in ("mine", "loose"):
        (folder / name).mkdir()
        (folder / name / "worlds.py").write_text(f"gym.register('{name}/Walk-v0', entry_point=1)\n")
    (folder / "mine" / "__init__.py").write_text("register_env('mine/Run-v0')\n")
    assert nearby.environments() == {
        "Reach-v0": "reach",
        "mine/Walk-v0": "mine.worlds",
        "mine/Run-v0": "mine",
    }
