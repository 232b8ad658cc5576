"""Whether a difference is more than chance, and whether there are enough runs to say."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from shapegym.experiments.stats.bootstrap import finite

Floats = NDArray[np.float64]
Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

_EXACT = 20
"""Most pairs whose signs are all enumerated, half a million sums by symmetry."""
_SAMPLES = 20_000
_CHUNK = 2_000_000


@dataclass(frozen=True)
class Test:
    """The outcome of a test."""

    statistic: float  # which one, the test says
    p: float  # probability of one at least as extreme if there is no difference


def paired_test(x: Mapping[Key, float], y: Mapping[Key, float], *, seed: int = 0) -> Test:
    """Whether runs with the same seeds score differently: the sign-flip permutation test, two-sided.

    If the sides are interchangeable, every difference x_s - y_s could as well have had the other sign. All 2^n signs are tried up
    to 20 pairs; beyond, 20,000 at random, and p = (1 + as extreme) / (1 + tried), which is never 0. With n pairs p is at
    least 2 / 2^n, so fewer than six cannot show a difference at the 5 % level.

    Args:
        x: pair -> score; a pair is a seed, or a task and a seed.
        y: the same pairs.
        seed: of the random signs.

    Returns:
        The mean of x_s - y_s, and p.

    Raises:
        ValueError: if there are no pairs, only one side has a pair, or a score is not finite.

    Source: Fisher (1935), section 21; for the random signs Phipson & Smyth (2010).
    """
    if x.keys() != y.keys():
        alone = sorted(map(str, x.keys() ^ y.keys()))
        raise ValueError(f"Runs are compared seed by seed, and only one side has {', '.join(alone)}.")
    ours, theirs = (finite([side[pair] for pair in x], "Scores of the pairs") for side in (x, y))
    differences = ours - theirs
    extreme = (
        abs(differences.sum()) - 1e-12 * np.abs(differences).sum()
    )  # sums that differ by rounding are ties
    if differences.size <= _EXACT:
        p = float(np.mean(np.abs(_all_sums(differences)) >= extreme))
    else:
        reached = np.sum(np.abs(_random_sums(differences, seed)) >= extreme)
        p = float((1 + reached) / (1 + _SAMPLES))
    return Test(float(differences.mean()), p)


def holm(p_values: Sequence[float] | Floats) -> Floats:
    """Adjust the p-values of a family of tests so that one false alarm among all of them is as rare as p says.

    p̃_(i) = max_{j ≤ i} min(1, (m - j + 1) p_(j)), with p_(1) ≤ ... ≤ p_(m).

    Args:
        p_values: (m,); none is a family without tests.

    Returns:
        (m,), in the order of the p-values.

    Raises:
        ValueError: if one is not between 0 and 1.

    Source: Holm (1979).
    """
    p = np.asarray(p_values, np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"P-values are a list of numbers between 0 and 1, not {p_values}.")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)))
    return adjusted


def holm_by_name(p_values: Mapping[Key, float]) -> dict[Key, float]:
    """Return the p-values of named tests, adjusted by `holm`."""
    return dict(zip(p_values, holm(list(p_values.values())).tolist(), strict=True))


def shared(x: Mapping[Key, Value], y: Mapping[Key, Value]) -> tuple[dict[Key, Value], dict[Key, Value]]:
    """Return what both sides have, in the order of the first."""
    keys = [key for key in x if key in y]
    return {key: x[key] for key in keys}, {key: y[key] for key in keys}


def seed_warning(n: int) -> str:
    """What to say beside statistics of ``n`` runs for each contender and task; nothing if there are ten or more."""
    runs = "1 run" if n == 1 else f"{n} runs"
    if n < 5:
        return f"Only {runs} each: intervals are unreliable and differences may be chance. Use at least 5 seeds, better 10."
    if n < 10:
        return f"{runs} each: intervals are wide. 10 seeds or more tell smaller differences."
    return ""


def _all_sums(differences: Floats) -> Floats:
    """Sums under every choice of signs but the first, which by symmetry changes no absolute value: (2^(n-1),)."""
    sums = differences[:1]
    for difference in differences[1:]:
        sums = np.concatenate([sums + difference, sums - difference])
    return sums


def _random_sums(differences: Floats, seed: int) -> Floats:
    """Sums under random signs (samples,), in memory that does not grow with samples times pairs."""
    rng, chunk = np.random.default_rng(seed), max(1, _CHUNK // differences.size)
    return np.concatenate(
        [
            (2.0 * rng.integers(0, 2, (min(chunk, _SAMPLES - start), differences.size)) - 1.0) @ differences
            for start in range(0, _SAMPLES, chunk)
        ]
    )
