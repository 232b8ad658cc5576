"""Similarity to a sentence is a reward: how near it comes to what is wanted, by projection and size, and what is learned from it.

Source: Rocamonde et al. 2024, "Vision-language models are zero-shot reward models for reinforcement learning" (VLM-RM).

Three questions, from exact to learned. How far, by STARC, is the similarity from what is wanted on a yard small enough for exact
answers, for a synthetic encoder with a nuisance and for small encoders trained on pictures of it, by the strength alpha of the
projection and by size? Does similarity to the mission rank what happens in two grid worlds as a planner does? And what does PPO
learn from it? Alpha is chosen on seeds from 100 on.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from shapegym.experiments.stats import Interval, aggregate
from shapegym.experiments.studies.claims import Claim, Findings, ResultTable, StudyRequest, with_ends
from shapegym.experiments.studies.papers.goal_similarity import learning
from shapegym.experiments.studies.papers.goal_similarity.distances import (
    ALPHAS,
    NUISANCES,
    SIZES,
    STEPS,
    Draw,
    Trained,
    synthetic,
    trained,
)
from shapegym.experiments.studies.papers.goal_similarity.sayings import (
    TASKS,
    agreement,
    likeness,
    listen,
)
from shapegym.shaping.errors import EncoderError
from shapegym.shaping.similarity.encoder import Encoder
from shapegym.shaping.similarity.sentences import SentenceEncoder
from shapegym.shaping.similarity.words import WordHash

Array = NDArray[np.float64]
Scores: TypeAlias = dict[tuple[str, str], Array]
Rows: TypeAlias = list[tuple[str | float | int, ...]]

SEEDS = 5
LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""How much the share of the scene varies from place to place."""
STATED = 0.5
"""The level of the claim."""
DRAWS = 12
"""Synthetic encoders for each seed."""
SHOWN = (0, 2, 4, 6, 8, 10)
"""Alphas that tables show."""
CLEARLY = 0.1
"""Difference of rank correlations that counts."""
WORDS = WordHash(1024)


def run(request: StudyRequest) -> Findings:
    """Measure, listen, train."""
    encoders: dict[str, Encoder] = {"words": WORDS}
    notes = []
    try:
        SentenceEncoder().fingerprint()
        encoders["MiniLM"] = SentenceEncoder()
    except EncoderError as error:
        notes.append(f"Without MiniLM: {error}")
    parts = [
        _synthetic(request),
        _trained(request),
        _sayings(request, encoders),
        _learned(request, encoders),
    ]
    return Findings(
        claims=tuple(claim for part in parts for claim in part.claims),
        tables=tuple(table for part in parts for table in part.tables),
        notes=(*notes, *(note for part in parts for note in part.notes)),
    )


# ---------------------------------------------------------------- distances


def _synthetic(request: StudyRequest) -> Findings:
    count = 2 if request.quick else DRAWS * len(request.seeds)
    request.say(f"{count} synthetic encoders at {len(LEVELS)} levels, and as many to choose alpha")
    levels = (STATED,) if request.quick else LEVELS
    draws = [Draw(seed, level) for level in levels for seed in (*range(count), *range(100, 100 + count))]
    done = request.map(synthetic, draws)

    def curves(level: float, first: int) -> Array:
        return np.array([done[Draw(first + number, level)] for number in range(count)])

    chosen = {level: int(curves(level, 100).mean(axis=0).argmin()) for level in levels}
    rows: Rows = []
    for level in levels:
        found, best = curves(level, 0), chosen[level]
        rows.append(
            (
                level,
                *(f"{mean:.3f}" for mean in found.mean(axis=0)[list(SHOWN)]),
                ALPHAS[best],
                *(_gain(found, end, best) for end in (0, -1)),
            )
        )
    claims = [_between(curves(STATED, 0), chosen[STATED], "the nuisance task")]
    if not request.quick:
        held = chosen[0.0] == 0
        claims.append(
            Claim(
                "without the nuisance no projection is best",
                held,
                f"alpha chosen: {ALPHAS[chosen[0.0]]}; distances {', '.join(map(str, rows[0][1:7]))}",
            )
        )
    columns = (
        "nuisance",
        *(f"alpha {ALPHAS[i]}" for i in SHOWN),
        "chosen",
        "gain on alpha 0",
        "gain on alpha 1",
    )
    title = f"Synthetic encoders: STARC distance from what is wanted, mean of {count}; gain of the alpha chosen on as many others"
    return Findings(tuple(claims), (ResultTable(title, columns, rows),))


