"""Training environments by id: whole batches through the bridge where there is a native vector form, else one by one."""

from __future__ import annotations

import importlib
import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Annotated, Any, Literal, TypeAlias

import gymnasium as gym
from annotated_types import Ge, Le
from gymnasium.envs.registration import EnvSpec, load_env_creator
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from shapegym.agents.bridge import VectorEnvBridge
from shapegym.agents.errors import SettingsError
from shapegym.agents.policies import require_readable
from shapegym.envs.dynamics import Dynamics
from shapegym.envs.foreign.minigrid_views import with_view
from shapegym.envs.foreign.ready_features import adapt_features
from shapegym.envs.registration import dynamics_class
from shapegym.shaping.discovery import import_modules, load_plugins
from shapegym.shaping.limited_files import in_words
from shapegym.shaping.limits import Seed, checked
from shapegym.shaping.tree import readers_of
from shapegym.shaping.types import Expression

GridView: TypeAlias = Literal["flat", "image", "flat_full", "image_full"]
"""What an agent sees of MiniGrid: the symbols of its view, or of the full grid; as one vector (MlpPolicy) or an image."""

Lanes: TypeAlias = Annotated[int, Ge(1), Le(2**20), "an integer of at least 1, and at most 2**20"]
LARGEST_BATCH = 4 * 2**30
"""Bytes of the observations of all lanes: a rollout or a replay buffer holds many times as much."""

MAX_LANES = 16
"""Lanes that `lanes_of` makes at most."""


def make_vec_env(
    env_id: str,
    num_envs: int = 1,
    *,
    seed: int | None = None,
    grid_view: GridView = "flat",
    **kwargs: Any,
) -> VecEnv:
    """Return ``num_envs`` lanes of a registered environment for Stable-Baselines3.

    An environment with a native SAME_STEP vector form comes through `VectorEnvBridge`. Any other becomes a DummyVecEnv of monitored
    environments, with named features where a ready set knows it (`shapegym.envs.foreign`), and with ``grid_view`` in place of
    MiniGrid's Dict observation. Lane i is seeded with ``seed + i``: both forms play the same episodes.

    Args:
        env_id: as `gymnasium.make` takes it; packages known to shapegym are imported as needed.
        num_envs: lanes B.
        seed: of lane 0; None for fresh entropy.
        grid_view: for MiniGrid and BabyAI only; compiled grid worlds (``shapegym/MiniGrid-...``) may be given their own options
            ``observation`` and ``image`` instead.
        **kwargs: of the environment.

    Raises:
        SettingsError: if ``num_envs`` is below 1, the seed or the grid view is none, the environment rejects its arguments, or
            Stable-Baselines3 cannot read its observations.
        gymnasium.error.Error: if the id is not registered.
    """
    checked("num_envs", Lanes, num_envs, SettingsError)
    checked("seed", Seed | None, seed, SettingsError)
    checked("grid_view", GridView, grid_view, SettingsError)
    spec = env_spec(env_id)
    try:
        venv = _lanes(spec, num_envs, grid_view, kwargs)
    except MemoryError as error:
        raise SettingsError(f"There is no memory for {num_envs} lanes of {spec.id}: {error}") from error
    except (TypeError, ValueError) as error:
        if not kwargs:
            raise
        raise SettingsError(f"{spec.id} rejects its arguments {str(kwargs)[:200]}: {error}") from error
    if seed is not None:
        venv.seed(seed)
    return venv


@contextmanager
def lanes_of(env: str | VecEnv, most: int, **kwargs: Any) -> Iterator[VecEnv]:
    """Give a VecEnv as it is, or lanes of an id, at most ``most`` and 16 of them, that are closed afterwards."""
    if isinstance(env, VecEnv):
        yield env
        return
    venv = make_vec_env(env, min(most, MAX_LANES), **kwargs)
    try:
        yield venv
    finally:
        venv.close()


def longest_episode(env_id: str, **kwargs: Any) -> int | None:
    """Return after how many steps an episode of an environment ends at the latest; None where nothing says so.

    Raises:
        SettingsError: as `make_vec_env`.
    """
    with lanes_of(env_id, 1, **kwargs) as venv:
        layer: Any = venv.env.unwrapped if isinstance(venv, VectorEnvBridge) else venv.envs[0]  # type: ignore[attr-defined]
        limits: list[Any] = []
        while isinstance(layer, gym.Wrapper):
            if isinstance(layer, gym.wrappers.TimeLimit):
                limits.append(layer._max_episode_steps)
            layer = layer.env
        # ours; MiniGrid's and many others'
        limits += [getattr(layer, name, None) for name in ("episode_limit", "max_steps")]
    known = [limit for limit in limits if isinstance(limit, int) and limit > 0]
    return min(known, default=env_spec(env_id).max_episode_steps)


