"""The on-policy surface: rollout buffers that pay a whole rollout just before its advantages are computed.

SB3 adds the truncation bootstrap gamma * V(s_T) to the task reward before the buffer gets it, and computes advantages before
``on_rollout_end``. So the buffer adds the difference shaped - task to what it holds, and then lets SB3 go on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch as th
from sb3_contrib.common.maskable.buffers import MaskableDictRolloutBuffer, MaskableRolloutBuffer
from sb3_contrib.common.recurrent.buffers import RecurrentDictRolloutBuffer, RecurrentRolloutBuffer
from stable_baselines3.common.buffers import DictRolloutBuffer, RolloutBuffer

from shapegym.shaping.errors import HindsightError, WiringError
from shapegym.shaping.surfaces.block import Settled
from shapegym.shaping.surfaces.sb3_buffers import HindsightBuffer, require_task_reward
from shapegym.shaping.surfaces.sb3_vec import MeasuringVecEnv
from shapegym.shaping.types import EpisodicCombinator, Expression, is_episodic, walk

if TYPE_CHECKING:
    from stable_baselines3.common.buffers import RolloutBuffer as _Rollout
else:
    _Rollout = object


class HindsightRollout(HindsightBuffer, _Rollout):
    """Mixin in front of a rollout buffer class. An episode that goes on in the next rollout is carried over by the engine.

    Attributes:
        settled: what the last rollout paid, for algorithms that look at parts; its arrays are good until the next begins.
    """

    settled: Settled

    def allocate(self, source: MeasuringVecEnv, keep_observations: bool) -> None:
        """See `HindsightBuffer.allocate`.

        Raises:
            HindsightError: if what an episode is paid would depend on where rollouts cut it.
        """
        _require_additive(source.engine.expression)
        super().allocate(source, keep_observations)

    def reset(self) -> None:
        """Empty the buffer; steps made outside of rollouts (an evaluation, an aborted rollout) enter the books only."""
        super().reset()
        self.source.settle()

    def compute_returns_and_advantage(self, last_values: th.Tensor, dones: np.ndarray) -> None:
        """Pay the rollout, then compute returns and advantages.

        Raises:
            WiringError: if the environment made other steps than those in the buffer, or their rewards were changed on the way.
        """
        made = self.source.unsettled
        if made != self.pos:
            raise WiringError(
                f"The rollout holds {self.pos} steps, but {made} were made since it began. Do not step the training environment "
                "during a rollout (evaluate on another one), and wire the model that trains on it."
            )
        self.settled = settled = self.source.settle()
        kept = ~settled.truncated  # where truncated, SB3 has added its bootstrap
        require_task_reward(self.rewards[kept], settled.task[kept])
        self.rewards[...] = self.rewards + (settled.shaped - settled.task)
        super().compute_returns_and_advantage(last_values, dones)


def _require_additive(expression: Expression) -> None:
    """Check that what a gate holds back for later rollouts reaches the agent as it is: only sums take it apart."""
    for node in filter(lambda node: isinstance(node, Expression), walk(expression)):
        additive = node.linear or (isinstance(node, EpisodicCombinator) and node.additive)
        inner = next(filter(is_episodic, node.children), None)
        if inner is not None and not additive:
            raise HindsightError(
                f"{type(node).__name__} changes what {type(inner).__name__} pays, which for an episode that spans several rollouts "
                "is partly held back and paid later: the result would depend on n_steps. Change the operands inside it instead, "
                "e.g. gate(clip(bonus), threshold=...), or use an algorithm with a replay buffer."
            )
        discounted = next((inside for inside in walk(node) if _keeps_the_discounted_sum(inside)), node)
        if isinstance(node, EpisodicCombinator) and discounted is not node:
            raise HindsightError(
                f"{type(node).__name__} adds up what {type(discounted).__name__} pays over an episode. Where a rollout cuts it, "
                "that is paid one step late, so its discounted sum is kept and the plain one is not: the result would depend on "
                "n_steps. Use gamma=1, or an algorithm with a replay buffer."
            )


def _keeps_the_discounted_sum(node: Expression) -> bool:
    return isinstance(node, EpisodicCombinator) and node.discount not in (None, 1.0)


class ShapedRolloutBuffer(HindsightRollout, RolloutBuffer):
    """For PPO, A2C and TRPO."""


class ShapedDictRolloutBuffer(HindsightRollout, DictRolloutBuffer):
    """For PPO, A2C and TRPO with Dict observations."""


class ShapedRecurrentRolloutBuffer(HindsightRollout, RecurrentRolloutBuffer):
    """For RecurrentPPO."""


class ShapedRecurrentDictRolloutBuffer(HindsightRollout, RecurrentDictRolloutBuffer):
    """For RecurrentPPO with Dict observations."""


class ShapedMaskableRolloutBuffer(HindsightRollout, MaskableRolloutBuffer):
    """For MaskablePPO."""


class ShapedMaskableDictRolloutBuffer(HindsightRollout, MaskableDictRolloutBuffer):
    """For MaskablePPO with Dict observations."""
