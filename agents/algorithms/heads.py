"""PPO with a value head for each part of a reward: what the algorithms share that give parts advantages of their own.

SB3's loop sees one critic, the weighted sum of the heads. When a rollout is full, its rewards are taken apart, each head's
generalised advantages are computed from them (`advantages`), and the mixture of these takes the place of SB3's in the buffer. The
losses are SB3's: that of the values is the mean over all heads, so with K of them each counts ``vf_coef`` / K.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
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

from shapegym.agents.callbacks import callbacks_of
from shapegym.agents.errors import SettingsError
from shapegym.shaping.algebra import Constant
from shapegym.shaping.arrays import tree_map
from shapegym.shaping.transitions import Array
from shapegym.shaping.types import Combinator, Expression

_ROWS = 4096
"""Observations that values are computed of at once: a whole rollout of images would not fit into the memory."""


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

    def weigh_heads(self, weights: np.ndarray) -> None:
        """Set the weights of the sum, (num_parts,)."""
        self.head_weights.copy_(torch.as_tensor(weights, dtype=torch.float32))  # type: ignore[operator]

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


class HeadedPPO(PPO):
    """PPO whose advantages are a mixture of those of its value heads. Its kinds say what the heads are of, and mix."""

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "MlpPolicy": PartValues,
        "CnnPolicy": PartValuesCnn,
        "MultiInputPolicy": PartValuesMultiInput,
    }
    policy: PartValues
    _weights: np.ndarray
    """Of the heads, (K,), where SB3 wants one value for all."""

    @abstractmethod
    def _rewards(self) -> np.ndarray:
        """Return what the rollout paid each head, (T, B, K) float32, without what SB3 added where an episode was truncated."""

    @abstractmethod
    def _mix(self, advantages: np.ndarray) -> np.ndarray:
        """Return one advantage for those of the heads, (T, B, K): (T, B)."""

    @property
    def _discounts(self) -> np.ndarray:
        """Of each head, (K,)."""
        return np.full(self.policy.num_parts, self.gamma)

    @property
    def _ends(self) -> np.ndarray:
        """Whether a head's return ends with the episode, (K,)."""
        return np.ones(self.policy.num_parts, dtype=bool)

    @override
    def _setup_model(self) -> None:
        if not issubclass(self.policy_class, PartValues):
            raise SettingsError(
                f"{type(self).__name__} needs a policy with a value head for each part and no memory; got "
                f"{self.policy_class.__name__}. Use 'MlpPolicy', 'CnnPolicy' or 'MultiInputPolicy', or derive yours from "
                "shapegym.agents.PartValues."
            )
        super()._setup_model()

    @override
    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int = 1,
        tb_log_name: str = "",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> Self:
        self._cuts = Cuts()
        return super().learn(
            total_timesteps,
            [self._cuts, *callbacks_of(callback)],
            log_interval,
            tb_log_name or type(self).__name__,
            reset_num_timesteps,
            progress_bar,
        )

    @override
    def train(self) -> None:
        self._credit()
        super().train()

    def _credit(self) -> None:
        """Replace the buffer's values, returns and advantages by those of the heads, (T, B, K) and mixed."""
        buffer, discounts, ends = self.rollout_buffer, self._discounts, self._ends
        rewards = self._rewards()
        starts = buffer.episode_starts.shape
        rows = tree_map(lambda entry: entry.reshape(-1, *entry.shape[2:]), buffer.observations)
        pieces = [
            self._head_values(tree_map(lambda entry, begin=begin: entry[begin : begin + _ROWS], rows))
            for begin in range(0, starts[0] * starts[1], _ROWS)
        ]
        values = np.concatenate(pieces).reshape(*starts, -1)
        for step, lane, _, value in self._cuts.found:
            rewards[step, lane] += discounts.astype(np.float32) * value * ends
        by_head = advantages(
            rewards,
            values,
            self._head_values(self._last_obs),
            buffer.episode_starts,
            np.asarray(self._last_episode_starts),
            discounts,
            self.gae_lambda,
            ends,
        )
        buffer.values, buffer.returns = values, by_head + values
        buffer.advantages = self._mix(by_head).astype(np.float32)
        self.policy.weigh_heads(self._weights)

    def _head_values(self, obs: Any) -> np.ndarray:
        with torch.no_grad():
            return self.policy.part_values(obs_as_tensor(obs, self.device)).cpu().numpy()

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_cuts", "_weights"]


class Cuts(BaseCallback):
    """Where episodes of this rollout were truncated: step, lane, what was paid there, and the heads' values of the last state.

    SB3 adds the weighted sum of these values to the reward, and keeps neither.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[int, int, float, np.ndarray]] = []

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
                paid = float(self.locals["rewards"][lane])
                self.found.append((model.rollout_buffer.pos, lane, paid, value))
        return True


def advantages(
    rewards: np.ndarray,
    values: np.ndarray,
    last_values: np.ndarray,
    starts: np.ndarray,
    last_starts: np.ndarray,
    gamma: np.ndarray,
    gae_lambda: float,
    ends: np.ndarray,
) -> np.ndarray:
    """Generalised advantages of every head, (T, B, K): A_t = delta_t + gamma lambda A_{t+1}, delta_t = r_t + gamma V_{t+1} - V_t.

    Where step t + 1 starts an episode, a head that ends with episodes has 0 in place of A_{t+1} and V_{t+1}. For others an end is a
    step like any other, so V_{t+1} is the value of the next episode's first state (Burda et al. 2019, "Exploration by Random
    Network Distillation", section 2.3).

    Args:
        rewards: (T, B, K), with what is bootstrapped where an episode was truncated.
        values: (T, B, K).
        last_values: (B, K), of the states after the last step.
        starts: (T, B), whether an episode begins with the step.
        last_starts: (B,), whether one begins after the last step.
        gamma: discount of every head, (K,).
        gae_lambda: of all.
        ends: whether a head's return ends with the episode, (K,).
    """
    out, decay = np.zeros_like(rewards), (gamma * gae_lambda).astype(rewards.dtype)
    gamma = gamma.astype(rewards.dtype)
    following, after, goes_on = np.zeros_like(last_values), last_values, 1.0 - last_starts[:, None] * ends
    for t in reversed(range(len(rewards))):
        delta = rewards[t] + gamma * after * goes_on - values[t]
        out[t] = following = delta + decay * goes_on * following
        after, goes_on = values[t], 1.0 - starts[t][:, None] * ends
    return out


def value_of(node: Expression, parts: Mapping[Any, np.ndarray]) -> Array:
    """Return the value of an elementwise expression from the parts of its terms."""
    if isinstance(node, Combinator):
        return node.combine([value_of(child, parts) for child in node.children])
    return node.value if isinstance(node, Constant) else parts[node]
