"""BARFI on finite tasks: learn the weights of a blended reward, and the learner's discount, so that learning serves the task.

    outer:  max_{phi, varphi}  J(theta*(phi, varphi)) - penalty * gamma_varphi,   J: task reward, true discount
    inner:  theta*(phi, varphi): where the update of the learner on r_phi at the discount gamma_varphi = sigmoid(varphi) vanishes

Source: Gupta et al. (2023), *Behavior Alignment via Reward Function Optimization*, algorithm 1. Where the learner departs from it,
`tabular_learner` says.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shapegym.agents.bilevel.implicit import Verdict
from shapegym.agents.bilevel.tabular_learner import (
    Array,
    Blend,
    Experience,
    Gradient,
    InnerProblem,
    Weighted,
    advantages,
    hyper_gradient,
    play,
    softmax,
)
from shapegym.agents.errors import SettingsError
from shapegym.envs.tabular.solver import policy_return
from shapegym.envs.tabular.task import FiniteTask
from shapegym.shaping.checks import is_integer

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class TabularSettings:
    """Hyper-parameters of `train`.

    Attributes:
        gamma: the task's discount, by which policies are judged.
        inner_gamma: the learner's discount at the start.
        steps: environment steps, warm-up included; the outer step that reaches them is the last.
        warm_up: episodes of the uniform policy to start with.
        fresh: episodes of the present policy in each outer step: they estimate dJ/dtheta, and join the data.
        capacity: episodes that are kept.
        inner_steps: ascent steps of the learner in each outer step.
        decay: weight decay of the learner; keeps its optimum stochastic and its Hessian invertible.
        restart: theta <- restart * theta before the learner goes on: a policy that has become certain cannot answer to phi.
        learning_rate: of phi, by Adam.
        discount_rate: of varphi, by Adam; 0 keeps the discount.
        discount_penalty: lambda_gamma, on the learner's discount.
        terms: K, of the Neumann series or of unrolled steps.
        gradient: "implicit" or, as an ablation, "unrolled".

    Raises:
        SettingsError: a number is out of range.
    """

    gamma: float = 0.99
    inner_gamma: float = 0.95
    steps: int = 60_000
    warm_up: int = 100
    fresh: int = 20
    capacity: int = 200
    inner_steps: int = 200
    decay: float = 0.1
    restart: float = 0.5
    learning_rate: float = 0.1
    discount_rate: float = 0.1
    discount_penalty: float = 0.0
    terms: int = 100
    gradient: Gradient = "implicit"

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name, holds, range_ in (
            ("gamma", 0 <= self.gamma <= 1, "in [0, 1]"),
            ("inner_gamma", 0 < self.inner_gamma < 1, "in (0, 1)"),
            ("steps", is_integer(self.steps, 1), "an integer of at least 1"),
            ("warm_up", is_integer(self.warm_up, 1), "an integer of at least 1"),
            ("fresh", is_integer(self.fresh, 1), "an integer of at least 1"),
            (
                "capacity",
                is_integer(self.capacity, self.fresh),
                f"an integer of at least fresh, {self.fresh}",
            ),
            ("inner_steps", is_integer(self.inner_steps, 1), "an integer of at least 1"),
            ("decay", 0 < self.decay < math.inf, "above 0"),
            ("restart", 0 <= self.restart <= 1, "in [0, 1]"),
            ("learning_rate", 0 <= self.learning_rate < math.inf, "at least 0"),
            ("discount_rate", 0 <= self.discount_rate < math.inf, "at least 0"),
            ("discount_penalty", 0 <= self.discount_penalty < math.inf, "at least 0"),
            ("terms", is_integer(self.terms, 1), "an integer of at least 1"),
            ("gradient", self.gradient in {"implicit", "unrolled"}, "'implicit' or 'unrolled'"),
        ):
            if not holds:
                raise SettingsError(f"{name} must be {range_}, got {getattr(self, name)!r}.")
        if self.gradient == "unrolled" and self.terms > self.inner_steps:
            raise SettingsError(
                f"Unrolling terms = {self.terms} steps needs inner_steps of at least as many, got {self.inner_steps}."
            )


@dataclass(frozen=True, eq=False)
class Trace:
    """What happened, by outer step; N of them.

    Attributes:
        weights: phi by part, before the first and after each outer step, (N + 1, 1), (N + 1, S) or (N + 1, S A).
        gammas: the learner's discount, as `weights`, (N + 1,).
        returns: exact expected task return of the learner's policy, at the true discount, (N,). Nothing learns from it.
        residuals: of the series, (N,).
        verdicts: of the series; where they are not usable, phi stayed as it was, and also where dJ/dtheta was zero.
        steps: environment steps so far, (N,) int64.
        policy: the learner's last, (S, A).
    """

    weights: Mapping[str, Array]
    gammas: Array
    returns: Array
    residuals: Array
    verdicts: tuple[Verdict, ...]
    steps: NDArray[np.int64]
    policy: Array

    @property
    def rejections(self) -> int:
        """Outer steps that were not made."""
        return sum(not verdict.usable for verdict in self.verdicts)


class Adam:
    """Ascent with step sizes from running moments of the gradient. Source: Kingma & Ba (2015), algorithm 1."""

    def __init__(self, rates: Array) -> None:
        self.rates = rates
        self.mean, self.square, self.count = np.zeros_like(rates), np.zeros_like(rates), 0

    def step(self, gradient: Array) -> Array:
        """The change to add."""
        self.count += 1
        self.mean = 0.9 * self.mean + 0.1 * gradient
        self.square = 0.999 * self.square + 0.001 * gradient**2
        mean = self.mean / (1 - 0.9**self.count)
        square = self.square / (1 - 0.999**self.count)
        return self.rates * mean / (np.sqrt(square) + 1e-8)


def train(
    task: FiniteTask,
    parts: Mapping[str, Weighted],
    settings: TabularSettings = TabularSettings(),
    seed: int = 0,
) -> Trace:  # frozen
    """Train a softmax policy on a blended reward whose weights are learned.

    With no part learned and `discount_rate` 0 it is the plain learner, with the same data and the same number of steps.

    Args:
        task: pays the task reward, which alone judges.
        parts: of the blend; see `Weighted`.
        settings: hyper-parameters.
        seed: of all that is random.

    Raises:
        SettingsError: the parts do not fit the task.
    """
    blend = Blend(parts)
    shape = (task.n_states, task.n_actions)
    if blend.cells.shape[1:] != shape:
        raise SettingsError(
            f"{task.name} has S, A = {shape}, but the tables of the blend have {blend.cells.shape[1:]}."
        )
    rng = np.random.default_rng(seed)
    _, task_table = task.tables()
    theta = np.zeros(shape)
    data = play(task, softmax(theta), settings.warm_up, rng)
    phi, varphi = blend.initial.copy(), math.log(settings.inner_gamma / (1 - settings.inner_gamma))
    adam = Adam(np.append(np.where(blend.learned, settings.learning_rate, 0.0), settings.discount_rate))
    learns = bool(adam.rates.any())
    kept = settings.terms if settings.gradient == "unrolled" else 0
    interactions = int(data.lengths.sum())
    phis, gammas = [phi], [_sigmoid(varphi)]
    returns: list[float] = []
    residuals: list[float] = []
    verdicts: list[Verdict] = []
    steps: list[int] = []

    while interactions < settings.steps:
        problem = InnerProblem(blend, data, phi, gammas[-1], settings.decay)
        path = problem.solve(settings.restart * theta, settings.inner_steps, kept)
        theta = path[-1]
        fresh = play(task, softmax(theta), settings.fresh, rng)
        if learns:
            by_theta = estimated_return_gradient(fresh, fresh.look_up(task_table), theta, settings.gamma)
            found = hyper_gradient(problem, path, by_theta, settings.terms, settings.gradient)
            verdicts.append(found.series.verdict)
            residuals.append(found.series.residual)
            if not found.series.verdict.usable:
                _LOG.info(
                    "outer step %d not made: the Neumann series is %s (residual %.3g)",
                    len(steps),
                    found.series.verdict,
                    found.series.residual,
                )
            elif by_theta.any():  # else Adam would coast on the gradients before
                slope = gammas[-1] * (1 - gammas[-1])
                change = adam.step(
                    np.append(found.by_phi, (found.by_gamma - settings.discount_penalty) * slope)
                )
                phi, varphi = phi + change[:-1], varphi + float(change[-1])
        data = data.joined(fresh, settings.capacity)
        interactions += int(fresh.lengths.sum())
        phis.append(phi)
        gammas.append(_sigmoid(varphi))
        returns.append(policy_return(task, softmax(theta), settings.gamma))
        steps.append(interactions)
    return Trace(
        weights=blend.weights(np.stack(phis)),
        gammas=np.array(gammas),
        returns=np.array(returns),
        residuals=np.array(residuals),
        verdicts=tuple(verdicts),
        steps=np.array(steps, np.int64),
        policy=softmax(theta),
    )


def estimated_return_gradient(data: Experience, rewards: Array, theta: Array, gamma: float) -> Array:
    """dJ/dtheta (S, A) from episodes of the policy itself: mean_D sum_t gamma^t psi(s_t, a_t) (G_t - mean of s_t).

    Args:
        data: episodes of softmax(theta).
        rewards: task reward at every step, (E, T).
        theta: (S, A).
        gamma: the TRUE discount.
    """
    summed, _ = advantages(data, rewards, gamma, gamma, theta.shape)
    return summed - summed.sum(axis=1, keepdims=True) * softmax(theta)


def return_gradient(task: FiniteTask, theta: Array, gamma: float) -> Array:
    """dJ/dtheta (S, A), exact within the time limit: sum_t gamma^t d_t(s) pi(a | s) (Q_t(s, a) - V_t(s))."""
    transition, table = task.tables()
    reward = (transition * table).sum(axis=2)
    policy = softmax(theta)
    values = [np.zeros(task.n_states)]
    actions = []
    for _ in range(task.max_steps):
        actions.append(reward + gamma * transition @ values[-1])
        values.append((policy * actions[-1]).sum(axis=1))
    gradient, visits = np.zeros_like(theta), task.start.copy()
    for q, value in zip(reversed(actions), reversed(values[1:]), strict=True):
        gradient += visits[:, None] * policy * (q - value[:, None])
        visits = gamma * np.einsum("s,sa,sat->t", visits, policy, transition)
    return gradient


def _sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))
