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

from shapegym.shaping.errors import WiringError
from shapegym.shaping.surfaces.sb3_buffers import HindsightBuffer, require_task_reward

if TYPE_CHECKING:
    from stable_baselines3.common.buffers import RolloutBuffer as _Rollout
else:
    _Rollout = object


class HindsightRollout(HindsightBuffer, _Rollout):
    """Mixin in front of a rollout buffer class. An episode that goes on in the next rollout is carried over by the engine."""

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
        settled = self.source.settle()
        kept = ~settled.truncated  # where truncated, SB3 has added its bootstrap
        require_task_reward(self.rewards[kept], settled.task[kept])
        self.rewards[...] = self.rewards + (settled.shaped - settled.task)
        super().compute_returns_and_advantage(last_values, dones)


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
