"""Distances between rewards from samples, for tasks that have no tables.

Noise of the samples never cancels: two rewards that are equivalent have a distance a little above 0, and any distance is biased
upwards, more so the fewer the episodes. So these rank rewards; for a proof of equivalence use tables. Intervals resample episodes,
as steps of one episode are not independent; they do not remove the bias.

A recording holds one successor for each step, so S'-redistribution is not undone here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from shapegym.shaping.audit.arguments import NUMBERS, Array, Given, Kind, number, table
from shapegym.shaping.audit.exact import Form
from shapegym.shaping.audit.levelling import Fit, level
from shapegym.shaping.audit.rollouts import Rollouts
from shapegym.shaping.errors import AuditError

Reward = Callable[[Given, Given, Given], Given]
"""(s, a, s'), each (N, ...), to rewards (N,)."""
Successor = Callable[[Given, Given], Given]
"""(s, a), each (N, ...), to successors s' (N, ...), drawn from the task."""

RESAMPLES = 1000


@dataclass(frozen=True)
class Estimate:
    """A distance from samples.

    Attributes:
        distance: in [0, 1].
        low: end of the 95 % interval over episodes.
        high: end of it.
        left: of each reward, the root mean square of its canonical form over that of the reward. Near 0, it is all shaping, and
            what is left is mostly error, about which the distance says little.
        episodes: that were used.
        dropped: steps of unfinished episodes, which were not.
    """

    distance: float
    low: float
    high: float
    left: tuple[float, float]
    episodes: int
    dropped: int = 0


def starc(
    rollouts: Rollouts,
    first: str,
    second: str,
    gamma: float,
    *,
    canonical: Form = "val",
    fit: Fit | None = None,
) -> Estimate:
    """STARC distance of two recorded rewards: half the root mean square of the difference of their normalised canonical forms.

    Source: Skalse et al. 2024 (STARC), with the potential fitted by random features (`shapegym.shaping.audit.levelling`).

    Args:
        rollouts: what was recorded; its policy is the one of "val", and its steps the weights of the norm.
        first: name of a reward in it.
        second: name of another.
        gamma: discount in [0, 1].
        canonical: "val" or "minimal".
        fit: how the potential is fitted.

    Raises:
        AuditError: a name is unknown, or see `levelling.level`.
    """
    fit = fit or Fit()
    rewards = np.stack([rollouts.reward(first), rollouts.reward(second)], axis=1)
    forms = level(rollouts, rewards, gamma, canonical, fit)
    return _estimate(rewards, forms, rollouts.episode, fit.seed, dropped=rollouts.dropped)


def epic(
    first: Reward,
    second: Reward,
    states: Given,
    actions: Given,
    next_states: Given,
    gamma: float,
    *,
    episode: Given | None = None,
    mean_samples: int = 512,
    seed: int = 0,
) -> Estimate:
    """EPIC distance of two rewards that can be asked about any (s, a, s').

    m(x) = mean_k R(x, a_k, s'_k) over one set of pairs of an action and a successor, drawn independently from the recording;
    C = R + gamma m(s') - m(s), whose constant the correlation does not see. Rewards are asked as if no state were terminal.

    Source: Gleave et al. 2021, section 4 and appendix A.1.1.

    Args:
        first: a reward.
        second: another.
        states: (N, ...).
        actions: (N, ...).
        next_states: (N, ...).
        gamma: discount in [0, 1].
        episode: (N,), which step belongs to which episode; None = steps are independent.
        mean_samples: K.
        seed: of the draws.

    Raises:
        AuditError: the arrays do not fit, or a reward does not pay (N,) finite numbers.
    """
    steps = _checked(states, actions, next_states, gamma, mean_samples)
    rng = np.random.default_rng(seed)
    some_actions = actions[rng.integers(steps, size=mean_samples)]
    some_states = next_states[rng.integers(steps, size=mean_samples)]

    def mean(x: Given) -> Array:
        total = np.zeros((len(x), 2))
        for a, y in zip(some_actions, some_states, strict=True):
            total += _paid(both, x, _repeated(a, x), _repeated(y, x))
        return total / mean_samples

    both = first, second
    rewards = _paid(both, states, actions, next_states)
    forms = rewards + (gamma * mean(next_states) - mean(states))
    return _correlation_estimate(rewards, forms, episode, seed)


def dard(
    first: Reward,
    second: Reward,
    successor: Successor,
    states: Given,
    actions: Given,
    next_states: Given,
    gamma: float,
    *,
    episode: Given | None = None,
    mean_samples: int = 64,
    seed: int = 0,
) -> Estimate:
    """DARD distance of two rewards, with successors drawn from the task; other arguments and errors as `epic`.

    C = R + mean_k [gamma R(s', a_k, y_k) - R(s, a_k, x_k) - gamma R(x_k, a_k, y_k)], x_k a successor of (s, a_k), y_k of (s', a_k).

    Source: Wulfe et al. 2022.
    """
    steps, both = _checked(states, actions, next_states, gamma, mean_samples), (first, second)
    rewards = _paid(both, states, actions, next_states)
    change = np.zeros_like(rewards)
    for index in np.random.default_rng(seed).integers(steps, size=mean_samples):
        a = _repeated(actions[index], states)
        x, y = successor(states, a), successor(next_states, a)
        ahead = _paid(both, next_states, a, y) - _paid(both, x, a, y)
        change += gamma * ahead - _paid(both, states, a, x)
    return _correlation_estimate(rewards, rewards + change / mean_samples, episode, seed)


def _checked(states: Given, actions: Given, next_states: Given, gamma: float, mean_samples: int) -> int:
    """How many steps there are."""
    if states.shape != next_states.shape or len(states) != len(actions) or len(states) < 2:
        raise AuditError(
            "states, actions and next_states must be of the same steps, at least two, got shapes "
            f"{states.shape}, {actions.shape} and {next_states.shape}."
        )
    number("gamma", gamma, 0, 1)
    number("mean_samples", mean_samples, 1)
    return len(states)


def _repeated(one: Given, like: Given) -> Given:
    return np.broadcast_to(one, (len(like), *np.shape(one)))


def _paid(rewards: tuple[Reward, Reward], states: Given, actions: Given, next_states: Given) -> Array:
    """What both pay, (N, 2)."""
    name, shape = "A reward must pay one number a step: what it paid", (len(states),)
    return np.stack(
        [table(name, reward(states, actions, next_states), NUMBERS, shape) for reward in rewards], axis=1
    )


def _correlation_estimate(rewards: Array, forms: Array, episode: Given | None, seed: int) -> Estimate:
    """Correlation is the cosine of centred forms. The interval keeps the centre of all steps."""
    clusters = np.arange(len(rewards)) if episode is None else np.unique(episode, return_inverse=True)[1]
    table("episode", clusters, Kind("one for each step", "iu"), (len(rewards),))
    return _estimate(rewards, forms - forms.mean(axis=0), clusters, seed)


def _estimate(rewards: Array, forms: Array, episode: Given, seed: int, dropped: int = 0) -> Estimate:
    size, paid = (np.sqrt((columns**2).mean(axis=0)) for columns in (forms, rewards))
    products = np.stack([forms[:, 0] ** 2, forms[:, 1] ** 2, forms[:, 0] * forms[:, 1]], axis=1)
    sums = np.zeros((int(episode.max()) + 1, 3))
    np.add.at(sums, episode, products)
    rng = np.random.default_rng([seed, 2])
    counts = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=RESAMPLES)
    low, high = np.percentile(_distance(counts @ sums), (2.5, 97.5))
    first, second = np.divide(size, paid, out=np.zeros(2), where=paid > 0).tolist()
    distance = float(_distance(sums.sum(axis=0)[None])[0])
    return Estimate(distance, float(low), float(high), (first, second), len(sums), dropped)


def _distance(sums: Array) -> Array:
    """sqrt((1 - cos) / 2) from sums (R, 3) of x^2, y^2 and xy; as STARC defines it where one form is zero."""
    x, y = np.sqrt(sums[:, 0]), np.sqrt(sums[:, 1])
    cosine = np.divide(sums[:, 2], x * y, out=np.zeros(len(sums)), where=(x > 0) & (y > 0))
    angle = np.sqrt(np.clip((1 - cosine) / 2, 0.0, 1.0))
    return np.where((x > 0) & (y > 0), angle, np.where((x > 0) | (y > 0), 0.5, 0.0))