def make_env(env_id: str, *, grid_view: GridView = "flat", **kwargs: Any) -> gym.Env:
    """Return one lane of `make_vec_env` as an environment: the same observations and features, in Gymnasium's form.

    Raises:
        gymnasium.error.Error: if the id is not registered.
    """
    spec = env_spec(env_id)
    if _has_native_form(spec):
        # Gymnasium's wrapper knows the limit of the id alone; ours keep their own, whatever the arguments make it.
        own_limit = (
            {"max_episode_steps": -1, "id_limit": None} if dynamics_class(spec) is not Dynamics else {}
        )
        return gym.make(spec.id, **{**own_limit, **_of_view(spec, grid_view, kwargs)})
    return _make_lane(spec.id, grid_view, kwargs)


def with_features(env_id: str, reward: Expression | None, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``kwargs``, and also the features that ``reward`` reads and the environment reports on request only.

    Args:
        env_id: as `make_vec_env` takes it.
        reward: what will be measured; None for the plain task.
        kwargs: of the environment. ``features`` in it are left as they are.
    """
    if reward is None or "features" in kwargs:
        return dict(kwargs)
    read = {name for each in readers_of(reward) for name in (*each.reads, *each.reads_before)}
    wanted = sorted(filter(dynamics_class(env_spec(env_id)).reports_on_request, read))
    return {**kwargs, "features": wanted} if wanted else dict(kwargs)


def env_spec(env_id: str) -> EnvSpec:
    """Return Gymnasium's spec of an id, importing the package that registers it.

    Raises:
        gymnasium.error.Error: if the id is not registered, also by no plugin.
        PluginError: if the module of "module:id" cannot be imported.
    """
    module, _, name = env_id.rpartition(":")
    if module:
        import_modules([module], f"The environment {env_id!r}")
    if name not in gym.registry:
        importlib.import_module("minigrid")  # registers its ids
    if name not in gym.registry:
        load_plugins()
    return gym.spec(name)


def _lanes(spec: EnvSpec, num_envs: int, grid_view: GridView, kwargs: dict[str, Any]) -> VecEnv:
    if _has_native_form(spec):
        venv = gym.make_vec(
            spec.id,
            num_envs=num_envs,
            vectorization_mode="vector_entry_point",
            autoreset_mode=AutoresetMode.SAME_STEP,
            **_of_view(spec, grid_view, kwargs),
        )
        _require_room(spec, venv.single_observation_space, num_envs)
        return VectorEnvBridge(venv)
    lane: Callable[[], gym.Env] = partial(_make_lane, spec.id, grid_view, kwargs)
    try:
        first = lane()
        _require_room(spec, first.observation_space, num_envs)
        return DummyVecEnv([lambda: first, *[lane] * (num_envs - 1)])
    except (NotImplementedError, TypeError):
        env = lane()
        env.close()
        require_readable("Stable-Baselines3", env.observation_space)
        raise


def _require_room(spec: EnvSpec, space: gym.Space, num_envs: int) -> None:
    if (size := num_envs * _size(space)) > LARGEST_BATCH:
        raise SettingsError(
            f"{num_envs:,} lanes of {spec.id} have observations of {in_words(size)} a step, at most {in_words(LARGEST_BATCH)} are "
            "taken: ask for fewer lanes."
        )


def _size(space: gym.Space) -> int:
    """Bytes of an observation."""
    if isinstance(space, (gym.spaces.Dict, gym.spaces.Tuple)):
        parts = space.spaces
        return sum(map(_size, parts.values() if isinstance(parts, Mapping) else parts))
    return math.prod(space.shape or ()) * (space.dtype.itemsize if space.dtype else 8)


def _of_view(spec: EnvSpec, grid_view: GridView, kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a compiled environment, with those that show the view where its kind has such views."""
    return {**dynamics_class(spec).views.get(grid_view, {}), **kwargs}


def _has_native_form(spec: EnvSpec) -> bool:
    """Whether there is a vector form that lets its autoreset mode be chosen (Gymnasium's own CartPole-v1 has another kind)."""
    entry = spec.vector_entry_point
    if entry is None:
        return False
    creator = load_env_creator(entry) if isinstance(entry, str) else entry
    return "autoreset_mode" in inspect.signature(creator).parameters


def _make_lane(env_id: str, grid_view: GridView, kwargs: dict[str, Any]) -> gym.Env:
    env = with_view(gym.make(env_id, **kwargs), grid_view)
    with suppress(
        TypeError
    ):  # no ready set knows it: rewards may still read observations and what its own infos hold
        env = adapt_features(env)
    return Monitor(env)
