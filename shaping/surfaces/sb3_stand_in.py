"""A `VecEnv` in the place of another, which code that looks at the layers of an environment takes for that one.

SB3 compares the layers of the training environment with those of an evaluation environment (``sync_envs_normalization``,
``EvalCallback``). A wrapper more on one side would be an error there, or a warning, so what `shapegym.wire` puts next to the
environments is no wrapper.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices


class StandInVecEnv(VecEnv):
    """Hands everything on to ``venv``, also the question of its class; subclasses step.

    Needs of ``venv`` only what it is asked for: environments that are not quite SB3's (SuperSuit's) lack the rest.
    """

    def __init__(self, venv: VecEnv) -> None:
        self.venv = venv  # `VecEnv.__init__` would look for attributes that an environment may not have
        self.num_envs = venv.num_envs
        self.observation_space = venv.observation_space
        self.action_space = venv.action_space

    @property
    def __class__(self) -> Any:
        """The class that `isinstance` takes it for, beside its own."""
        return type(self.venv) if "venv" in vars(self) else type(self)

    @__class__.setter
    def __class__(self, value: type) -> None:
        raise TypeError("The class of a stand-in is that of the environment in whose place it is.")

    def __reduce__(self) -> Any:  # pickle would compare the two classes
        return object.__new__, (type(self),), vars(self)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "venv":  # copying asks before there is one
            raise AttributeError(name)
        return getattr(self.venv, name)

    @property
    def unwrapped(self) -> VecEnv:
        """The environment in whose place it is."""
        return self.venv.unwrapped

    def close(self) -> None:
        """Close the environments."""
        self.venv.close()

    def has_attr(self, attr_name: str) -> bool:
        """See `VecEnv`."""
        return self.venv.has_attr(attr_name)

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """See `VecEnv`."""
        return self.venv.get_attr(attr_name, indices)

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """See `VecEnv`."""
        self.venv.set_attr(attr_name, value, indices)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """See `VecEnv`."""
        return self.venv.env_method(method_name, *method_args, indices=indices, **method_kwargs)

    def env_is_wrapped(self, wrapper_class: type[gym.Wrapper], indices: VecEnvIndices = None) -> list[bool]:
        """See `VecEnv`."""
        return self.venv.env_is_wrapped(wrapper_class, indices=indices)

    def get_images(self) -> Sequence[np.ndarray | None]:
        """See `VecEnv`."""
        return self.venv.get_images()

    def render(self, mode: str | None = None) -> np.ndarray | None:
        """See `VecEnv`."""
        return self.venv.render(mode=mode)

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """See `VecEnv`."""
        return self.venv.seed(seed)

    def set_options(self, options: list[dict] | dict | None = None) -> None:
        """See `VecEnv`."""
        self.venv.set_options(options)
