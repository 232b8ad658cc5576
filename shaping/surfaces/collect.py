"""From an API's observations and infos to `Transitions`, the same way on all surfaces.

A surface fills the preallocated rows of a `Collector` and hands its transitions to the engine. The rules that must not differ from
surface to surface live here: numbers have the dtypes of the spaces, s_t is a copy (environments may reuse their buffers), features
come from infos under one set of names, and a feature that is missing is an error that names what there is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from shapegym.shaping.arrays import allocate
from shapegym.shaping.errors import FeatureError, suggest
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.evaluation.success import UNREADABLE, truth, truths
from shapegym.shaping.states.names import names_in, path_in
from shapegym.shaping.surfaces.intake import (
    as_array,
    as_feature,
    as_info,
    require_one_shape,
    write_lane,
    write_lanes,
)
from shapegym.shaping.transitions import Features, Observation, Transitions

SUCCESS_KEYS = ("success", "is_success")
"""Info keys that say whether the task is solved: this project's, and Stable-Baselines3's."""


def success_in(info: Mapping[str, Any]) -> Any:
    """Return what an info says about success, under either spelling, or None if it says nothing."""
    for key in SUCCESS_KEYS:
        if key in info:
            return info[key]
    return None


class Collector:
    """The transitions of an engine's lanes, in arrays that are reused from step to step.

    s_t and s_{t+1} are two sets of rows that `advance` swaps, so a state is copied once. A surface calls, in this order:

    * on reset: `begin` (or `begin_lane`) with the first observations and their features;
    * on step: `advance` with the features of s_{t+1}, then writes ``next_obs``, ``action``, ``reward`` and the flags, and gives
      ``transitions`` to the engine; at last it sets ``first`` for the step to come.
    """

    def __init__(self, engine: RewardEngine) -> None:
        spec = engine.spec
        flags = np.zeros(spec.num_lanes, dtype=bool)
        self.transitions = Transitions(
            obs=allocate(spec.observation_space, spec.num_lanes),
            action=allocate(spec.action_space, spec.num_lanes),
            next_obs=allocate(spec.observation_space, spec.num_lanes),
            reward=np.zeros(spec.num_lanes),
            terminated=flags,
            truncated=flags.copy(),
            first=~flags,
            active=~flags,
        )
        self.names_before = engine.reads_before
        self.names = tuple(dict.fromkeys((*engine.reads, *engine.reads_before)))
        self._upcoming: dict[str, np.ndarray] = {}

    def advance(self, next_features: Features) -> Transitions:
        """Make the last s_{t+1} the s_t of the transitions to be written, and return them.

        Of the features of s_{t+1} those that the next step reads as features of s_t are copied.
        """
        transitions = self.transitions
        transitions.obs, transitions.next_obs = transitions.next_obs, transitions.obs
        transitions.features, transitions.next_features = self._upcoming, next_features
        if self.names_before:
            self._upcoming = {name: np.array(next_features[name]) for name in self.names_before}
        return transitions

    def begin_lane(self, lane: int, obs: Any) -> None:
        """Let ``lane`` start an episode in ``obs``."""
        write_lane(self.transitions.next_obs, lane, obs)
        self.transitions.first[lane] = True

    def begin(self, obs: Observation, features: Features, lanes: np.ndarray) -> None:
        """Let the lanes of a (B,) mask start episodes in their rows of ``obs``."""
        write_lanes(self.transitions.next_obs, obs, lanes)
        self.transitions.first[lanes] = True
        self.begin_features(features, lanes)

    def begin_features(self, features: Features, lanes: np.ndarray) -> None:
        """Take the features of the first states of the lanes of a (B,) mask."""
        kept = self._upcoming
        self._upcoming = {
            name: choose(features[name], kept[name], lanes) if name in kept else np.array(features[name])
            for name in self.names_before
        }


def batch_success(infos: Mapping[str, Any], num_lanes: int) -> np.ndarray | None:
    """Return what Gymnasium's batched infos say of success, (B,), as `truths`; None if they say nothing."""
    key = next((key for key in SUCCESS_KEYS if infos.get(key) is not None), None)
    if key is None:
        return None
    values = as_array(infos[key])
    read = truths(values) if values.shape[:1] == (num_lanes,) else np.full(num_lanes, UNREADABLE)
    said = np.asarray(infos.get(f"_{key}", True))
    return read if said.all() else np.where(said, read, np.nan)


