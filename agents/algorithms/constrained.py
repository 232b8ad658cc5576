"""Constrained PPO: a value head and a standardised advantage for each part, mixed by the multipliers that hold the parts.

With a reward of `shapegym.shaping.constrained`, the addends w_k * v_k have weights w_k that move. One critic of their sum would
have to learn anew whenever they do, and the part of the largest scale would rule the advantage. So each v_k has its own head:

    A_t = sum_k w_k * (A_{k,t} - mean A_k) / std A_k,    A_k: generalised advantages of v_k with value head k,

with the weights that the multipliers have at the end of the rollout. Everything else is PPO. Source: Moskovitz et al. 2023,
"Confronting Reward Model Overoptimization with Constrained RLHF" (mu-PPO and xi-PPO).
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from stable_baselines3.common.type_aliases import MaybeCallback
from typing_extensions import override

from shapegym.agents.algorithms.heads import HeadedPPO, value_of
from shapegym.agents.algorithms.registry import register_algorithm
from shapegym.agents.callbacks import measuring_surface
from shapegym.agents.errors import SettingsError
from shapegym.shaping.algebra import Constant
from shapegym.shaping.errors import ExpressionError, said_as
from shapegym.shaping.surfaces.sb3_vec import MeasuringVecEnv
from shapegym.shaping.tree import part_names
from shapegym.shaping.weights.multipliers import Weighted, weighted_addends


class ConstrainedPPO(HeadedPPO):
    """PPO with a value head for each addend of a constrained reward, which must be wired.

        model = make_agent("ConstrainedPPO", env_id, constrained(TaskReward(), {proxy: 1.5}, hold="at_least"))
        model.learn(100_000)

    Arguments are PPO's. ``normalize_advantage`` standardises the mixture once more, in each minibatch; parts are standardised
    anyway. Logs ``constraint/weight/<part>``.

    Raises:
        SettingsError: when learning begins, if no constrained reward is wired.
    """

    @override
    def learn(self, total_timesteps: int, callback: MaybeCallback = None, *args: Any, **kwargs: Any) -> Self:
        self._addends = self._constrained_addends()
        if self.policy.num_parts != len(self._addends):
            self.policy.set_heads(len(self._addends), self.lr_schedule(self._current_progress_remaining))
            self.policy_kwargs = {**self.policy_kwargs, "num_parts": len(self._addends)}
        return super().learn(total_timesteps, callback, *args, **kwargs)

    def check_reward(self) -> None:
        """Raise `SettingsError` unless a constrained reward is wired."""
        self._constrained_addends()

    @override
    def _rewards(self) -> np.ndarray:
        """Return what every addend measured without its weight, (T, B, K), and keep the weights of now."""
        settled = self.rollout_buffer.settled  # type: ignore[attr-defined]
        parts = dict(zip(self._surface().engine.terms, settled.parts, strict=False))  # items stand behind
        values, weights = [], []
        paid_each = settled.contributions[: len(self._addends)]  # behind them stands what is only logged
        for paid, addend in zip(paid_each, self._addends, strict=True):
            is_plain = isinstance(addend.weight, Constant)
            values.append(paid if is_plain else value_of(addend.value, parts))
            weights.append(float(np.broadcast_to(value_of(addend.weight, parts), paid.shape)[-1, 0]))
        self._weights = np.array(weights)
        return np.stack(np.broadcast_arrays(*values), axis=-1).astype(np.float32)

    @override
    def _mix(self, advantages: np.ndarray) -> np.ndarray:
        deviation = advantages.std(axis=(0, 1)) + 1e-8
        standardised = (advantages - advantages.mean(axis=(0, 1))) / deviation
        for name, weight in zip(
            part_names(tuple(each.value for each in self._addends)), self._weights, strict=True
        ):
            self.logger.record(f"constraint/weight/{name}", float(weight))
        mixed: np.ndarray = standardised @ self._weights
        return mixed

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
        return [*super()._excluded_save_params(), "_addends"]


register_algorithm(ConstrainedPPO, check_reward=ConstrainedPPO.check_reward)
