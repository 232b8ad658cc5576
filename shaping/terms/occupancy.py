"""Occupancy-measure regularisation: what it costs to be where a trusted base policy is not.

A proxy reward that agrees with the task where the base policy goes says little about states where it does not go, and that is where
it is hacked. A `Discriminator` tells the transitions of the current policy from recorded ones of the base policy; its output is the
log-ratio of the two occupancies, and from that comes the gradient of a divergence between them as a reward per step.
Source: Laidlaw, Singhal & Dragan 2024, "Correlated Proxies" (ORPO), sections 4 and 5. `shapegym.agents.RegularisedTask` has the
same exactly, for finite tasks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import MinLen
from typing_extensions import override

from shapegym.shaping.limits import Count, Positive
from shapegym.shaping.models.discriminator import BaseRows, Discriminator
from shapegym.shaping.states.select import Selects
from shapegym.shaping.transitions import State, Transitions
from shapegym.shaping.types import Example, Replay, Term


@dataclass(frozen=True)
class OccupancyPenalty(Term):
    """p_t = -penalty(d(s_t[, a_t])), where d estimates log mu_policy / mu_base, the log-ratio of the two policies' visits.

    With d from a `Discriminator` of these fields:

    * ``"chi2"``: e^d - 1;
    * ``"sqrt_chi2"``: (e^d - 1) / sqrt(chi2), where chi2 is the mean of e^d - 1 over the last rollout, the highest and lowest 1 %
      left out; as ``"chi2"`` where that is not positive;
    * ``"kl"``: d;
    * ``"tv"``: sign(d) / 2.

    Its policy gradient is that of the divergence (of half of it for ``"chi2"``). Use it beside a reward that correlates with what
    is wanted: ``proxy + coef * OccupancyPenalty("base.npz")``; for ``"sqrt_chi2"`` the theory asks for the coefficient
    sigma sqrt(1 - r^2) / r, with sigma the proxy's standard deviation under the base policy and r its correlation with the truth.

    Until it is first fitted it pays 0. d is clipped to [-10, 10]; where it is not finite, 0 is paid, and ``nonfinite`` in the log
    counts such rows. Keeps nothing; the point is to change what is optimal. Replay: frozen (the discriminator of now).

    Args:
        base: file of the base policy's transitions (`shapegym.agents.record_base`), or the rows that the discriminator reads.
        keys: selectors of what it reads of s_t.
        action: whether it reads a_t too (discrete ones as indicators).
        divergence: "chi2", "sqrt_chi2", "kl" or "tv".
        hidden: units in each of its two layers.
        epochs: passes over each rollout.
        learning_rate: of Adam.
    """

    base: BaseRows
    keys: Annotated[tuple[Selects, ...], MinLen(1)] = ("obs",)
    action: bool = False
    divergence: Literal["chi2", "sqrt_chi2", "kl", "tv"] = "sqrt_chi2"
    hidden: Count = 256
    epochs: Count = 4
    learning_rate: Positive = 1e-3

    replay: ClassVar[Replay] = Replay.FROZEN
    looks = "before"

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        visited = tuple((step % 5 / 2 - 1, step % 3 / 2 - 0.5, step % 4 / 4) for step in range(16))
        return (
            Example(cls(visited, hidden=8)),
            Example(0.1 * cls(visited, ("obs.observation",), divergence="kl", hidden=8), "dict"),
            Example(cls(visited, ("features.agent_pos", "features.progress"), divergence="chi2", hidden=8)),
        )

    @property
    def inputs(self) -> tuple[Discriminator]:
        """The discriminator; penalties that differ only in the divergence share it."""
        return (
            Discriminator(
                self.base,
                self.keys,
                self.action,
                self.hidden,
                self.epochs,
                self.learning_rate,
                name="discriminator",
            ),
        )

    @override
    def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        ratio, chi2, known = (inputs[0][name] for name in ("log_ratio", "chi2", "known"))
        if self.divergence == "kl":
            cost = ratio
        elif self.divergence == "tv":
            cost = np.sign(ratio) / 2.0
        else:
            cost = np.expm1(ratio)
            if self.divergence == "sqrt_chi2":
                cost = cost / np.sqrt(np.where(chi2 > 0.0, chi2, 1.0))
        return np.where(known, 0.0 - cost, 0.0)  # an untrained network pays 0, not -0