def _trained(request: StudyRequest) -> Findings:
    steps = 20 if request.quick else STEPS
    sizes = SIZES[:2] if request.quick else SIZES
    reported = [Trained(seed, *size, steps, NUISANCES) for size in sizes for seed in request.seeds]
    tuning = [Trained(100 + seed, *sizes[-1], steps, NUISANCES) for seed in request.seeds]
    request.say(f"{len(reported) + len(tuning)} encoders of pictures, {steps} steps each")
    done = request.map_rows(trained, reported + tuning)

    def curves(size: tuple[int, int], place: int, first: int = 0) -> Array:
        keys = [Trained(first + seed, *size, steps, NUISANCES) for seed in request.seeds]
        return np.array([done[key][place] for key in keys])

    rows: Rows = []
    claims, last = [], len(NUISANCES) - 1
    for size in sizes:
        for place, spread in enumerate(NUISANCES):
            found = curves(size, place)
            cells = (f"{mean:.3f}" for mean in found.mean(axis=0)[list(SHOWN)])
            rows.append((f"{size[0]} channels, {size[1]} numbers", spread, *cells))
    chosen = int(curves(sizes[-1], last, 100).mean(axis=0).argmin())
    claims.append(
        _between(curves(sizes[-1], last), chosen, "the yard as the largest trained encoder sees it")
    )
    small, large = (curves(size, 0)[:, chosen] for size in (sizes[0], sizes[-1]))
    gap = _mean(small - large)
    claims.append(
        Claim(
            "the largest trained encoder is nearer to what is wanted than the smallest, at the exposures that they know",
            gap.low > 0,
            f"{large.mean():.3f} and {small.mean():.3f}; difference {with_ends(gap, '.3f')}",
        )
    )
    title = f"Trained encoders: STARC distance from what is wanted, mean of {len(request.seeds)} seeds"
    columns = ("encoder", "exposures", *(f"alpha {ALPHAS[i]}" for i in SHOWN))
    return Findings(tuple(claims), (ResultTable(title, columns, rows),))


def _between(found: Array, chosen: int, where: str) -> Claim:
    low, high = (_interval(found, end, chosen) for end in (0, -1))
    return Claim(
        f"on {where} an alpha between 0 and 1 is nearer to what is wanted than both",
        0 < chosen < len(ALPHAS) - 1 and low.low > 0 and high.low > 0,
        f"alpha {ALPHAS[chosen]} is nearer than 0 by {with_ends(low, '.3f')}, than 1 by {with_ends(high, '.3f')}",
    )


def _interval(found: Array, end: int, chosen: int) -> Interval:
    return _mean(found[:, end] - found[:, chosen])


def _gain(found: Array, end: int, chosen: int) -> str:
    if chosen == end % len(ALPHAS):
        return "-"
    return with_ends(_interval(found, end, chosen), ".3f")


# ---------------------------------------------------------------- captions


