"""The feature extractor for grids of symbols: what it reads, and that models with it are made, kept and refused by name."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch

import shapegym as sg
from shapegym.agents.checkpoint import load_checkpoint, save_checkpoint
from shapegym.agents.environments import make_vec_env
from shapegym.agents.errors import SettingsError
from shapegym.agents.extractors import SymbolsExtractor, TrunkExtractor
from shapegym.agents.factory import make_agent

KEY = {"policy_kwargs": {"features_extractor_class": "symbols", "net_arch": [8]}}
TINY = {"num_envs": 2, "n_steps": 16, "batch_size": 16, "n_epochs": 1, **KEY}


def test_it_is_a_linear_layer_on_one_hot_symbols() -> None:
    extractor = SymbolsExtractor(gym.spaces.Box(0, 255, (6,), np.uint8), 5)
    rows = torch.tensor([[0, 3, 1, 10, 5, 2], [1, 15, 99, 0, 0, 255]])
    table = extractor.symbols[0].embeddings.weight.reshape(6, 16, 5)
    for row, features in zip(rows.tolist(), extractor(rows.float()), strict=True):
        summed = sum(table[place, min(symbol, 15)] for place, symbol in enumerate(row))
        torch.testing.assert_close(features, torch.relu(summed))


def test_a_model_with_it_learns_and_is_kept(tmp_path) -> None:
    model = make_agent("PPO", "shapegym/MiniGrid-DoorKey-5x5-v0", sg.TaskReward(), seed=0, **TINY).learn(64)
    assert isinstance(model.policy.features_extractor, SymbolsExtractor)
    save_checkpoint(tmp_path / "kept", model)
    loaded = load_checkpoint(
        tmp_path / "kept", make_vec_env("shapegym/MiniGrid-DoorKey-5x5-v0", 2), sg.TaskReward()
    )
    for ours, theirs in zip(model.policy.parameters(), loaded.policy.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_actor_and_critic_share_a_trunk(tmp_path) -> None:
    shared = {
        "features_extractor_class": "trunk",
        "features_extractor_kwargs": {"layers": [8, 4]},
        "net_arch": [],
    }
    model = make_agent(
        "PPO", "shapegym/FourRooms-v0", sg.TaskReward(), seed=0, **{**TINY, "policy_kwargs": shared}
    )
    policy = model.learn(64).policy
    assert policy.pi_features_extractor is policy.vf_features_extractor
    assert isinstance(policy.features_extractor, TrunkExtractor)
    sizes = [tuple(parameter.shape) for parameter in policy.parameters() if parameter.ndim == 2]
    assert sizes == [(8, 104), (4, 8), (4, 4), (1, 4)]
    save_checkpoint(tmp_path / "kept", model)
    loaded = load_checkpoint(tmp_path / "kept", make_vec_env("shapegym/FourRooms-v0", 2), sg.TaskReward())
    for ours, theirs in zip(policy.parameters(), loaded.policy.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_trunk_without_layers_is_refused() -> None:
    nothing = {"features_extractor_class": "trunk", "features_extractor_kwargs": {"layers": []}}
    with pytest.raises(SettingsError, match="needs layers"):
        make_agent("PPO", "shapegym/FourRooms-v0", policy_kwargs=nothing)


@pytest.mark.parametrize(
    ("env", "change", "said"),
    [
        ("shapegym/MiniGrid-DoorKey-5x5-v0", "symbol", "Did you mean 'symbols'"),
        ("shapegym/MountainCar-v0", "symbols", "flat grids"),
        ("shapegym/Corridor-v0", "symbols", "flat grids"),
    ],
)
def test_what_it_cannot_read_is_said(env: str, change: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        make_agent("PPO", env, policy_kwargs={"features_extractor_class": change})
