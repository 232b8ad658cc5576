"""Adversarial guidance: what an adversary who imitates the agent would not have done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from typing_extensions import override

from shapegym.shaping.limits import Count, Positive, Share
from shapegym.shaping.models.adversary import Adversary
from shapegym.shaping.models.sight import Sight
from shapegym.shaping.promises import Replay
from shapegym.shaping.transitions import LOG_PROB, State, Transitions
from shapegym.shaping.types import Term


@dataclass(frozen=True)
class AGAC(Term):
    """b_t = log pi(a_t | s_t) - log pi_adv(a_t | s_t), with pi the agent's policy and pi_adv an `Adversary` that imitates it.

    Flet-Berliac et al. 2021, "Adversarially Guided Actor-Critic", section 4. Only a policy that is sampled from knows log pi, so it
    is for PPO, A2C, MaskablePPO and RecurrentPPO, through `shapegym.wire`; every other surface refuses it by name. Steps of a
    rollout that a callback stopped are booked with 0. With a mask, log pi is that of the masked policy.

    Published: the weight 4e-4, annealed to 0, beside 0.0125 for the first visit of a state in an episode, which makes
    ``TaskReward() + anneal(AGAC(), Linear(4e-4, 0.0, steps)) + 0.0125 * CountBonus(key, scope="episode", exponent=inf)``.

    What differs from the paper: there b_t is added to the advantage of its own step, and the value of the state is to hold
    KL(pi || pi_adv) too. Here it is a reward, so what comes later counts as well. With `TwoHeadPPO` and ``bonus_gamma=0`` a bonus
    counts for its step alone, and the bonus's value learns that KL.

    Replay: none; it is refused where transitions are replayed.

    Args:
        of: what the adversary reads.
        hidden: units in its hidden layers.
        learning_rate: of Adam; the authors' is 0.3 times the agent's.
        share: of each rollout that it learns from.
        epochs: passes over it.
        batch: rows of a step.
    """

    of: Sight = Sight()
    hidden: Count = 64
    learning_rate: Positive = 9e-5
    share: Share = 1.0
    epochs: Count = 1
    batch: Count = 256

    replay: ClassVar[Replay] = Replay.STAMP
    reads_policy: ClassVar[bool] = True

    @property
    def inputs(self) -> tuple[Adversary]:
        """The adversary."""
        return (
            Adversary(
                self.of,
                self.hidden,
                self.learning_rate,
                self.share,
                self.epochs,
                self.batch,
            ),
        )

    @override
    def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        if LOG_PROB not in transitions.next_features:
            return np.zeros(transitions.num_lanes)
        return transitions.next_features[LOG_PROB].astype(np.float64) - inputs[0]["log_prob"]
