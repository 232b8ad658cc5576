"""Occupancy-measure regularisation on finite tasks, exactly: a proxy reward optimised near a trusted base policy.

A proxy that correlates with the true reward where the base policy goes says little about states where it does not go. So the
objective is J(pi) - lambda D(mu_pi || mu_base): what the proxy pays, minus how far the visits of the policy are from those of the
base policy (ORPO; Laidlaw, Singhal & Dragan 2024, "Correlated Proxies", arXiv:2403.03185). Keeping the *actions* close, as KL
penalties on policies do, is no substitute: one unlikely action can lead to states that the base policy never sees.

Throughout, mu(s, a) = (1 - gamma) sum_t gamma^t Pr(s_t = s, a_t = a) is normalised, and J(pi) = sum mu_pi r is a mean reward per
step. The term that estimates the same penalty from samples is `shapegym.shaping.OccupancyPenalty`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal, TypeAlias

import numpy as np
from annotated_types import Gt, Lt
from numpy.typing import NDArray
from scipy.linalg import lu_factor, lu_solve
from scipy.special import log_softmax, softmax

from shapegym.agents.errors import SettingsError
from shapegym.shaping.limits import Limited, checked

_ROUNDING = 1e-12
"""A reward whose deviation is below this share of its largest number is constant."""
_SHORTEST = 1e-12
"""The shortest step that is tried."""

Array: TypeAlias = NDArray[np.float64]

Divergence: TypeAlias = Literal["chi2", "sqrt_chi2", "kl", "tv"]
"""Of two distributions; see `divergence`."""

Penalty: TypeAlias = Literal[Divergence, "action_kl"]
"""What keeps a policy near the base: a divergence of occupancies, or the mean KL divergence of its actions."""


def divergence(mu: Array, base: Array, kind: Divergence) -> tuple[float, Array]:
    """Return D(mu || base) and its derivative dD/dmu.

    ``chi2``: sum mu^2 / base - 1. ``sqrt_chi2``: its root. ``kl``: sum mu log(mu / base). ``tv``: sum |mu - base| / 2. Where mu and
    base agree, the derivatives of the root and of total variation are taken as 0.

    Args:
        mu: any shape; sums to 1.
        base: as mu, and positive wherever mu is: else the first three are infinite.
        kind: which.
    """
    ratio = np.divide(mu, base, out=np.where(mu > 0, np.inf, 1.0), where=base > 0)
    if kind == "tv":
        return float(np.abs(mu - base).sum() / 2), np.sign(mu - base) / 2
    if kind == "kl":
        logs = np.log(ratio, out=np.zeros_like(ratio), where=ratio > 0)
        return float((mu * logs).sum()), logs + 1.0
    chi2 = max(float((mu * (ratio - 1.0)).sum()), 0.0)
    if kind == "chi2":
        return chi2, 2.0 * ratio
    root = math.sqrt(chi2)
    return root, ratio / root if root > 0 else np.zeros_like(ratio)


def correlation(task: Array, proxy: Array, mu: Array) -> float:
    """Return the correlation r of two rewards under the occupancy ``mu``; all of one shape.

    Raises:
        SettingsError: if one of them is constant there.
    """
    rounding = _ROUNDING * np.array([np.abs(task).max(), np.abs(proxy).max()])
    task, proxy = task - (mu * task).sum(), proxy - (mu * proxy).sum()
    deviations = np.sqrt([(mu * task**2).sum(), (mu * proxy**2).sum()])
    if (deviations <= rounding).any():
        raise SettingsError("A reward that is constant under the base policy correlates with nothing.")
    return float((mu * task * proxy).sum() / deviations.prod())


def guaranteed_gain(proxy_gain: float, r: float, chi2: float) -> float:
    """Return what a policy gains at least on the true reward over the base policy.

    J_true(pi) - J_true(base) >= r (J_proxy(pi) - J_proxy(base)) - sqrt(1 - r^2) sqrt(chi2(mu_pi || mu_base)), for rewards of unit
    variance under mu_base (Laidlaw et al. 2024, theorem 5.1): the part of the true reward that the proxy does not explain is
    orthogonal to it, and the Cauchy-Schwarz inequality bounds what a shift of the visits can make of it.
    """
    return r * proxy_gain - math.sqrt(max(1.0 - r * r, 0.0) * chi2)


@dataclass(frozen=True)
class Optimum:
    """A policy that maximises J - lambda D.

    Attributes:
        policy: (S, A).
        occupancy: mu, (S, A).
        objective: J - lambda D.
        penalty: D.
        gap: no policy's objective is higher by more than this: the objective is concave in mu, so its linearisation bounds it. A
            loose bound where D has a kink (``sqrt_chi2`` and ``tv`` at the base policy) or no finite slope (``kl`` at no visits).
    """

    policy: Array
    occupancy: Array
    objective: float
    penalty: float
    gap: float


@dataclass(frozen=True, eq=False)
class RegularisedTask(Limited):
    """J(pi) - lambda D(pi, base) of softmax policies on a finite task, with its exact gradient and maximiser.

    Args:
        P: (S, A, S), P(s' | s, a); terminal states are absorbing. A time limit is in no table.
        reward: expected, (S, A).
        start: (S,), the distribution of s_0.
        base: the base policy, (S, A), which takes every action: outside of its visits three of the divergences are infinite, and
            policies are sought from it.
        gamma: discount in (0, 1).
        over: compare visits of states and actions, or of states alone.

    Raises:
        SettingsError: if they do not fit together.
    """

    misfit = SettingsError

    P: Array
    reward: Array
    start: Array
    base: Array
    gamma: Annotated[float, Gt(0), Lt(1)]
    over: Literal["state_action", "state"] = "state_action"

    def __post_init__(self) -> None:
        super().__post_init__()
        shape = self.P.shape[:2]
        if self.reward.shape != shape or self.base.shape != shape or self.start.shape != shape[:1]:
            raise SettingsError(
                f"reward and base must be {shape} and start {shape[:1]}, got {self.reward.shape}, {self.base.shape} and "
                f"{self.start.shape}."
            )
        if not self.base.min() > 0:
            raise SettingsError(
                "The base policy must take every action now and then, for policies near it are sought from it. Mix it with a "
                f"uniform one, as 0.99 * base + 0.01 / {shape[1]}."
            )

    @cached_property
    def base_occupancy(self) -> Array:
        """The base policy's mu, (S, A)."""
        return self.occupancy(self.base)

    @cached_property
    def _reachable(self) -> NDArray[np.bool_]:
        """States that some policy visits; at others a solved system leaves rounding errors, which no base visits excuse."""
        linked, reached = self.P.max(axis=1) > 0, self.start > 0
        while (more := reached | linked[reached].any(axis=0)).sum() > reached.sum():
            reached = more
        return reached

    def occupancy(self, policy: Array) -> Array:
        """Return mu of a policy, (S, A)."""
        return self._visits(policy, self._factors(policy))

    def penalty(self, logits: Array, mu: Array, kind: Penalty) -> tuple[float, Array]:
        """Return D of the softmax policy and the per-step cost (S, A) whose policy gradient is D's: dD/dmu.

        ``action_kl`` is sum_s mu(s) KL(pi(.|s) || base(.|s)), at the cost log(pi / base).

        Args:
            logits: of the policy, (S, A).
            mu: its occupancy, (S, A).
            kind: D.

        Raises:
            SettingsError: if ``kind`` is unknown.
        """
        if kind == "action_kl":
            cost = log_softmax(logits, axis=1) - np.log(self.base)
            return float((mu * cost).sum()), cost
        checked("The penalty", Penalty, kind, SettingsError)
        if self.over == "state_action":
            return divergence(mu, self.base_occupancy, kind)
        value, cost = divergence(mu.sum(axis=1), self.base_occupancy.sum(axis=1), kind)
        return value, np.repeat(cost[:, None], mu.shape[1], axis=1)

    def gradient(self, logits: Array, kind: Penalty, coefficient: float) -> tuple[float, Array]:
        """Return J - lambda D of the softmax policy and its gradient in the logits, (S, A).

        By the policy gradient theorem for the reward r - lambda dD/dmu, it is mu(s, a) A(s, a).
        """
        policy = softmax(logits, axis=1)
        factors = self._factors(policy)
        mu = self._visits(policy, factors)
        value, reward = self._linearised(logits, mu, kind, coefficient)
        return value, mu * self._advantage(policy, reward, factors)

    def solve(
        self,
        kind: Penalty,
        coefficient: float,
        logits: Array | None = None,
        *,
        steps: int = 300,
        tolerance: float = 1e-4,
    ) -> Optimum:
        """Maximise J - lambda D by natural policy gradients (logits += eta A), each step as long as it improves.

        Args:
            kind: D.
            coefficient: lambda >= 0.
            logits: to start from, (S, A); the base policy by default.
            steps: at most.
            tolerance: stop when the gap is below this share of the reward's range.
        """
        logits = np.log(self.base) if logits is None else logits
        policy = softmax(logits, axis=1)
        factors = self._factors(policy)
        mu = self._visits(policy, factors)
        value, reward = self._linearised(logits, mu, kind, coefficient)
        eta = 1.0 / max(coefficient, 1e-3)
        # A step of 1 / lambda solves a KL penalty's policy improvement exactly (soft policy iteration): longer ones overshoot.
        longest = eta if kind in ("kl", "action_kl") else math.inf
        enough = tolerance * float(np.ptp(self.reward))
        for step in range(steps):
            if step % 25 == 0 and self._gap(reward, mu) <= enough:
                break
            advantage = self._advantage(policy, reward, factors)
            while eta > _SHORTEST:
                moved = logits + eta * advantage
                policy = softmax(moved, axis=1)
                factors = self._factors(policy)
                visits = self._visits(policy, factors)
                found, slope = self._linearised(moved, visits, kind, coefficient)
                if found >= value:
                    break
                eta /= 2.0
            else:  # nothing shorter is tried
                policy = softmax(logits, axis=1)
                break
            logits, mu, value, reward = moved - moved.max(axis=1, keepdims=True), visits, found, slope
            eta = min(2.0 * eta, longest)
        return Optimum(policy, mu, value, self.penalty(logits, mu, kind)[0], self._gap(reward, mu))

    def _factors(self, policy: Array) -> tuple[Array, NDArray[np.int32]]:
        """LU factors of I - gamma P_pi, with which visits and values are found."""
        factors: tuple[Array, NDArray[np.int32]] = lu_factor(
            np.eye(len(self.P)) - self.gamma * np.einsum("sa,sat->st", policy, self.P, optimize=True)
        )
        return factors

    def _visits(self, policy: Array, factors: tuple[Array, NDArray[np.int32]]) -> Array:
        visits: Array = lu_solve(factors, (1.0 - self.gamma) * self.start, trans=1)
        return np.where(self._reachable, np.maximum(visits, 0.0), 0.0)[:, None] * policy

    def _linearised(self, logits: Array, mu: Array, kind: Penalty, coefficient: float) -> tuple[float, Array]:
        """J - lambda D, and the reward r - lambda dD/dmu."""
        if not coefficient:
            return float((mu * self.reward).sum()), self.reward
        distance, cost = self.penalty(logits, mu, kind)
        return float((mu * self.reward).sum()) - coefficient * distance, self.reward - coefficient * cost

    def _advantage(self, policy: Array, reward: Array, factors: tuple[Array, NDArray[np.int32]]) -> Array:
        """A(s, a) of a reward."""
        value = lu_solve(factors, (policy * reward).sum(axis=1))
        advantage: Array = reward + self.gamma * (self.P @ value) - value[:, None]
        return advantage

    def _gap(self, reward: Array, mu: Array) -> float:
        """Max over mu' of <r_lin, mu' - mu>, by policy iteration."""
        actions, enough = reward.argmax(axis=1), 1e-9 * float(np.abs(reward).max())
        while True:
            policy = np.eye(reward.shape[1])[actions]
            factors = self._factors(policy)
            advantage = self._advantage(policy, reward, factors)
            improvable = advantage.max(axis=1) > enough
            if not improvable.any():
                return float(((self._visits(policy, factors) - mu) * reward).sum())
            actions = np.where(improvable, advantage.argmax(axis=1), actions)
