"""The algorithms of Stable-Baselines3 and sb3-contrib; their hyper-parameters stand in ``settings.yaml``."""

from __future__ import annotations

from gymnasium.spaces import Box, Discrete
from sb3_contrib import QRDQN, RecurrentPPO
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3

from shapegym.agents.algorithms.registry import register_algorithm

for on_policy in (PPO, A2C, RecurrentPPO):
    register_algorithm(on_policy)
for of_values in (DQN, QRDQN):
    register_algorithm(of_values, actions=Discrete)
for continuous in (SAC, TD3):
    register_algorithm(continuous, actions=Box)
