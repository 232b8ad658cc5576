"""Distances between rewards, in [0, 1]: 0 if they order all policies alike, 1 if in reverse.

`starc` bounds regret from both sides: what is lost by optimising one reward instead of the other is at most a constant times
the distance (Skalse et al. 2024). `epic` and `dard` are not zero for rewards that differ by S'-redistribution; `raw_l2` is what
comparing the numbers as they are would say.

Each is half the norm of the difference of two normalised rewards. A trivial reward, under which all policies are equal, has
canonical form zero and stays zero (Skalse et al. 2024, definition of STARC): its distance is 0 to another trivial one and 1/2 to
any other.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from shapegym.shaping.audit import canonical as forms
from shapegym.shaping.audit.arguments import Array, Given, choice
from shapegym.shaping.audit.canonical import Canonical
from shapegym.shaping.audit.mdp import MDP, TRIVIAL
from shapegym.shaping.errors import AuditError

Form = Literal["val", "minimal"]
Norm = Literal["l1", "l2", "linf"]


def starc(
    P: Given,
    R1: Given,
    R2: Given,
    gamma: float,
    *,
    terminal: Given | None = None,
    canonical: Form = "val",
    policy: Given | None = None,
    norm: Norm = "l2",
    weights: Given | None = None,
) -> float:
    """d(R1, R2) = ||s(R1) - s(R2)|| / 2, s(R) = c(R) / ||c(R)||, in [0, 1].

    Zero exactly if R2 is R1 times a positive number, plus potential shaping, plus S'-redistribution. Rewards are read on the
    transitions that can happen only.

    Source: Skalse et al. 2024 (STARC), definitions 1 to 3.

    Args:
        P: (S, A, S), P[s, a, s'] = P(s' | s, a).
        R1: (S, A) or (S, A, S).
        R2: (S, A) or (S, A, S).
        gamma: discount in [0, 1].
        terminal: (S,) bool; None = no terminal states.
        canonical: "val" (see `canonical.val`) or "minimal" (`canonical.minimal`).
        policy: of VAL, (S, A) or (S,); None = uniform.
        norm: "l1", "l2" or "linf", over (s, a); the minimal form is the one of least "l2".
        weights: (S, A) of the norm; None = uniform over the states that are not terminal. Pairs of weight 0 do not count, so the
            result is a distance between rewards on the others.

    Raises:
        AuditError: the arrays do not fit; VAL at gamma = 1 and a policy that need not end; "minimal" with another norm.
    """
    choice("canonical", canonical, Form)
    choice("norm", norm, Norm)
    if canonical == "minimal" and (norm != "l2" or policy is not None):
        raise AuditError('canonical="minimal" is the reward of least "l2" norm and has no policy.')
    mdp = MDP.of(P, gamma, terminal)
    share = mdp.weights(weights)
    first, second = (
        forms.val(mdp, R, policy) if canonical == "val" else forms.minimal(mdp, R, share) for R in (R1, R2)
    )
    return _half_difference(first, second, share, norm)


def epic(
    P: Given,
    R1: Given,
    R2: Given,
    gamma: float,
    *,
    terminal: Given | None = None,
    weights: Given | None = None,
    states: Given | None = None,
    actions: Given | None = None,
) -> float:
    """sqrt((1 - rho) / 2), rho the correlation of the EPIC forms over transitions (s, a, s') ~ w(s, a) P(s' | s, a).

    Source: Gleave et al. 2021, definition 4.7. Arguments as in `starc` and `canonical.epic`.

    Raises:
        AuditError: the arrays do not fit.
    """
    mdp = MDP.of(P, gamma, terminal)
    first, second = (forms.epic(mdp, R, states, actions) for R in (R1, R2))
    return _correlation_distance(mdp, first, second, weights)


def dard(
    P: Given,
    R1: Given,
    R2: Given,
    gamma: float,
    *,
    terminal: Given | None = None,
    weights: Given | None = None,
    actions: Given | None = None,
) -> float:
    """As `epic`, of the DARD forms (`canonical.dard`).

    Source: Wulfe et al. 2022.

    Raises:
        AuditError: the arrays do not fit.
    """
    mdp = MDP.of(P, gamma, terminal)
    first, second = (forms.dard(mdp, R, actions) for R in (R1, R2))
    return _correlation_distance(mdp, first, second, weights)


def raw_l2(
    P: Given, R1: Given, R2: Given, *, terminal: Given | None = None, weights: Given | None = None
) -> float:
    """||R1 / ||R1|| - R2 / ||R2|| || / 2 over transitions (s, a, s') ~ w(s, a) P(s' | s, a): the baseline that undoes scaling only.

    Raises:
        AuditError: the arrays do not fit.
    """
    mdp = MDP.of(P, 0.0, terminal)
    first, second = (Canonical(R, float(np.abs(R).max())) for R in (mdp.table(R1), mdp.table(R2)))
    return _half_difference(first, second, _coverage(mdp, weights), "l2")


def _coverage(mdp: MDP, weights: Given | None) -> Array:
    return mdp.weights(weights)[:, :, None] * mdp.P


def _correlation_distance(mdp: MDP, first: Canonical, second: Canonical, weights: Given | None) -> float:
    """sqrt((1 - rho) / 2) as half the difference of standardised rewards, which does not lose the digits of a rho near 1."""
    coverage = _coverage(mdp, weights)
    one, two = (
        Canonical(form.reward - (coverage * form.reward).sum(), form.scale) for form in (first, second)
    )
    return _half_difference(one, two, coverage, "l2")


def _half_difference(first: Canonical, second: Canonical, weights: Array, norm: Norm) -> float:
    one, two = (_normalised(form, weights, norm) for form in (first, second))
    return min(1.0, _size(one - two, weights, norm) / 2)


def _normalised(form: Canonical, weights: Array, norm: Norm) -> Array:
    size = _size(form.reward, weights, norm)
    return form.reward / size if size > TRIVIAL * form.scale else np.zeros_like(form.reward)


def _size(x: Array, weights: Array, norm: Norm) -> float:
    if norm == "l1":
        return float((weights * np.abs(x)).sum())
    if norm == "l2":
        return float(np.sqrt((weights * x * x).sum()))
    return float(np.abs(x[weights > 0]).max())
