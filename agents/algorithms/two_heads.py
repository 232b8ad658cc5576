"""PPO with two value heads: one for the task reward, one for the bonus, which is everything of the reward beside it.

    A_t = c_task * A_task,t + c_bonus * A_bonus,t

are the generalised advantages of two critics, each with a discount of its own. The bonus may go on across the ends of episodes:
what can be found after the next reset then counts already, so that an end costs a curious agent nothing. Everything else is PPO.
Source: Burda et al. 2019, "Exploration by Random Network Distillation", section 2.3, whose discounts (0.999 and 0.99), weights (2
and 1) and endless bonus are the defaults.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from typing_extensions import override

from shapegym.agents.algorithms.heads import HeadedPPO, value_of
from shapegym.agents.algorithms.registry import register_algorithm
from shapegym.agents.callbacks import find_surface
from shapegym.agents.errors import SettingsError
from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.errors import ExpressionError, said_as
from shapegym.shaping.limits import Fraction, NonNegative, checked
from shapegym.shaping.promises import Keeps
from shapegym.shaping.surfaces.sb3_buffers import as_stored
from shapegym.shaping.surfaces.sb3_vec import MeasuringVecEnv
from shapegym.shaping.tree import keeps_of, paid_addends
from shapegym.shaping.types import Expression, is_episodic
from shapegym.shaping.weights.paying import rewrite

TASK, BONUS = 0, 1
"""The heads."""

ByHead: TypeAlias = list[tuple[Expression | None, Expression | None]]


class TwoHeadPPO(HeadedPPO):
    """PPO with a value head for the task and one for the bonus.

        model = make_agent("TwoHeadPPO", env_id, TaskReward() + normalize(CountBonus("obs"), by="return"), bonus_gamma=0.99)
        model.learn(1_000_000)

    What is task and what is bonus the expression says (`shapegym.shaping.weights.paying`), so a weighted or normalised task reward
    is learned by the task's head. So are potentials: with the task's discount they keep what is optimal. Without a wired reward all
    is task. With both discounts the same, weights of 1 and ``bonus_episodic`` it learns from the advantages of PPO on the sum. A
    truncated episode is bootstrapped by each head with its own value; a bonus that goes on across episodes has no ends to
    bootstrap. Arguments are PPO's, and:

    Args:
        gamma: discount of the task.
        bonus_gamma: discount of the bonus, in [0, 1]; with 0 the bonus of a step counts for that step alone.
        bonus_episodic: whether the bonus's return ends with the episode.
        task_weight: c_task, of the task's advantages; 0 leaves the bonus alone to learn from.
        bonus_weight: c_bonus, of the bonus's advantages.

    Raises:
        SettingsError: for values outside of these; when learning begins, for a reward whose task and bonus cannot be told apart.
    """

    def __init__(
        self,
        *args: Any,
        gamma: float = 0.999,
        bonus_gamma: float = 0.99,
        bonus_episodic: bool = False,
        task_weight: float = 2.0,
        bonus_weight: float = 1.0,
        **kwargs: Any,
    ) -> None:
        self.bonus_gamma = bonus_gamma
        self.bonus_episodic = bonus_episodic
        self.task_weight = task_weight
        self.bonus_weight = bonus_weight
        super().__init__(*args, gamma=gamma, **kwargs)  # type: ignore[misc]  # by position it cannot be given

    @override
    def _setup_model(self) -> None:
        for name, hint in (
            ("bonus_gamma", Fraction),
            ("bonus_episodic", bool),
            ("task_weight", NonNegative),
            ("bonus_weight", NonNegative),
        ):
            setattr(self, name, checked(f"TwoHeadPPO: {name}", hint, getattr(self, name), SettingsError))
        if not self.task_weight and not self.bonus_weight:
            raise SettingsError(
                "TwoHeadPPO: task_weight and bonus_weight are both 0, so there is nothing to learn from."
            )
        if self.bonus_gamma == 1 and not self.bonus_episodic:
            raise SettingsError(
                "TwoHeadPPO: a bonus that goes on across episodes and is not discounted has no finite value. Use a bonus_gamma "
                "below 1, or bonus_episodic=True."
            )
        self.policy_kwargs = {**self.policy_kwargs, "num_parts": 2}
        super()._setup_model()
        self._weights = np.array([self.task_weight, self.bonus_weight])
        self.policy.weigh_heads(self._weights)

    def check_reward(self) -> None:
        """Raise `SettingsError` for a reward whose task and bonus cannot be told apart, or of which nothing has a weight."""
        heads = self._by_head()
        if not self._weights_of(heads).any():
            unpaid = "task" if self.bonus_weight == 0 else "bonus"
            raise SettingsError(
                f"TwoHeadPPO: the reward pays no {unpaid}, and the other weight is 0, so there is nothing to learn from."
            )
        for task, bonus in heads:
            if task is not None and bonus is not None and is_episodic(task):
                raise SettingsError(
                    f"TwoHeadPPO: what {task} pays is known only in hindsight, and it stands with {bonus} in one addend. Write "
                    "both as addends of the reward's sum."
                )

    @override
    def _setup_learn(self, *args: Any, **kwargs: Any) -> Any:
        self.check_reward()
        self._heads = self._by_head()
        self._weights = self._weights_of(self._heads)
        self.policy.weigh_heads(self._weights)
        return super()._setup_learn(*args, **kwargs)

    @property
    @override
    def _discounts(self) -> np.ndarray:
        return np.array([self.gamma, self.bonus_gamma])

    @property
    @override
    def _ends(self) -> np.ndarray:
        return np.array([True, self.bonus_episodic])

    @override
    def _rewards(self) -> np.ndarray:
        streams = np.zeros((*self.rollout_buffer.rewards.shape, 2))
        surface = self._surface()
        if surface is None:
            streams[..., TASK] = self.rollout_buffer.rewards
            for step, lane, paid, _ in self._cuts.found:
                streams[step, lane, TASK] = paid
            return streams.astype(np.float32)
        settled = self.rollout_buffer.settled  # type: ignore[attr-defined]
        parts = dict(zip(surface.engine.terms, settled.parts, strict=False))  # items stand behind
        paid_each = settled.contributions[: len(self._heads)]  # behind them stands what is only logged
        for paid, (task, bonus) in zip(paid_each, self._heads, strict=True):
            of_task = 0.0 if task is None else paid if bonus is None else value_of(task, parts)
            streams[..., TASK] += of_task
            streams[..., BONUS] += paid - of_task
        return as_stored(streams)

    @override
    def _mix(self, advantages: np.ndarray) -> np.ndarray:
        mixed: np.ndarray = advantages @ self._weights
        return mixed

    def _surface(self) -> MeasuringVecEnv | None:
        surface = None if self.env is None else find_surface(self.env)
        if surface is not None and not isinstance(surface, MeasuringVecEnv):
            raise SettingsError(
                f"TwoHeadPPO takes task and bonus from its rollout buffer, and {type(surface).__name__} pays both as one. Give the "
                "model the plain environment, and shapegym.wire(model, reward)."
            )
        return surface

    def _by_head(self) -> ByHead:
        """What each addend of the reward pays for the heads."""
        surface = self._surface()
        if surface is None:
            return [(TaskReward(), None)]
        with said_as(SettingsError, ExpressionError, "TwoHeadPPO: ", ""):
            return [
                (
                    rewrite(addend, lambda task: task, _if_potential),
                    rewrite(addend, lambda task: None, _unless_potential),
                )
                for addend in paid_addends(surface.engine.expression)
            ]

    def _weights_of(self, heads: ByHead) -> np.ndarray:
        """The weights of the heads: 0 for one that is never paid, whose advantages would be noise."""
        paid = [any(part is not None and part.paid for part in parts) for parts in zip(*heads, strict=True)]
        return np.array([self.task_weight, self.bonus_weight]) * (paid or 0.0)

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_heads"]


def _if_potential(part: Expression) -> Expression | None:
    return part if Keeps.POLICIES in keeps_of(part) else None


def _unless_potential(part: Expression) -> Expression | None:
    return None if Keeps.POLICIES in keeps_of(part) else part


register_algorithm(TwoHeadPPO, check_reward=TwoHeadPPO.check_reward)
