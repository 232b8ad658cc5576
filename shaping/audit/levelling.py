"""Canonical rewards of recorded steps: a potential is fitted on some episodes and taken out of the others.

c_t = r_t + gamma (1 - terminated_t) Phi(s_{t+1}) - Phi(s_t), with Phi linear in features of the state: 1, z, z^2 and
tanh(z W + b) of the standardised observation z. The features are random but shared by all rewards that are compared, so scaling a
reward scales its canonical form, and shaping with a potential in the span of the features vanishes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shapegym.shaping.audit.arguments import Array, choice, number
from shapegym.shaping.audit.exact import Form
from shapegym.shaping.audit.rollouts import Rollouts
from shapegym.shaping.errors import AuditError
from shapegym.shaping.limits import Limited, Natural, Positive

_FOLDS = 5
_ROWS = 4096
"""Steps whose features are computed at a time."""


@dataclass(frozen=True)
class Fit(Limited):
    """How a potential is fitted.

    Args:
        features: how many of tanh(z W + b).
        ridge: penalty on the weights, for each step; what is left of representable shaping is of its order.
        seed: of the features and of the division of the episodes.

    Raises:
        AuditError: features below 0 or a ridge that is not positive.
    """

    misfit = AuditError

    features: Natural = 512
    ridge: Positive = 1e-8
    seed: int = 0


def level(rollouts: Rollouts, rewards: Array, gamma: float, form: Form, fit: Fit) -> Array:
    """The canonical form (N, K) of rewards (N, K), each step's by a potential fitted without its episode.

    "minimal": the potential that leaves the least, min sum_t c_t^2. "val": the negative value of the policy that was recorded,
    by least-squares temporal differences (Bradtke and Barto 1996), sum_t psi(s_t) c_t = 0.

    Raises:
        AuditError: gamma is not in [0, 1], there are fewer than two episodes, or "val" at gamma = 1 with no terminated episode.
    """
    number("gamma", gamma, 0, 1)
    choice("canonical", form, Form)
    if rollouts.episodes < 2:
        raise AuditError(
            "A potential is fitted on some episodes and tried on others; the recording has one. Record more."
        )
    if form == "val" and gamma == 1 and not rollouts.terminated.any():
        raise AuditError(
            'gamma = 1 and no episode terminates, so states have no value. Take gamma < 1 or "minimal".'
        )

    rng, basis = np.random.default_rng(fit.seed), _Basis(rollouts, fit, gamma)
    folds = min(_FOLDS, rollouts.episodes)
    fold = rng.permutation(np.arange(rollouts.episodes) % folds)[rollouts.episode]
    systems = np.zeros((folds, basis.size, basis.size))
    targets = np.zeros((folds, basis.size, rewards.shape[1]))
    for part in range(folds):
        for rows in _chunks(np.flatnonzero(fold == part)):
            here, change = basis.features(rows)
            side = here if form == "val" else change
            systems[part] += side.T @ change
            targets[part] += side.T @ rewards[rows]

    left = np.empty(rewards.shape)
    for part in range(folds):
        outside = np.flatnonzero(fold != part)
        system = systems.sum(axis=0) - systems[part]
        system[np.diag_indices(basis.size)] += fit.ridge * outside.size
        weights = np.linalg.solve(system, targets.sum(axis=0) - targets[part])
        for rows in _chunks(np.flatnonzero(fold == part)):
            left[rows] = rewards[rows] - basis.features(rows)[1] @ weights
    return left


class _Basis:
    """Features of states, with their constants: observations are centred and scaled, columns that never change left out."""

    def __init__(self, rollouts: Rollouts, fit: Fit, gamma: float) -> None:
        rng, seen = np.random.default_rng([fit.seed, 1]), rollouts.observations
        spread = seen.std(axis=0)
        kept = np.flatnonzero(spread > 1e-9 * (1e-300 + np.abs(seen).max(axis=0)))
        self.rollouts, self.gamma, self.kept = rollouts, gamma, kept
        self.centre, self.scale = seen.mean(axis=0)[kept], spread[kept]
        self.slopes = rng.normal(size=(kept.size, fit.features)) / np.sqrt(max(kept.size, 1))
        self.offsets = rng.normal(size=fit.features)
        self.size = 1 + 2 * kept.size + fit.features

    def features(self, rows: np.ndarray) -> tuple[Array, Array]:
        """psi(s_t) and psi(s_t) - gamma (1 - terminated_t) psi(s_{t+1}), (rows, size) each."""
        here = self._of(self.rollouts.observations[rows])
        after = self._of(self.rollouts.next_observations[rows])
        return here, here - self.gamma * np.where(self.rollouts.terminated[rows, None], 0.0, after)

    def _of(self, observations: Array) -> Array:
        z = (observations[:, self.kept] - self.centre) / self.scale
        return np.hstack([np.ones((len(z), 1)), z, z * z, np.tanh(z @ self.slopes + self.offsets)])


def _chunks(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[at : at + _ROWS] for at in range(0, rows.size, _ROWS)]
