"""Feature extractors that settings name: ``policy_kwargs: {features_extractor_class: symbols}``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.preprocessing import get_flattened_obs_dim
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

from shapegym.agents.errors import SettingsError
from shapegym.shaping.errors import suggest
from shapegym.shaping.models.bodies import Symbols


class SymbolsExtractor(BaseFeaturesExtractor):
    """Reads a flat grid of symbols, three a cell (object, colour, state) as MiniGrid has them, by an embedding of each.

    A perceptron on the raw numbers takes a door for something between a wall and a key; here each symbol has weights of its own.

    Args:
        observation_space: Box of whole numbers (n,), n a multiple of 3.
        features_dim: units.

    Raises:
        SettingsError: for any other space.
    """

    def __init__(self, observation_space: gym.Space, features_dim: int = 64) -> None:
        shape = observation_space.shape or ()
        whole = (
            isinstance(observation_space, gym.spaces.Box) and np.dtype(observation_space.dtype).kind in "iu"
        )
        if not whole or len(shape) != 1 or shape[0] % 3:
            raise SettingsError(
                f"The feature extractor 'symbols' reads flat grids of whole numbers, three a cell, and observations are "
                f"{observation_space}. Leave features_extractor_class out, or see a grid world flat."
            )
        super().__init__(observation_space, features_dim)
        self.symbols = nn.Sequential(Symbols(shape[0], features_dim), nn.ReLU())

    def forward(self, observations: Tensor) -> Tensor:
        """Return (B, features_dim) of (B, n)."""
        features: Tensor = self.symbols(observations)
        return features


class TrunkExtractor(BaseFeaturesExtractor):
    """Layers of tanh on the flat observation, which actor and critic share: half of the arithmetic of two networks as deep.

        policy_kwargs: {features_extractor_class: trunk, features_extractor_kwargs: {layers: [64, 64]}, net_arch: []}

    ``share_features_extractor: false`` gives each its own again.

    Args:
        observation_space: any that flattens.
        layers: units of each, at least one.

    Raises:
        SettingsError: without a layer.
    """

    def __init__(self, observation_space: gym.Space, layers: Sequence[int] = (64,)) -> None:
        if not layers:
            raise SettingsError("The feature extractor 'trunk' needs layers, such as [64, 64].")
        super().__init__(observation_space, layers[-1])
        widths = (get_flattened_obs_dim(observation_space), *layers)
        self.trunk = nn.Sequential(nn.Flatten())
        for inputs, units in pairwise(widths):
            self.trunk.extend([nn.Linear(inputs, units), nn.Tanh()])

    def forward(self, observations: Tensor) -> Tensor:
        """Return (B, layers[-1]) of (B, ...)."""
        features: Tensor = self.trunk(observations)
        return features


EXTRACTORS: Mapping[str, type[BaseFeaturesExtractor]] = {"symbols": SymbolsExtractor, "trunk": TrunkExtractor}
"""What settings can name, beside classes."""


def with_extractor(policy_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return keywords of a policy in which the name of an extractor is the class.

    Raises:
        SettingsError: if there is none of that name.
    """
    named = policy_kwargs.get("features_extractor_class")
    if not isinstance(named, str):
        return dict(policy_kwargs)
    if named not in EXTRACTORS:
        raise SettingsError(f"There is no feature extractor {named!r}.{suggest(named, EXTRACTORS)}")
    return {**policy_kwargs, "features_extractor_class": EXTRACTORS[named]}
