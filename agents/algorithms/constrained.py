"""Constrained PPO: a value head and a standardised advantage for each part, mixed by the multipliers that hold the parts.

With a reward of `shapegym.shaping.constrained`, the addends w_k * v_k have weights w_k that move. One critic of their sum would
have to learn anew whenever they do, and the part of the largest scale would rule the advantage. So each v_k has its own head:

    A_t = sum_k w_k * (A_{k,t} - mean A_k) / std A_k,    A_k: generalised advantages of v_k with value head k,

with the weights that the multipliers have at the end of the rollout. Everything else is PPO. Source: Moskovitz et al. 2023,
"Confronting Reward Model Overoptimization with Constrained RLHF" (mu-PPO and xi-PPO).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback, ConvertCallback
from stable_baselines3.common.policies import (
    ActorCriticCnnPolicy,
    ActorCriticPolicy,
    BasePolicy,
    MultiInputActorCriticPolicy,
)
from stable_baselines3.common.type_aliases import MaybeCallback, PyTorchObs
from stable_baselines3.common.utils import obs_as_tensor
from torch import nn
from typing_extensions import override

from shapegym.agents.algorithms.registry import register_algorithm
from shapegym.agents.callbacks import measuring_surface
from shapegym.agents.errors import SettingsError
from shapegym.shaping.algebra import Constant
from shapegym.shaping.arrays import tree_map
from shapegym.shaping.errors import ExpressionError, said_as
from shapegym.shaping.surfaces.sb3_vec import MeasuringVecEnv
from shapegym.shaping.transitions import Array
from shapegym.shaping.tree import part_names
from shapegym.shaping.types import Combinator, Expression
from shapegym.shaping.weights.multipliers import Weighted, weighted_addends


class PartValues(ActorCriticPolicy):
    """An actor-critic policy with ``num_parts`` value heads; where SB3 wants one value it is their weighted sum."""

    def __init__(self, *args: Any, num_parts: int = 1, **kwargs: Any) -> None:
        self.num_parts = num_parts
        super().__init__(*args, **kwargs)

    def _build(self, lr_schedule: Any) -> None:
        super()._build(lr_schedule)
        self.set_heads(self.num_parts, lr_schedule(1))

    def set_heads(self, num_parts: int, learning_rate: float) -> None:
        """Put ``num_parts`` fresh heads on the critic, and start the optimiser anew."""
        self.num_parts = num_parts
        self.value_net = nn.Linear(self.mlp_extractor.latent_dim_vf, num_parts).to(self.device)
        if self.ortho_init:
            self.value_net.apply(self.init_weights)
        self.register_buffer("head_weights", torch.ones(num_parts, device=self.device))
        self.optimizer = self.optimizer_class(self.parameters(), lr=learning_rate, **self.optimizer_kwargs)  # type: ignore[call-arg]

    def forward(
        self, obs: torch.Tensor, deterministic: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return actions, the value of the weighted sum (B, 1), and log-probabilities."""
        actions, values, log_prob = super().forward(obs, deterministic)
        return actions, self._mixed(values), log_prob

    def predict_values(self, obs: PyTorchObs) -> torch.Tensor:
        """Return the value of the weighted sum, (B, 1)."""
        return self._mixed(self.part_values(obs))

    def part_values(self, obs: PyTorchObs) -> torch.Tensor:
        """Return the value of every part, (B, num_parts)."""
        return super().predict_values(obs)

    def _mixed(self, values: torch.Tensor) -> torch.Tensor:
        return (values @ self.head_weights)[:, None]  # type: ignore[operator]

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {**super()._get_constructor_parameters(), "num_parts": self.num_parts}


class PartValuesCnn(PartValues, ActorCriticCnnPolicy):
    """`PartValues` on images."""


class PartValuesMultiInput(PartValues, MultiInputActorCriticPolicy):
    """`PartValues` on Dict observations."""


