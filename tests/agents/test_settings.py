"""Hyper-parameters: what is in the table can be built, and what is not is named."""

from dataclasses import replace

import pytest
import yaml

from shapegym.agents.algorithms import registry
from shapegym.agents.algorithms.registry import algorithms
from shapegym.agents.errors import SettingsError
from shapegym.agents.settings import Settings, resolve_settings


def test_the_table_has_a_default_for_every_algorithm_and_resolves_on_every_pattern():
    table = registry._table()
    assert table.keys() == algorithms().keys()
    for algo, layers in table.items():
        assert "*" in layers
        for pattern in layers:
            resolved = resolve_settings(algo, pattern.replace("*", "x"))
            assert resolved == resolve_settings(algo, pattern.replace("*", "x"), resolved.as_dict())


def test_later_layers_win_and_policy_kwargs_are_merged(monkeypatch):
    table = yaml.safe_load("""
    PPO:
      "*": {policy: MlpPolicy, num_envs: 4, gamma: 0.99, policy_kwargs: {net_arch: [8], ortho_init: false}}
      "a/*": {gamma: 0.9, n_steps: 16}
      "a/b*": {gamma: 0.8}
    """)
    monkeypatch.setitem(registry._registered, "PPO", replace(algorithms()["PPO"], settings=table["PPO"]))
    assert resolve_settings("PPO", "other").arguments["gamma"] == 0.99
    assert resolve_settings("PPO", "a/c").arguments["gamma"] == 0.9
    resolved = resolve_settings(
        "PPO", "module:a/b-v0", {"n_steps": 32, "num_envs": 2, "policy_kwargs": {"net_arch": [4]}}
    )
    assert resolved == Settings(
        "PPO",
        "MlpPolicy",
        2,
        arguments={"gamma": 0.8, "n_steps": 32, "policy_kwargs": {"net_arch": [4], "ortho_init": False}},
    )


@pytest.mark.parametrize(
    ("algo", "overrides", "message"),
    [
        ("PP0", {}, "Did you mean 'PPO'"),
        ("PPO", {"learning_rat": 1.0}, "Did you mean 'learning_rate'"),
        ("PPO", {"buffer_size": 10}, "PPO has no hyper-parameter 'buffer_size'"),
        ("PPO", {"policy": "MlpPolice"}, "Did you mean 'MlpPolicy'"),
        ("PPO", {"num_envs": 0}, "num_envs must be"),
        ("PPO", {"num_envs": True}, "num_envs must be"),
        ("PPO", {"action_noise_std": 0.1}, "no hyper-parameter 'action_noise_std'"),
        ("TD3", {"action_noise_std": -0.1}, ">= 0"),
        ("TD3", {"action_noise_std": float("nan")}, ">= 0"),
        ("PPO", {"num_envs": 10**7}, r"at most 2\*\*20"),
        ("DQN", {"batch_size": 10**13}, "batch_size is at most 1,048,576"),
        ("PPO", {"n_steps": 1e300}, "n_steps is at most"),
        ("PPO", {"policy_kwargs": {"features_extractor_kwargs": {"features_dim": 10**9}}}, "at most 8,192"),
        ("DQN", {"seed": 3}, "no hyper-parameter 'seed'"),
    ],
)
def test_what_does_not_exist_is_named_with_a_suggestion(algo, overrides, message):
    with pytest.raises(SettingsError, match=message):
        resolve_settings(algo, "", overrides)
