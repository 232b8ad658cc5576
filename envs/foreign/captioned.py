"""The feature `caption` for environments that have texts of their own, in infos or observations, or made by a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import Space
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector.utils import concatenate, create_empty_array, iterate
from numpy.typing import NDArray

from shapegym.texts import Text, decode, encode, text_space

CAPTION = "caption"
Teller = Callable[[Any, Mapping[str, Any]], Any]
"""(observation, info) -> a text; of the vector form, of batches -> a text a lane."""


def as_text(value: Any) -> str:
    """What somebody said: a text, bytes or an array of them (UTF-8, zeros behind it), or None for nothing.

    What is no UTF-8 becomes U+FFFD.

    Raises:
        TypeError: It is something else; says what.
    """
    if value is None:
        return ""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    if isinstance(value, bytes | bytearray):
        return decode(np.frombuffer(value, np.uint8)[None])[0]
    if isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype == np.uint8:
        return decode(value[None])[0]
    if not isinstance(value, str):
        raise TypeError(f"a caption is a text, bytes or None, got {value!r:.60} ({type(value).__name__})")
    return value


class _Source:
    """Where texts come from, and how they are declared."""

    def __init__(self, env: Any, of: str | Teller, length: int) -> None:
        if not (isinstance(of, str) and of) and not callable(of):
            raise TypeError(f"`of` must be the name of a text or a function (obs, info), got {of!r}")
        if isinstance(length, bool) or not isinstance(length, int) or length < 1:
            raise ValueError(f"length must be a number of bytes, at least 1, got {length!r}")
        features = getattr(env, "features", None)
        if features is None and isinstance(env, gym.Env) and env.has_wrapper_attr("features"):
            features = env.get_wrapper_attr("features")
        if features is not None and CAPTION in features:
            raise ValueError(f"{env} reports a caption already")
        self.of, self.length = of, length
        self.features: dict[str, Space[Any]] = {**(features or {}), CAPTION: text_space(length)}

    def read(self, obs: Any, info: Mapping[str, Any]) -> Any:
        """What is said, of one lane or of all.

        Raises:
            KeyError: Neither the info nor the observation has an entry of that name; says what there is.
        """
        if callable(self.of):
            return self.of(obs, info)
        if self.of in info:
            return info[self.of]
        if isinstance(obs, Mapping) and self.of in obs:
            return obs[self.of]
        there = sorted({*info, *(obs if isinstance(obs, Mapping) else ())})
        raise KeyError(f"there is no text {self.of!r} in the info or the observation, which have {there}")


class CaptionedEnv(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Reports what an environment says as its feature `caption`, on every reset and step.

    The info has it as a `shapegym.texts.Text`, which people read and of which rewards take the bytes. Observations, rewards and
    episode ends pass through untouched.

    Args:
        env: the environment.
        of: the name of a text in the info, or else in a Dict observation; or a function (obs, info) -> text. Texts may be bytes,
            such as NetHack's message, and None for nothing.
        length: bytes of a caption; longer texts are cut.

    Attributes:
        features: the space of every feature, those of the wrapped environment included.

    Raises:
        TypeError, ValueError: ``of`` or ``length`` is none, or the environment reports a caption already.

    Example:
        >>> import gymnasium as gym
        >>> env = CaptionedEnv(gym.make("CartPole-v1"), lambda obs, info: "it falls" if abs(obs[2]) > 0.1 else "it stands")
        >>> env.reset(seed=0)[1]["caption"]
        'it stands'
    """

    features: Mapping[str, Space[Any]]

    def __init__(self, env: gym.Env[Any, Any], of: str | Teller, *, length: int = 256) -> None:
        RecordConstructorArgs.__init__(self, of=of, length=length)
        gym.Wrapper.__init__(self, env)
        self._source = _Source(env, of, length)
        self.features = self._source.features

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode."""
        obs, info = self.env.reset(seed=seed, options=options)
        return obs, self._told(obs, info)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Advance by one step."""
        obs, reward, terminated, truncated, info = self.env.step(action)
        return obs, reward, terminated, truncated, self._told(obs, info)

    def _told(self, obs: Any, info: dict[str, Any]) -> dict[str, Any]:
        text = as_text(self._source.read(obs, info))
        return {**info, CAPTION: Text(encode([text], self._source.length)[0])}


class CaptionedVectorEnv(gym.vector.VectorWrapper):
    """`CaptionedEnv` around a vector environment: infos have the captions of all lanes as bytes (B, length).

    A function gets the batches and returns a text a lane. Under SAME_STEP autoreset it is asked of the last states too, with
    ``final_obs`` and ``final_info``. Texts in infos that some lanes do not have are empty there. Arguments and errors are those of
    `CaptionedEnv`.
    """

    features: Mapping[str, Space[Any]]

    def __init__(self, env: gym.vector.VectorEnv, of: str | Teller, *, length: int = 256) -> None:
        super().__init__(env)
        self._source = _Source(env, of, length)
        self.features = self._source.features

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start episodes."""
        obs, info = self.env.reset(seed=seed, options=options)
        return obs, self._told(obs, info)

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Advance by one step."""
        obs, reward, terminated, truncated, info = self.env.step(actions)
        told = self._told(obs, info)
        if "final_info" in info:
            ended = np.asarray(info["_final_info"], np.bool_)
            told["final_info"] = self._told(
                self._last(obs, info["final_obs"], ended), info["final_info"], ended
            )
        return obs, reward, terminated, truncated, told

    def _last(self, obs: Any, final: Any, ended: NDArray[np.bool_]) -> Any:
        """The batch of the last observations; Gymnasium's own forms keep those of ended lanes as objects, one a lane."""
        if not (isinstance(final, np.ndarray) and final.dtype == object):
            return final
        space, going_on = self.single_observation_space, iterate(self.observation_space, obs)
        members = [last if over else own for last, over, own in zip(final, ended, going_on, strict=True)]
        batch: Any = create_empty_array(space, self.num_envs)
        return concatenate(space, members, batch)

    def _told(
        self, obs: Any, info: Mapping[str, Any], lanes: NDArray[np.bool_] | None = None
    ) -> dict[str, Any]:
        lanes = np.ones(self.num_envs, np.bool_) if lanes is None else lanes
        return {**info, CAPTION: self._rows(self._source.read(obs, info), lanes), f"_{CAPTION}": lanes}

    def _rows(self, said: Any, lanes: NDArray[np.bool_]) -> NDArray[np.uint8]:
        if not isinstance(said, Sequence | np.ndarray) or isinstance(said, str) or len(said) != self.num_envs:
            raise TypeError(f"captions of {self.num_envs} lanes are as many texts, got {said!r:.60}")
        texts = [as_text(text) if asked else "" for text, asked in zip(said, lanes.tolist(), strict=True)]
        return encode(texts, self._source.length)
