"""STARC distances tell how much optimising one reward costs under another, better than EPIC and DARD, and those better than raw L2.

Source: Skalse et al. 2024, "STARC: a general framework for quantifying differences between reward functions", sections 3 and 5.

On random tasks, a reward is mixed with an unrelated one, from a little to entirely, and both are disguised: scaled, shaped with a
random potential, and redistributed over successors, none of which changes what is optimal. The distances of the disguised rewards
are correlated with the regret of the pair. The invariances are measured one at a time on the same tasks.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shapegym.envs.tabular.random_mdp import random_mdp
from shapegym.experiments.studies.claims import Claim, Findings, ResultTable, StudyRequest
from shapegym.shaping.audit.exact import dard, epic, raw_l2, starc
from shapegym.shaping.audit.regret import optimal_regret, worst_regret

Array = NDArray[np.float64]

SEEDS = 60
PAIRS = 8
STATES, ACTIONS, BRANCHING, GAMMA = 16, 4, 4, 0.95

DISTANCES = ("STARC, VAL", "STARC, minimal", "DARD", "EPIC", "raw L2")
REGRETS = ("worst", "optimal")
DISGUISES = ("scaling", "potential shaping", "S'-redistribution", "all three")

_RESAMPLES = 2000


class Sample(NamedTuple):
    """One random task."""

    pairs: Array  # (PAIRS, 5 + 2), the distances and regrets of its pairs
    disguised: Array  # (4, 5), distances of a reward from itself under each disguise


def run(request: StudyRequest) -> Findings:
    """See the module."""
    request.say(f"{len(request.seeds)} random tasks, {PAIRS} pairs of rewards each")
    samples = list(request.map(sample, request.seeds).values())
    pairs, disguised = (np.stack(each) for each in zip(*samples, strict=True))
    largest, typical = disguised.max(axis=0), np.median(disguised, axis=0)
    found = correlations(pairs)
    return Findings(
        claims=(*_order_claims(pairs, found), *_invariance_claims(largest, typical)),
        tables=(
            ResultTable(
                f"Correlation with regret over {pairs.shape[0] * PAIRS} pairs: Pearson, 95 % interval over tasks; Spearman",
                ("distance", *(column for regret in REGRETS for column in (regret, "interval", "rank"))),
                (
                    (name, *(cell for j in range(len(REGRETS)) for cell in _cells(found, i, j)))
                    for i, name in enumerate(DISTANCES)
                ),
            ),
            ResultTable(
                "Distance of a reward from itself in disguise: largest over tasks (median)",
                ("disguise", *DISTANCES),
                tuple(
                    (name, *(f"{high:.0e} ({middle:.2g})" for high, middle in zip(*row, strict=True)))
                    for name, *row in zip(DISGUISES, largest, typical, strict=True)
                ),
            ),
        ),
        notes=(
            f"random_mdp(seed, states={STATES}, actions={ACTIONS}, branching={BRANCHING}, terminals=0), gamma {GAMMA}.",
            "EPIC and DARD read rewards of transitions that cannot happen; they are given them, shaped as the others.",
            "worst: shapegym.shaping.audit.regret.worst_regret, which STARC bounds; optimal: optimal_regret.",
        ),
    )


def sample(seed: int) -> Sample:
    """Measure one random task."""
    task = random_mdp(seed, states=STATES, actions=ACTIONS, branching=BRANCHING, terminals=0)
    P, rng = task.tables()[0], np.random.default_rng(seed)
    rows = []
    for share in np.arange(1, PAIRS + 1) / PAIRS:
        wanted, other = rng.normal(size=(2, *P.shape))
        first, second = _disguise(wanted, P, rng), _disguise((1 - share) * wanted + share * other, P, rng)
        regrets = (regret(P, first, second, GAMMA, task.start) for regret in (worst_regret, optimal_regret))
        rows.append([*_distances(P, first, second), *regrets])
    reward = rng.normal(size=P.shape)
    disguised = (
        3.0 * reward,
        reward + _shaping(P, rng),
        reward + _redistribution(P, rng),
        _disguise(reward, P, rng),
    )
    return Sample(np.array(rows), np.array([_distances(P, reward, each) for each in disguised]))


class Correlations(NamedTuple):
    """Of each distance (5) with each regret (2)."""

    pearson: Array  # (5, 2)
    low: Array  # (5, 2), of a 95 % interval over tasks
    high: Array  # (5, 2)
    spearman: Array  # (5, 2)
    draws: Array  # (resamples, 5, 2), Pearson of tasks drawn again


def correlations(pairs: Array) -> Correlations:
    """Correlate over all pairs, (tasks, pairs, 5 + 2); the bootstrap draws tasks, as pairs of one task are not independent."""
    rng = np.random.default_rng(0)
    draws = np.stack([_pearson(pairs[rng.integers(len(pairs), size=len(pairs))]) for _ in range(_RESAMPLES)])
    low, high = np.percentile(draws, (2.5, 97.5), axis=0)
    flat = pairs.reshape(-1, pairs.shape[-1])
    ranks = flat.argsort(axis=0, kind="stable").argsort(axis=0).astype(np.float64)
    return Correlations(_pearson(pairs), low, high, _pearson(ranks[None]), draws)


def _pearson(pairs: Array) -> Array:
    table = np.atleast_2d(np.corrcoef(pairs.reshape(-1, pairs.shape[-1]), rowvar=False))
    return table[: len(DISTANCES), len(DISTANCES) :]


def _distances(P: Array, first: Array, second: Array) -> tuple[float, ...]:
    return (
        starc(P, first, second, GAMMA),
        starc(P, first, second, GAMMA, canonical="minimal"),
        dard(P, first, second, GAMMA),
        epic(P, first, second, GAMMA),
        raw_l2(P, first, second),
    )


def _disguise(reward: Array, P: Array, rng: np.random.Generator) -> Array:
    return np.exp(rng.normal()) * (reward + _shaping(P, rng) + _redistribution(P, rng))


def _shaping(P: Array, rng: np.random.Generator) -> Array:
    potential = rng.normal(size=len(P))
    return np.broadcast_to(GAMMA * potential - potential[:, None, None], P.shape)


def _redistribution(P: Array, rng: np.random.Generator) -> Array:
    """Noise over the successors of each (s, a), with mean 0."""
    noise = rng.normal(size=P.shape)
    return np.where(P > 0, noise - (P * noise).sum(axis=2, keepdims=True), 0.0)


def _cells(found: Correlations, distance: int, regret: int) -> tuple[str, str, str]:
    at = (distance, regret)
    return (
        f"{found.pearson[at]:.3f}",
        f"{found.low[at]:.3f} .. {found.high[at]:.3f}",
        f"{found.spearman[at]:.3f}",
    )


def _order_claims(pairs: Array, found: Correlations) -> list[Claim]:
    """Each claim is about `worst_regret`, and holds if the 95 % interval of every difference lies above 0."""
    starcs, others, raw = (0, 1), (2, 3), 4
    claims = []
    for text, better, worse in (
        ("STARC (VAL and minimal) correlates with worst-case regret more than DARD and EPIC", starcs, others),
        ("DARD and EPIC correlate with worst-case regret more than raw L2", others, (raw,)),
    ):
        gaps = [found.draws[:, i, 0] - found.draws[:, j, 0] for i in better for j in worse]
        least = min(float(np.percentile(gap, 2.5)) for gap in gaps)
        shown = ", ".join(
            f"{DISTANCES[i]} {found.pearson[i, 0]:.3f} [{found.low[i, 0]:.3f}, {found.high[i, 0]:.3f}]"
            for i in (*better, *worse)
        )
        count = pairs.shape[0] * pairs.shape[1]
        claims.append(
            Claim(f"{text}, on {count} pairs", least > 0, f"{shown}; least difference, 2.5 %: {least:+.3f}")
        )
    return claims


def _invariance_claims(largest: Array, typical: Array) -> tuple[Claim, Claim, Claim]:
    starcs, others, redistribution = slice(0, 2), slice(2, 4), DISGUISES.index("S'-redistribution")
    kept = np.delete(largest[:, others], [redistribution, len(DISGUISES) - 1], axis=0)
    least = typical[redistribution, others].min()
    return (
        Claim(
            "STARC is at most 1e-9 under scaling, potential shaping, S'-redistribution and all three",
            bool(largest[:, starcs].max() <= 1e-9),
            f"largest {largest[:, starcs].max():.1e}",
        ),
        Claim(
            "EPIC and DARD are at most 1e-9 under scaling and potential shaping",
            bool(kept.max() <= 1e-9),
            f"largest {kept.max():.1e}",
        ),
        Claim(
            "EPIC and DARD are not zero under S'-redistribution (median over 0.1)",
            bool(least > 0.1),
            f"smaller median {least:.2f}",
        ),
    )
