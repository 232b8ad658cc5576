"""What surfaces and findings print: one line that tells class, environment and reward."""

from __future__ import annotations

import gymnasium as gym

import shapegym as sg
from shapegym.agents.bridge import VectorEnvBridge
from shapegym.shaping.surfaces.findings import Finding

REWARD = sg.TaskReward() + 0.1 * sg.CountBonus("obs[0]")
WRITTEN = "TaskReward() + 0.1 * CountBonus('obs[0]')"
ID = "shapegym/Corridor-v0"


def test_surfaces_tell_class_environment_and_reward():
    assert str(sg.ShapedEnv(gym.make(ID), REWARD)) == f"<ShapedEnv of {ID}: {WRITTEN}>"
    lanes = sg.ShapedVectorEnv(gym.make_vec(ID, num_envs=2), REWARD)
    assert repr(lanes) == f"<ShapedVectorEnv of 2 x {ID}: {WRITTEN}>"
    venv = sg.make_vec_env(ID, 2, seed=0)
    assert isinstance(venv, VectorEnvBridge)
    assert repr(venv) == f"VectorEnvBridge({venv.env!r})"
    assert repr(sg.ShapedVecEnv(venv, REWARD)) == f"<ShapedVecEnv of 2 x {ID}: {WRITTEN}>"
    model = sg.make_agent("PPO", sg.make_vec_env(ID, 2, seed=0), REWARD, seed=0)
    assert repr(model.env) == f"<MeasuringVecEnv of 2 x {ID}: {WRITTEN}>"


def test_lines_are_short():
    shaped = repr(sg.ShapedEnv(gym.make(ID), sum([REWARD] * 20, REWARD)))
    found = repr([Finding("task-rescaled", "warning", "word " * 100)])
    assert all(len(line) <= 160 and "..." in line for line in (shaped, found))
