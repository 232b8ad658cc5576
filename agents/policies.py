"""Which of Stable-Baselines3's policies reads an observation space: a vector, an image, a Dict, each with its own."""

from __future__ import annotations

from collections.abc import Iterator

import gymnasium as gym
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.preprocessing import is_image_space

from shapegym.agents.errors import SettingsError

_LEAST_PIXELS = 36
"""Of each side: smaller images do not survive the three convolutions of SB3's NatureCNN (Mnih et al. 2015)."""

_READABLE = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)


def fitting_policy(kind: type[BaseAlgorithm], space: gym.Space) -> str:
    """Return the name of the policy with which an algorithm reads ``space``.

    ``MultiInputPolicy`` for a Dict, ``CnnPolicy`` for an image of bytes that its convolutions can take, else ``MlpPolicy``, which
    flattens; recurrent algorithms have ``...LstmPolicy``.

    Raises:
        SettingsError: if the algorithm reads no such observations; says what to do.
    """
    algo, known = kind.__name__, list(kind.policy_aliases)
    require_readable(algo, space)
    wanted = "MultiInput" if isinstance(space, spaces.Dict) else "Cnn" if _is_large_image(space) else "Mlp"
    found = [name for name in known if name.startswith(wanted)]
    if not found and wanted == "MultiInput":
        raise SettingsError(
            f"{algo} has no policy for Dict observations, and this environment's are {space}. Wrap it in "
            "gymnasium.wrappers.FlattenObservation, or use PPO."
        )
    return (found or known)[0]


def policy_name(model: BaseAlgorithm) -> str:
    """Return what a model's policy is called in settings."""
    names = (name for name, kind in model.policy_aliases.items() if type(model.policy) is kind)
    return next(names, type(model.policy).__name__)


def require_readable(algo: str, space: gym.Space) -> None:
    """Raise `SettingsError` if no policy of SB3 reads ``space``; says which part of it, and what to do."""
    for where, part in _parts(space):
        of = (
            f"the entry {where!r} of this environment's observation"
            if where
            else "this environment's observation"
        )
        if isinstance(part, (spaces.Dict, spaces.Tuple)):
            nested = "an entry of a Dict" if where else "the observation"
            raise SettingsError(
                f"{algo} reads arrays and a flat Dict of arrays; {of} is {part}, and a {type(part).__name__} cannot be {nested}. "
                "Wrap the environment in gymnasium.wrappers.FlattenObservation, which makes one vector of it."
            )
        if not isinstance(part, _READABLE):
            raise SettingsError(
                f"{algo} reads arrays of a fixed shape; {of} is {part}. Turn it into a Box with "
                "gymnasium.wrappers.TransformObservation."
            )
        if isinstance(part, spaces.Discrete) and part.start != 0:
            raise SettingsError(
                f"{algo} reads Discrete observations that count from 0; {of} is {part}. Subtract {part.start} with "
                "gymnasium.wrappers.TransformObservation."
            )
        if where and is_image_space(part) and not _is_large_image(part):
            raise SettingsError(
                f"{algo} reads the images in a Dict with convolutions, which need {_LEAST_PIXELS} x {_LEAST_PIXELS} pixels; {of} "
                f"is {part}. Wrap the environment in gymnasium.wrappers.FlattenObservation, or make the entry a Box of floats."
            )


def _parts(space: gym.Space) -> Iterator[tuple[str, gym.Space]]:
    """What policies read: the space itself, or the entries of a Dict."""
    yield from space.items() if isinstance(space, spaces.Dict) else (("", space),)


def _is_large_image(space: gym.Space) -> bool:
    """Whether it holds bytes, in one or three channels, first or last, of an image that convolutions can take."""
    if not (isinstance(space, spaces.Box) and is_image_space(space, check_channels=True)):
        return False
    sides = sorted(space.shape)[-2:]
    return min(sides) >= _LEAST_PIXELS
