"""Recording what a base policy does, for rewards that keep an agent near it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv

from shapegym.agents.environments import lanes_of
from shapegym.agents.errors import SettingsError
from shapegym.agents.evaluation import Policy
from shapegym.agents.randomness import isolated_randomness
from shapegym.shaping.arrays import tree_join, tree_map, tree_take
from shapegym.shaping.limits import Count, Fraction, checked
from shapegym.shaping.models.base_data import save_base, texts_of
from shapegym.shaping.surfaces.collect import missing_feature, stack_features


def record_base(
    policy: Policy,
    env: str | VecEnv,
    path: str | os.PathLike[str],
    *,
    steps: int = 10_000,
    seed: int = 0,
    random_actions: float = 0.1,
    features: Sequence[str] = (),
    **env_kwargs: Any,
) -> None:
    """Write transitions of a policy as base data for `OccupancyPenalty`.

    Args:
        policy: an SB3 model, an oracle, or anything with their ``predict``; its actions are sampled, not its mode. One
            with a memory gets it back.
        env: an id, or a VecEnv of the plain task, which is seeded and reset.
        path: the ``.npz`` to write; an old one is replaced.
        steps: transitions, over all lanes.
        seed: of environments and actions.
        random_actions: share of actions that are taken at random instead, in [0, 1]: a base policy that never errs leaves the
            occupancy of its neighbourhood unknown.
        features: of s_t, to record besides the observation.
        **env_kwargs: of the environment, when it is given by id.

    Raises:
        SettingsError: if ``steps`` or ``random_actions`` is out of range.
        FeatureError: if the environment lacks a feature.
        BaseDataError: if the file cannot be written.
    """
    checked("steps", Count, steps, SettingsError)
    checked("random_actions", Fraction, random_actions, SettingsError)
    rng = np.random.default_rng(seed)
    rows: list[tuple[Any, np.ndarray, dict[str, np.ndarray]]] = []
    with lanes_of(env, steps, **env_kwargs) as venv, isolated_randomness(seed, venv.action_space):
        venv.seed(seed)
        obs = venv.reset()
        infos = [dict(info) for info in venv.reset_infos]
        memory, starts = None, np.ones(venv.num_envs, dtype=bool)
        for _ in range(-(-steps // venv.num_envs)):
            drawn, memory = policy.predict(obs, memory, starts, deterministic=False)
            action = np.array(drawn)
            for lane in np.flatnonzero(rng.random(venv.num_envs) < random_actions):
                action[lane] = venv.action_space.sample()
            next_obs, _, starts, next_infos = venv.step(action)
            last = getattr(venv, "last_step", None)
            found = stack_features(infos, features, "a state") if last is None else last.features
            for name in features:
                if name not in found:
                    raise missing_feature(name, found, "a state")
            rows.append((tree_map(np.array, obs), action, {name: np.array(found[name]) for name in features}))
            obs = next_obs
            infos = [
                dict(start if done else info)
                for done, start, info in zip(starts, venv.reset_infos, next_infos, strict=True)
            ]
        observations, actions, told = zip(*rows, strict=True)
        save_base(
            path,
            _stacked(observations, steps),
            _stacked(actions, steps),
            {name: _stacked([found[name] for found in told], steps) for name in features},
            texts_of(venv.observation_space, venv.action_space),
        )


def _stacked(batches: Sequence[Any], steps: int) -> Any:
    return tree_take(tree_join(np.concatenate, batches), slice(steps))
