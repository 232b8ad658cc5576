"""Evaluation on the task: success and the task's own return, never the shaped one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.policies import BaseModel
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from shapegym.agents.environments import lanes_of
from shapegym.agents.errors import EvaluationError
from shapegym.agents.randomness import isolated_randomness
from shapegym.shaping.limits import Count, checked
from shapegym.shaping.surfaces.collect import success_in
from shapegym.shaping.surfaces.layers import batch_layers
from shapegym.shaping.surfaces.sb3_vec import TransitionVecEnv


class Policy(Protocol):
    """Anything that acts the way SB3's models do."""

    def predict(
        self,
        observation: Any,
        state: tuple[np.ndarray, ...] | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, tuple[np.ndarray, ...] | None]:
        """Return actions (B, ...) and the policy's memory."""


@dataclass(frozen=True)
class Evaluation:
    """The episodes of an evaluation.

    Attributes:
        returns: undiscounted task return of each episode, (episodes,).
        lengths: its steps, (episodes,) int64.
        successes: whether it solved the task, (episodes,) bool, or None if the environment does not say.
    """

    returns: NDArray[np.float64]
    lengths: NDArray[np.int64]
    successes: NDArray[np.bool_] | None

    @property
    def mean_return(self) -> float:
        """Mean task return."""
        return float(self.returns.mean())

    @property
    def mean_length(self) -> float:
        """Mean number of steps."""
        return float(self.lengths.mean())

    @property
    def success_rate(self) -> float | None:
        """Fraction of episodes that solved the task, or None if the environment does not say."""
        return None if self.successes is None else float(self.successes.mean())

    @property
    def score(self) -> tuple[float, float]:
        """What a better policy has more of: success, then return."""
        return (self.success_rate if self.success_rate is not None else 0.0, self.mean_return)

    def as_row(self) -> dict[str, Any]:
        """Return the means as plain values."""
        return {
            "episodes": len(self.returns),
            "success_rate": self.success_rate,
            "mean_return": self.mean_return,
            "mean_length": self.mean_length,
        }


def evaluate(
    model: Policy,
    env: str | VecEnv,
    episodes: int = 100,
    *,
    seed: int = 0,
    deterministic: bool = True,
    **env_kwargs: Any,
) -> Evaluation:
    """Play exactly ``episodes`` episodes of the task and return what they earned.

    Each lane plays a quota fixed in advance, so that short episodes are not over-represented as they are when the first
    ``episodes`` to end are taken. Results are in order of lanes, and depend on seed, policy and number of lanes only; the global
    random streams are left as they were, so that evaluating does not change a training run.

    Args:
        model: an SB3 model, an oracle, or anything with their ``predict``. Recurrent policies get their state back. If the model
            was trained on observations normalised by VecNormalize, it sees them so here, with its statistics as they are.
        env: an id (made with at most 16 lanes, closed afterwards), or a VecEnv of the plain task, which is seeded and reset.
        episodes: how many.
        seed: of lane 0; lane i has ``seed + i``.
        deterministic: take the policy's mode instead of a sample.
        **env_kwargs: of the environment, when it is given by id.

    Raises:
        EvaluationError: for no episodes, or a VecEnv that pays or normalises another reward than the task's.
    """
    episodes = checked("episodes", Count, episodes, EvaluationError)
    with lanes_of(env, episodes, **env_kwargs) as venv:
        require_task_reward(venv)
        return _play(model, venv, episodes, seed, deterministic)


def require_task_reward(venv: VecEnv) -> None:
    """Raise `EvaluationError` if a layer of ``venv`` shapes or normalises: evaluation needs the environments themselves."""
    for layer in batch_layers(venv):
        if isinstance(layer, (TransitionVecEnv, VecNormalize)):
            raise EvaluationError(
                f"Evaluation is on the plain task, but this VecEnv has a {type(layer).__name__} layer, whose statistics it would "
                "also disturb. Pass the environment's id, or a VecEnv of its own without that layer."
            )


def _play(model: Policy, venv: VecEnv, episodes: int, seed: int, deterministic: bool) -> Evaluation:
    quotas = np.array(
        [episodes // venv.num_envs + (lane < episodes % venv.num_envs) for lane in range(venv.num_envs)]
    )
    finished: list[list[tuple[float, int, Any]]] = [[] for _ in range(venv.num_envs)]
    returns = np.zeros(venv.num_envs)
    lengths = np.zeros(venv.num_envs, dtype=np.int64)
    normalizer = model.get_vec_normalize_env() if hasattr(model, "get_vec_normalize_env") else None
    spaces = [model.action_space] if hasattr(model, "action_space") else []  # DQN explores by sampling it
    with isolated_randomness(seed, *spaces), _in_evaluation_mode(model):
        venv.seed(seed)
        obs = venv.reset()
        state = None
        starts = np.ones(venv.num_envs, dtype=bool)
        left = episodes
        while left:
            actions, state = model.predict(_seen(obs, normalizer), state, starts, deterministic)
            obs, rewards, dones, infos = venv.step(actions)
            returns += rewards
            lengths += 1
            for lane in np.flatnonzero(dones):
                if len(finished[lane]) < quotas[lane]:
                    info = infos[lane]
                    success = success_in(info)
                    finished[lane].append((returns[lane], lengths[lane], success))
                    left -= 1
            returns[dones] = 0.0
            lengths[dones] = 0
            starts = dones
    episode_returns, episode_lengths, successes = zip(
        *(row for rows in finished for row in rows), strict=True
    )
    return Evaluation(
        np.array(episode_returns, dtype=np.float64),
        np.array(episode_lengths, dtype=np.int64),
        None if None in successes else np.array(successes, dtype=bool),
    )


@contextmanager
def _in_evaluation_mode(model: Policy) -> Iterator[None]:
    """Set the mode once: SB3's ``predict`` does so at every step, and the walk through all modules takes a third of the step."""
    policy = getattr(model, "policy", None)
    if not isinstance(policy, BaseModel):
        yield
        return
    policy.set_training_mode(False)
    policy.set_training_mode = lambda mode: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        vars(policy).pop("set_training_mode", None)


def _seen(obs: Any, normalizer: VecNormalize | None) -> Any:
    return obs if normalizer is None else normalizer.normalize_obs(obs)
