"""An agent on a reward, in one call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.vec_env import VecEnv

from shapegym.agents.algorithms.registry import algorithm_of, algorithms
from shapegym.agents.environments import make_vec_env, with_features
from shapegym.agents.errors import SettingsError
from shapegym.agents.extractors import with_extractor
from shapegym.agents.policies import fitting_policy
from shapegym.agents.settings import Settings, resolve_settings
from shapegym.agents.threads import choose_threads, threads_of_runs, torch_threads
from shapegym.shaping.surfaces.binding import BindingOptions
from shapegym.shaping.surfaces.wiring import wire
from shapegym.shaping.types import Expression

_REJECTIONS = (
    AssertionError,
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What SB3, NumPy and torch raise for settings of a wrong kind, out of range, or larger than the memory."""


def make_agent(
    algo: str,
    env: str | VecEnv,
    reward: Expression | None = None,
    *,
    seed: int | None = None,
    settings: Settings | None = None,
    device: str = "cpu",
    verbose: int = 0,
    tensorboard_log: str | None = None,
    binding: BindingOptions | None = None,
    **overrides: Any,
) -> BaseAlgorithm:
    """Return an SB3 agent that learns from ``reward`` on ``env``.

        model = make_agent("PPO", "shapegym/FourRooms-v0", TaskReward() + 0.1 * CountBonus("features.agent_pos"), seed=0)
        model.learn(100_000)

    Unless somebody has chosen otherwise, torch computes on one thread from then on, so that a seed means the same on every machine;
    without a seed, on as many as prove fastest (`shapegym.agents.threads`).

    Args:
        algo: a name in `shapegym.agents.ALGORITHMS`. Its policy, unless ``policy`` is given, is that which reads the environment's
            observations.
        env: a VecEnv, or an id: made with the settings' number of lanes (`make_vec_env`), and the features that the reward reads.
        reward: what the agent is trained on; None is the task reward as the environment pays it.
        seed: of the networks, the exploration, the environments and the reward's terms.
        settings: complete hyper-parameters; None takes the table's for this algorithm and environment.
        device: of the networks.
        verbose: SB3's.
        tensorboard_log: SB3's folder for TensorBoard.
        binding: how the reward is bound beside its seed: see `BindingOptions`.
        **overrides: hyper-parameters that replace those of the table or of ``settings``.

    Raises:
        SettingsError: for unknown names, values that the algorithm rejects, or spaces that it cannot use.
        ShapingError: if the reward does not fit the environment or the agent.
    """
    if settings is not None and settings.algo != algo:
        raise SettingsError(f"These settings are for {settings.algo}, not for {algo}.")
    env_id = env if isinstance(env, str) else ""
    base = settings.as_dict() if settings is not None else {}
    chosen = resolve_settings(algo, env_id, {**base, **overrides})
    venv: Any = env
    if isinstance(env, str):
        venv = make_vec_env(env, chosen.num_envs, seed=seed, **with_features(env, reward, {}))
    if not isinstance(venv, VecEnv):
        raise SettingsError(
            f"env must be an environment id or an SB3 VecEnv, got {env!r}. For one environment: DummyVecEnv([lambda: env])."
        )
    if overrides.get("num_envs", venv.num_envs) != venv.num_envs:
        raise SettingsError(
            f"num_envs={overrides['num_envs']!r}, but the VecEnv has {venv.num_envs} lanes. Make it with as many, or give an id."
        )
    require_fitting_actions(algo, venv.action_space)
    policy = chosen.policy or fitting_policy(algorithm_of(algo).kind, venv.observation_space)
    arguments = dict(chosen.arguments)
    if isinstance(arguments.get("policy_kwargs"), Mapping):
        arguments["policy_kwargs"] = with_extractor(arguments["policy_kwargs"])
    if chosen.action_noise_std:
        shape = venv.action_space.shape
        assert shape is not None  # noqa: S101  # algorithms with action noise take Box actions only
        arguments["action_noise"] = NormalActionNoise(
            np.zeros(shape), np.full(shape, chosen.action_noise_std)
        )
    try:
        with torch_threads(threads_of_runs()):  # what networks begin with depends on it
            model = algorithm_of(algo).kind(
                policy,
                venv,
                seed=seed,
                device=device,
                verbose=verbose,
                tensorboard_log=tensorboard_log,
                **arguments,
            )
    except _REJECTIONS as error:
        raise SettingsError(f"{algo} with {policy} rejects its settings: {error}") from error
    choose_threads(model)
    if reward is not None:
        options: BindingOptions = {"seed": seed or 0, **(binding or {})}
        wire(model, reward, **options)
    return model


def require_fitting_actions(algo: str, space: gym.Space) -> None:
    """Raise `SettingsError` if ``algo`` cannot act in ``space``; names the algorithms that can."""
    wanted = algorithm_of(algo).actions
    if not isinstance(space, wanted):
        fitting = [
            name
            for name, other in sorted(algorithms().items(), key=lambda each: each[1].is_ours)
            if other.takes_any_reward and isinstance(space, other.actions)
        ]
        raise SettingsError(
            f"{algo} needs {wanted.__name__} actions; this environment's are {space}. Use {', '.join(fitting)}."
        )
