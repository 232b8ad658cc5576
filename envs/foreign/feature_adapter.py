"""The adapter that gives any Gymnasium environment named features.

A shapegym environment puts its features (agent position, success, events) into `info` on every reset and
step and declares them in `features`. `FeatureAdapter` does the same for any other environment, by reading
it with `Extractor` objects. `ready_features.py` has ready sets of them for common environments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import gymnasium as gym
import numpy as np
from gymnasium import Space

Read = TypeVar("Read")


@dataclass(frozen=True)
class Moment:
    """What an extractor may look at, just after a reset or a step.

    Attributes:
        env: The unwrapped environment.
        obs: The observation that the reset or step returned.
        action: The action of the step; None after a reset.
        reward: The task reward of the step; 0 after a reset.
        terminated: Whether the step ended the episode by the task's own rules.
        truncated: Whether the step ended the episode by a time limit.
        before: The features of the previous moment; None after a reset.
        now: The features of this moment that were extracted so far, in the order of the extractors.
    """

    env: Any
    obs: Any
    action: Any
    reward: float
    terminated: bool
    truncated: bool
    before: Mapping[str, Any] | None
    now: dict[str, Any] = field(default_factory=dict)
    _shared: dict[Any, Any] = field(default_factory=dict, repr=False)

    def shared(self, read: Callable[[Any], Read]) -> Read:
        """Return `read(env)`, computed once a moment however many extractors ask for it."""
        if read not in self._shared:
            self._shared[read] = read(self.env)
        return self._shared[read]


@dataclass(frozen=True)
class Extractor:
    """How one feature is read: its space, and a function of the `Moment`.

    Attributes:
        space: The space of the value; its dtype and shape decide those of the `info` entry.
        read: Returns the value. A module-level function (or a `functools.partial` of one) keeps the adapter
            picklable.
        captions: For an event feature, the short text of every event id (id 0, "": nothing happened).
    """

    space: Space[Any]
    read: Callable[[Moment], Any]
    captions: tuple[str, ...] = ()

    def __call__(self, moment: Moment) -> Any:
        """Return the value at a moment, as a Python scalar or as an array of the space's dtype and shape."""
        # A copy: an environment that moves its own arrays would move the features of steps that are past.
        value = np.array(self.read(moment), dtype=self.space.dtype)
        if value.shape != self.space.shape:
            raise ValueError(
                f"read a value of shape {value.shape}, but the space has shape {self.space.shape}"
            )
        # Python scalars, because Gymnasium's vector environments turn a NumPy boolean into an object array.
        return value.item() if value.ndim == 0 else value


class FeatureAdapter(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Put extracted features into `info` on every reset and step, and declare their spaces.

    Observations, rewards and episode ends pass through untouched. Extractors run in the order of the
    mapping: a later one may build on an earlier one through `Moment.now`, and on the previous step through
    `Moment.before`.

    Attributes:
        features: The space of every feature, those of the wrapped environment included.
        captions: The text of every event id; empty where no extractor declares any.
        extractors: How each of the adapter's own features is read.

    Example:
        >>> import gymnasium as gym
        >>> from gymnasium.spaces import Box
        >>> pole_angle = Extractor(Box(-np.inf, np.inf, (), np.float64), lambda moment: moment.obs[2])
        >>> env = FeatureAdapter(gym.make("CartPole-v1"), {"pole_angle": pole_angle})
        >>> _, info = env.reset(seed=0)
        >>> round(info["pole_angle"], 3)
        -0.046
    """

    features: Mapping[str, Space[Any]]
    captions: tuple[str, ...]

    def __init__(self, env: gym.Env[Any, Any], extractors: Mapping[str, Extractor]) -> None:
        """Wrap an environment.

        Args:
            env: The environment to read; any stack of wrappers.
            extractors: Feature name to extractor, in the order in which they are to run.

        Raises:
            TypeError: If a value of the mapping is not an `Extractor`.
            ValueError: If a name is already a feature of the wrapped environment, or captions come twice.
        """
        gym.utils.RecordConstructorArgs.__init__(self, extractors=extractors)
        gym.Wrapper.__init__(self, env)
        inner = env.get_wrapper_attr("features") if env.has_wrapper_attr("features") else {}
        captions = [env.get_wrapper_attr("captions")] if env.has_wrapper_attr("captions") else []
        for name, extractor in extractors.items():
            if not isinstance(extractor, Extractor):
                raise TypeError(f"Feature {name!r}: expected an Extractor(space, read), got {extractor!r}.")
            if name in inner:
                raise ValueError(f"Feature {name!r} is already provided by {env}; give yours another name.")
            if extractor.captions:
                captions.append(extractor.captions)
        if len(captions) > 1:
            raise ValueError(
                f"An environment has one list of event captions, but {len(captions)} were declared."
            )
        self.extractors = dict(extractors)
        self._before: Mapping[str, Any] = {}
        self.features = {**inner, **{name: extractor.space for name, extractor in extractors.items()}}
        self.captions = captions[0] if captions else ()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset the wrapped environment and add the features of its first state to `info`."""
        obs, info = self.env.reset(seed=seed, options=options)
        moment = Moment(self.unwrapped, obs, None, 0.0, False, False, before=None)
        return obs, {**info, **self._extract(moment)}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step the wrapped environment and add the features of the transition to `info`."""
        obs, reward, terminated, truncated, info = self.env.step(action)
        ended = bool(terminated), bool(truncated)
        moment = Moment(self.unwrapped, obs, action, float(reward), *ended, before=self._before)
        return obs, reward, terminated, truncated, {**info, **self._extract(moment)}

    def _extract(self, moment: Moment) -> dict[str, Any]:
        for name, extractor in self.extractors.items():
            try:
                moment.now[name] = extractor(moment)
            except Exception as error:
                error.add_note(f"while extracting feature {name!r} from {self.unwrapped}")
                raise
        self._before = moment.now
        return moment.now


def extractors_of(env: gym.Env[Any, Any]) -> Mapping[str, Extractor]:
    """How the features of an environment are read, by all adapters around it, the innermost first; empty without any."""
    found: dict[str, Extractor] = {}
    while isinstance(env, gym.Wrapper):
        if isinstance(env, FeatureAdapter):
            found = {**env.extractors, **found}
        env = env.env
    return found