def choose(values: np.ndarray, others: np.ndarray, lanes: np.ndarray) -> np.ndarray:
    """Return a new array with the rows of ``values`` where the (B,) mask ``lanes`` holds and of ``others`` elsewhere."""
    return np.where(lanes.reshape(-1, *(1,) * (values.ndim - 1)), values, others)


def declared_features(env: Any) -> Mapping[str, gym.Space] | None:
    """Return what an environment of any kind, a wrapper around it, or its first lane declares as ``features``, names with spaces.

    Worker processes are not asked: a declaration that cannot be pickled, or an environment without one, would end them.
    """
    features = getattr(env, "features", None)
    if isinstance(features, Mapping) and all(isinstance(space, gym.Space) for space in features.values()):
        return features
    inner = [getattr(env, name) for name in ("env", "venv") if hasattr(env, name)]
    if not inner and isinstance(lanes := getattr(env, "envs", None), (list, tuple)):
        inner = list(lanes)
    return declared_features(inner[0]) if inner else None


def find_path(name: str, info: Mapping[str, Any], when: str) -> tuple[str, ...]:
    """Return the keys that lead to the feature ``name`` in an info: its own, dotted or not, or for success its other spelling.

    Raises:
        FeatureError: if nothing is there, or a mapping; says what there is.
    """
    path = path_in(info, name)
    if path is None and name in SUCCESS_KEYS:
        path = next(((key,) for key in SUCCESS_KEYS if key in info), None)
    if path is None:
        raise missing_feature(name, info, when)
    if isinstance(found := follow(path, info), Mapping):
        raise FeatureError(
            f"The feature {name!r} in the info of {when} is a mapping, and a feature is an array of numbers: name one of its "
            f"entries.{suggest(name, (f'{name}.{entry}' for entry in names_in(found)))}"
        )
    return path


def follow(path: Iterable[str], info: Mapping[str, Any]) -> Any:
    """Return what the keys of `find_path` lead to."""
    value: Any = info
    for key in path:
        value = value[key]
    return value


def lane_features(info: Mapping[str, Any] | None, names: Iterable[str], when: str) -> dict[str, np.ndarray]:
    """Return the named features of one lane, each (1, ...), and its success if the info says.

    Raises:
        FeatureError: if ``info`` lacks one.
        ObservationError: if it is no dict, or a value is no array.
    """
    info = as_info(info)
    features = {name: as_feature(follow(find_path(name, info, when), info), name)[None] for name in names}
    if "success" not in features and (success := success_in(info)) is not None:  # for the books: not required
        features["success"] = np.array([truth(success)])
    return features


def stack_features(
    infos: Sequence[Mapping[str, Any] | None], names: Iterable[str], when: str
) -> dict[str, np.ndarray]:
    """Return the named features of the lanes, each (B, ...), from one info a lane; zeros for a lane without an info (None).

    Lanes whose infos say nothing of success have NaN there, unless it is read.

    Raises:
        FeatureError: if an info lacks one.
        ObservationError: if the lanes give one in different shapes.
    """
    found = [None if info is None else lane_features(info, names, when) for info in infos]
    known = [features for features in found if features is not None]
    stacked = {}
    for name in dict.fromkeys(name for features in known for name in features):
        given = [features[name] for features in known if name in features]
        require_one_shape([values[0] for values in given], name)
        blank = np.zeros_like(given[0]) if name in names else np.array([np.nan])
        stacked[name] = np.concatenate([blank if row is None else row.get(name, blank) for row in found])
    return stacked


def missing_feature(name: str, info: Mapping[str, Any], when: str) -> FeatureError:
    """Return the error for a feature that an info does not have; ``when`` completes 'missing in the info of ...'."""
    return FeatureError(
        f"The feature {name!r} is missing in the info of {when}. The environment must give it in every info."
        f"{suggest(name, names_in(info))}"
    )