class ConstrainedPPO(PPO):
    """PPO with a value head for each addend of a constrained reward, which must be wired.

        model = make_agent("ConstrainedPPO", env_id, constrained(TaskReward(), {proxy: 1.5}, hold="at_least"))
        model.learn(100_000)

    Arguments are PPO's. ``normalize_advantage`` standardises the mixture once more, in each minibatch; parts are standardised
    anyway. Logs ``constraint/weight/<part>``.

    Raises:
        SettingsError: when learning begins, if no constrained reward is wired.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "MlpPolicy": PartValues,
        "CnnPolicy": PartValuesCnn,
        "MultiInputPolicy": PartValuesMultiInput,
    }
    policy: PartValues

    @override
    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int = 1,
        tb_log_name: str = "ConstrainedPPO",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> Self:
        self._addends = self._constrained_addends()
        if self.policy.num_parts != len(self._addends):
            self.policy.set_heads(len(self._addends), self.lr_schedule(self._current_progress_remaining))
            self.policy_kwargs = {**self.policy_kwargs, "num_parts": len(self._addends)}
        self._cuts = _Cuts()
        return super().learn(
            total_timesteps,
            [self._cuts, *_as_list(callback)],
            log_interval,
            tb_log_name,
            reset_num_timesteps,
            progress_bar,
        )

    def check_reward(self) -> None:
        """Raise `SettingsError` unless a constrained reward is wired."""
        self._constrained_addends()

    @override
    def train(self) -> None:
        self._credit()
        super().train()

    def _credit(self) -> None:
        """Replace the buffer's values, returns and advantages by those of the heads, (T, B, K) and mixed."""
        buffer = self.rollout_buffer
        rewards, weights = self._parts()
        starts = buffer.episode_starts.shape
        values = self._head_values(_flat(buffer)).reshape(*starts, -1)
        for step, lane, value in self._cuts.found:
            rewards[step, lane] += self.gamma * value
        advantages = _advantages(
            rewards,
            values,
            self._head_values(self._last_obs),
            buffer.episode_starts,
            np.asarray(self._last_episode_starts),
            self.gamma,
            self.gae_lambda,
        )
        deviation = advantages.std(axis=(0, 1)) + 1e-8
        standardised = (advantages - advantages.mean(axis=(0, 1))) / deviation
        buffer.values, buffer.returns = values, advantages + values
        buffer.advantages = (standardised @ weights).astype(np.float32)
        self.policy.head_weights.copy_(torch.as_tensor(weights, dtype=torch.float32))  # type: ignore[operator]
        for name, weight in zip(part_names(tuple(a.value for a in self._addends)), weights, strict=True):
            self.logger.record(f"constraint/weight/{name}", float(weight))

    def _parts(self) -> tuple[np.ndarray, np.ndarray]:
        """Return what every addend measured without its weight, (T, B, K), and the weights of now, (K,)."""
        settled = self.rollout_buffer.settled  # type: ignore[attr-defined]
        parts = dict(zip(self._surface().engine.terms, settled.parts, strict=True))
        values, weights = [], []
        paid_each = settled.contributions[: len(self._addends)]  # behind them stands what is only logged
        for paid, addend in zip(paid_each, self._addends, strict=True):
            is_plain = isinstance(addend.weight, Constant)
            values.append(paid if is_plain else _value(addend.value, parts))
            weights.append(float(np.broadcast_to(_value(addend.weight, parts), paid.shape)[-1, 0]))
        return np.stack(np.broadcast_arrays(*values), axis=-1).astype(np.float32), np.array(weights)

    def _head_values(self, obs: Any) -> np.ndarray:
        with torch.no_grad():
            return self.policy.part_values(obs_as_tensor(obs, self.device)).cpu().numpy()

    def _surface(self) -> MeasuringVecEnv:
        return measuring_surface(
            self,
            "ConstrainedPPO learns from a constrained reward, and none is wired: shapegym.wire(model, constrained(objective, "
            "{part: threshold})) before learning, or use PPO.",
        )

    def _constrained_addends(self) -> tuple[Weighted, ...]:
        with said_as(SettingsError, ExpressionError, "ConstrainedPPO: ", ""):
            return weighted_addends(self._surface().engine.expression)

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_addends", "_cuts"]


register_algorithm(ConstrainedPPO, check_reward=ConstrainedPPO.check_reward)


class _Cuts(BaseCallback):
    """The values of the states in which episodes of this rollout were truncated; SB3 keeps their weighted sum only."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[int, int, np.ndarray]] = []

    def _on_rollout_start(self) -> None:
        self.found.clear()

    def _on_step(self) -> bool:
        model: Any = self.model
        for lane in np.flatnonzero(self.locals["dones"]).tolist():
            info = self.locals["infos"][lane]
            if info.get("TimeLimit.truncated", False) and info.get("terminal_observation") is not None:
                obs, _ = model.policy.obs_to_tensor(info["terminal_observation"])
                with torch.no_grad():
                    value = model.policy.part_values(obs)[0].cpu().numpy()
                self.found.append((model.rollout_buffer.pos, lane, value))
        return True


def _advantages(
    rewards: np.ndarray,
    values: np.ndarray,
    last_values: np.ndarray,
    starts: np.ndarray,
    last_starts: np.ndarray,
    gamma: float,
    gae_lambda: float,
) -> np.ndarray:
    """Generalised advantages of every head, (T, B, K): A_t = delta_t + gamma lambda A_{t+1}, cut where t + 1 starts an episode.

    ``last_values`` (B, K) and ``last_starts`` (B,) are of the states after the last step.
    """
    advantages = np.zeros_like(rewards)
    following, after, goes_on = np.zeros_like(last_values), last_values, 1.0 - last_starts[:, None]
    for t in reversed(range(len(rewards))):
        delta = rewards[t] + gamma * after * goes_on - values[t]
        advantages[t] = following = delta + gamma * gae_lambda * goes_on * following
        after, goes_on = values[t], 1.0 - starts[t][:, None]
    return advantages


def _value(node: Expression, parts: Mapping[Any, np.ndarray]) -> Array:
    """Evaluate an elementwise expression on the parts of its terms."""
    if isinstance(node, Combinator):
        return node.combine([_value(child, parts) for child in node.children])
    return node.value if isinstance(node, Constant) else parts[node]


def _flat(buffer: RolloutBuffer) -> Any:
    """The observations of all steps as one batch, (T * B, ...)."""
    return tree_map(lambda values: values.reshape(-1, *values.shape[2:]), buffer.observations)


def _as_list(callback: MaybeCallback) -> list[BaseCallback]:
    if callback is None:
        return []
    if isinstance(callback, list):
        return callback
    return [callback if isinstance(callback, BaseCallback) else ConvertCallback(callback)]
