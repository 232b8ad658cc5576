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
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from shapegym.agents.errors import SettingsError
from shapegym.envs.tabular.sweeps import sweep_values, sweep_visits
from shapegym.envs.tabular.task import FiniteTask

_TOLERANCE = 1e-11
"""Error of visits, and of values."""

_SHORTEST = 1e-12
"""The shortest step that is tried."""

Array: TypeAlias = NDArray[np.float64]

Divergence: TypeAlias = Literal["chi2", "sqrt_chi2", "kl", "tv"]
"""Of two distributions; see `divergence`."""

Penalty: TypeAlias = Divergence | Literal["action_kl"]
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
    task, proxy = task - (mu * task).sum(), proxy - (mu * proxy).sum()
    scale = float((mu * task**2).sum() * (mu * proxy**2).sum())
    if scale <= 0:
        raise SettingsError("A reward that is constant under the base policy correlates with nothing.")
    return float((mu * task * proxy).sum() / math.sqrt(scale))


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
        gap: no policy's objective is higher by more than this (the objective is concave in mu, so its linearisation bounds it).
    """

    policy: Array
    occupancy: Array
    objective: float
    penalty: float
    gap: float


@dataclass(frozen=True, eq=False)
class RegularisedTask:
    """J(pi) - lambda D(pi, base) of softmax policies on a finite task, with its exact gradient and maximiser.

    Args:
        task: its dynamics are used, and not its time limit; terminal states are absorbing.
        reward: expected, (S, A).
        base: the base policy, (S, A).
        gamma: discount in (0, 1).
        over: compare visits of states and actions, or of states alone.
    """

    task: FiniteTask
    reward: Array
    base: Array
    gamma: float
    over: Literal["state_action", "state"] = "state_action"
    base_occupancy: Array = field(init=False)
    _branches: tuple[NDArray[np.int64], Array] = field(init=False, repr=False)
    _start: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        shape = (self.task.n_states, self.task.n_actions)
        if self.reward.shape != shape or self.base.shape != shape:
            raise SettingsError(
                f"reward and base must be {shape}, got {self.reward.shape}, {self.base.shape}."
            )
        if not 0 < self.gamma < 1:
            raise SettingsError(f"gamma must be in (0, 1), got {self.gamma!r}.")
        if self.over not in ("state_action", "state"):
            raise SettingsError(f"over must be 'state_action' or 'state', got {self.over!r}.")
        # Copies, because Numba has a type of its own for read-only arrays.
        object.__setattr__(self, "_branches", (self.task.next_state.copy(), self.task.probability.copy()))
        object.__setattr__(self, "_start", self.task.start.copy())
        object.__setattr__(self, "base_occupancy", self.occupancy(self.base))

    def occupancy(self, policy: Array, guess: Array | None = None) -> Array:
        """Return mu of a policy, (S, A).

        Args:
            policy: (S, A) probabilities.
            guess: state visits to start from, (S,), when those of a similar policy are known.
        """
        visits = np.array(self.task.start if guess is None else guess)
        sweep_visits(*self._branches, policy, self._start, self.gamma, _TOLERANCE, visits)
        return visits[:, None] * policy

    def penalty(self, policy: Array, mu: Array, kind: Penalty) -> tuple[float, Array]:
        """Return D and the per-step cost (S, A) whose policy gradient is D's: dD/dmu, or log(pi / base) for ``action_kl``.

        ``action_kl`` is sum_s mu(s) KL(pi(.|s) || base(.|s)).
        """
        if kind == "action_kl":
            cost = np.log(np.maximum(policy, np.finfo(np.float64).tiny)) - np.log(self.base)
            return float((mu * cost).sum()), cost
        if kind not in get_args(Divergence):
            raise SettingsError(
                f"There is no penalty {kind!r}; known: {', '.join(get_args(Divergence))}, action_kl."
            )
        if self.over == "state_action":
            return divergence(mu, self.base_occupancy, kind)
        value, cost = divergence(mu.sum(axis=1), self.base_occupancy.sum(axis=1), kind)
        return value, np.repeat(cost[:, None], mu.shape[1], axis=1)

    def gradient(self, logits: Array, kind: Penalty, coefficient: float) -> tuple[float, Array]:
        """Return J - lambda D of the softmax policy and its gradient in the logits, (S, A).

        By the policy gradient theorem with the reward r - lambda dD/dmu: mu(s, a) A(s, a), A the advantage per (1 - gamma).
        """
        policy = softmax(logits)
        mu = self.occupancy(policy)
        value, reward = self._linearised(policy, mu, kind, coefficient)
        return value, mu * self._advantage(policy, reward, np.zeros(len(mu)))

    def solve(
        self,
        kind: Penalty,
        coefficient: float,
        logits: Array | None = None,
        *,
        steps: int = 2000,
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
        policy = softmax(logits)
        mu = self.occupancy(policy)
        value, reward = self._linearised(policy, mu, kind, coefficient)
        state_value, best_value = np.zeros(len(mu)), np.zeros(len(mu))
        eta, gap = 1.0 / max(coefficient, 1e-3), math.inf
        enough = tolerance * float(np.ptp(self.reward))
        for step in range(steps):
            advantage = self._advantage(policy, reward, state_value)
            if step % 10 == 0 and (gap := self._gap(reward, mu, best_value)) <= enough:
                break
            while eta > _SHORTEST:
                moved = logits + eta * advantage
                candidate = softmax(moved)
                visits = self.occupancy(candidate, mu.sum(axis=1))
                found, slope = self._linearised(candidate, visits, kind, coefficient)
                if found >= value:
                    break
                eta /= 2.0
            else:
                break
            logits, policy, mu, value, reward = (
                moved - moved.max(axis=1, keepdims=True),
                candidate,
                visits,
                found,
                slope,
            )
            eta *= 1.5
        gap = self._gap(reward, mu, best_value)
        return Optimum(policy, mu, value, self.penalty(policy, mu, kind)[0], gap)

    def _linearised(self, policy: Array, mu: Array, kind: Penalty, coefficient: float) -> tuple[float, Array]:
        """J - lambda D, and the reward r - lambda dD/dmu."""
        if not coefficient:
            return float((mu * self.reward).sum()), self.reward
        distance, cost = self.penalty(policy, mu, kind)
        return float((mu * self.reward).sum()) - coefficient * distance, self.reward - coefficient * cost

    def _advantage(self, policy: Array, reward: Array, state_value: Array) -> Array:
        """A(s, a) of a reward, from and into a guess of V."""
        q = np.empty_like(reward)
        sweep_values(*self._branches, reward, policy, False, self.gamma, _TOLERANCE, state_value, q)
        return q - (policy * q).sum(axis=1, keepdims=True)

    def _gap(self, reward: Array, mu: Array, best_value: Array) -> float:
        """Max over mu' of <r_lin, mu' - mu>, with V* from and into a guess."""
        q = np.empty_like(reward)
        sweep_values(*self._branches, reward, mu, True, self.gamma, _TOLERANCE, best_value, q)
        return float((1.0 - self.gamma) * (self.task.start @ best_value) - (reward * mu).sum())


def softmax(logits: Array) -> Array:
    """Return the policy of logits, (S, A)."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    policy: Array = powers / powers.sum(axis=1, keepdims=True)
    return policy