def _sayings(request: StudyRequest, encoders: dict[str, Encoder]) -> Findings:
    ranks: Rows = []
    tables: list[ResultTable] = []
    claims: list[Claim] = []
    for task in TASKS[:1] if request.quick else TASKS:
        request.say(f"what is said on {task}")
        heard = listen(task, 0, 200 if request.quick else 3000)
        values = {name: likeness(heard, encoder) for name, encoder in encoders.items()}
        agreed = {name: agreement(heard, found) for name, found in values.items()}
        ranks.append((task, len(heard), *(f"{agreed[name]:.2f}" for name in encoders)))
        if len({each.mission for each in heard}) == 1:
            order = sorted(range(len(heard)), key=lambda i: -heard[i].progress)
            sayings: Rows = [
                (
                    heard[i].caption,
                    heard[i].times,
                    f"{heard[i].progress:+.2f}",
                    *(f"{values[name][i]:+.2f}" for name in encoders),
                )
                for i in order
            ]
            title = f"{task}, mission {heard[0].mission!r}: stages nearer by the planner, and similarity of the caption"
            tables.append(ResultTable(title, ("caption", "heard", "progress", *encoders), sayings))
    ranking = "Similarity to the mission and progress: Spearman's correlation over the captions of a mission, mean over missions"
    tables.append(ResultTable(ranking, ("task", "captions", *encoders), ranks))
    if "MiniLM" in encoders:
        held = all(float(model) > float(words) + CLEARLY for *_, words, model in ranks)
        measured = "; ".join(f"{task}: {model} and {words}" for task, _, words, model in ranks)
        claims.append(
            Claim(
                f"MiniLM ranks captions as a planner does better than shared words do, by over {CLEARLY} on each task",
                held,
                measured,
            )
        )
    return Findings(tuple(claims), tuple(tables))


# ---------------------------------------------------------------- learning


def _learned(request: StudyRequest, encoders: dict[str, Encoder]) -> Findings:
    steps = 8 * 512 if request.quick else learning.STEPS
    arms: dict[tuple[str, str], Encoder] = {(reward, "words"): WORDS for reward in learning.rewards(WORDS)}
    if "MiniLM" in encoders:
        arms["similarity", "MiniLM"] = encoders["MiniLM"]
    runs = {
        arm: [learning.Run(arm[0], encoder, seed, steps) for seed in request.seeds]
        for arm, encoder in arms.items()
    }
    request.say(f"{len(runs) * len(request.seeds)} runs of PPO, {steps} steps each")
    done = request.map_rows(learning.successes, [each for several in runs.values() for each in several])
    last = {arm: np.array([done[each][-1] for each in several]) for arm, several in runs.items()}
    mean = {arm: np.array([np.mean(done[each]) for each in several]) for arm, several in runs.items()}
    rows: Rows = []
    for arm, several in runs.items():
        needed = [learning.steps_to(done[each], steps) for each in several]
        rows.append(
            (
                arm[0] if arm[1] == "words" else f"{arm[0]}, {arm[1]}",
                with_ends(_success(last[arm])),
                with_ends(_success(mean[arm])),
                ", ".join("-" if math.isinf(count) else f"{count:,.0f}" for count in needed),
            )
        )
    claims = [
        _more(last, mean, ("similarity", "words"), ("task", "words")),
        _more(last, mean, ("similarity", "words"), ("any caption", "words")),
    ]
    if "MiniLM" in encoders:
        claims.append(_more(last, mean, ("similarity", "MiniLM"), ("similarity", "words")))
    columns = ("reward", "success at the end", "mean over training", "steps to 80 %, by seed")
    title = f"PPO on DoorKey-6x6, {steps:,} steps: success, IQM of {len(request.seeds)} seeds [95 % interval]"
    notes = (
        f"Rewards: the task's plus {learning.WEIGHT} x what is named; similarity and any caption are paid for what is said for the "
        "first time in an episode. Success is measured on 50 episodes, with the policy's own randomness.",
    )
    return Findings(tuple(claims), (ResultTable(title, columns, rows),), notes)


def _mean(values: Array) -> Interval:
    return aggregate({"": values}, np.mean)


def _success(rates: Array) -> Interval:
    return aggregate({"": rates}, within=(0.0, 1.0))


def _more(last: Scores, mean: Scores, better: tuple[str, str], worse: tuple[str, str]) -> Claim:
    gap = _mean(last[better] - last[worse])
    named = (", ".join(arm) for arm in (better, worse))
    return Claim(
        "{} succeeds more at the end than {}".format(*named),
        gap.low > 0,
        f"{last[better].mean():.2f} and {last[worse].mean():.2f}; difference {with_ends(gap)}, of the mean over training "
        f"{with_ends(_mean(mean[better] - mean[worse]))}",
    )
