"""The on-policy surface: rollout buffers that pay a whole rollout just before its advantages are computed.

SB3 adds the truncation bootstrap gamma * V(s_T) to the task reward before the buffer gets it, and computes advantages before
``on_rollout_end``. So the buffer puts the shaped reward in the task's place, keeps what was added, and then lets SB3 go on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch as th
from sb3_contrib.common.maskable.buffers import MaskableDictRolloutBuffer, MaskableRolloutBuffer
from sb3_contrib.common.recurrent.buffers import RecurrentDictRolloutBuffer, RecurrentRolloutBuffer
from stable_baselines3.common.buffers import DictRolloutBuffer, RolloutBuffer

from shapegym.shaping.errors import HindsightError, WiringError
from shapegym.shaping.surfaces.block import Settled
from shapegym.shaping.surfaces.sb3_buffers import HindsightBuffer, as_stored, require_task_reward
from shapegym.shaping.surfaces.sb3_vec import MAX_LOST, STEPPED_BY_OTHERS, MeasuringVecEnv, drowns
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
        """Empty the buffer; a step that a stopped rollout left behind enters the books only."""
        stopped = not getattr(self, "full", False)
        super().reset()
        if self.is_attached:  # SB3's constructor calls this too
            self.source.settle()
            self._begun = self.source.steps
            self._may_lose = MAX_LOST if stopped else 0

    def add(self, *args: Any, **kwargs: Any) -> None:
        """Store a step of every lane.

        Raises:
            WiringError: if the model was loaded and not wired, or somebody else stepped its environment.
        """
        lost = self.source.take()
        if lost > self._may_lose or self.source.steps - self._begun != self.pos + 1:
            raise WiringError(STEPPED_BY_OTHERS)
        super().add(*args, **kwargs)

    def compute_returns_and_advantage(self, last_values: th.Tensor, dones: np.ndarray) -> None:
        """Pay the rollout, then compute returns and advantages.

        Raises:
            WiringError: if the rewards were changed on their way from the environment.
            NonFiniteError: if a shaped reward does not fit into a float32.
        """
        engine = self.source.engine
        if engine.policy_readers:
            engine.hear_policy(self.log_probs)
        self.settled = settled = self.source.settle()
        cut, lost = settled.truncated, drowns(settled.task, settled.truncated)
        require_task_reward(self.rewards[~cut], settled.task[~cut])
        shaped = as_stored(settled.shaped)
        # What SB3 added where an episode was truncated. It knows neither the shaped reward nor, where that is huge, the task's.
        bootstrap = self.rewards[cut] - np.where(lost, 0.0, settled.task)[cut].astype(np.float32)
        self.rewards[...] = shaped
        self.rewards[cut] += bootstrap
        super().compute_returns_and_advantage(last_values, dones)


def _require_additive(expression: Expression) -> None:
    """Check that what a gate holds back for later rollouts reaches the agent as it is: only sums take it apart."""
    for node in filter(lambda node: isinstance(node, Expression), walk(expression)):
        additive = node.linear or not node.paid or (isinstance(node, EpisodicCombinator) and node.additive)
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
