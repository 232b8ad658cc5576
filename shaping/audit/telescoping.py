"""Whether recorded shaping is worth the same on every way between two states, as that of a potential is.

Along an episode, sum_t gamma^t (gamma Phi(s_{t+1}) - Phi(s_t)) telescopes to gamma^T Phi(s_T) - Phi(s_0), with Phi(s_T) = 0 if the
episode terminated: only its ends matter (Ng et al. 1999). An agent that can raise the sum in between is paid for something else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shapegym.shaping.audit.arguments import NUMBERS, Given, table
from shapegym.shaping.audit.levelling import Fit, level
from shapegym.shaping.audit.rollouts import Rollouts


@dataclass(frozen=True)
class Telescoping:
    """What the ends of episodes do not explain.

    Attributes:
        unexplained: root mean square over episodes of what they do not, over that of sum_t gamma^t |f_t|; 0 for a potential.
        deviation: largest of it in one episode, in units of reward.
        worst: that episode, in the order of the rollouts.
        episodes: that were used.
        dropped: steps of unfinished episodes, which were not.
    """

    unexplained: float
    deviation: float
    worst: int
    episodes: int
    dropped: int


def telescoping(
    rollouts: Rollouts,
    shaping: str,
    gamma: float,
    *,
    potential: tuple[Given, Given] | None = None,
    fit: Fit | None = None,
) -> Telescoping:
    """Compare an episode's discounted shaping with what a potential would make of its ends.

    Without a potential, one is fitted to the steps of other episodes, linear in features of the observation. So a small number says
    that the shaping telescopes; a large one that it does not, or that its potential is no such function, or reads what is not in
    the observations.

    Args:
        rollouts: the recording.
        shaping: name of the reward in it that is the shaping alone, shaped minus task reward.
        gamma: the agent's discount, in [0, 1].
        potential: Phi(s_t) and Phi(s_{t+1}), (N,) each, if it is known.
        fit: how it is fitted if not.

    Raises:
        AuditError: the name is unknown, the potential does not fit the rollouts, or see `levelling.level`.
    """
    paid = rollouts.reward(shaping)
    if potential is None:
        left = level(rollouts, paid[:, None], gamma, "minimal", fit or Fit())[:, 0]
    else:
        here, after = (table("The potential on both sides", side, NUMBERS, paid.shape) for side in potential)
        left = paid - (gamma * np.where(rollouts.terminated, 0.0, after) - here)
    discount = gamma ** rollouts.step.astype(np.float64)
    off = np.abs(rollouts.per_episode(discount * left))
    traffic = rollouts.per_episode(discount * np.abs(paid))
    norm = float(np.sqrt((traffic**2).mean()))
    return Telescoping(
        float(np.sqrt((off**2).mean())) / norm if norm else 0.0,
        float(off.max()),
        int(off.argmax()),
        rollouts.episodes,
        rollouts.dropped,
    )
