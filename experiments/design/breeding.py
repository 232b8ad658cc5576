"""Which programs are asked for in a round, from what came of those before."""

from __future__ import annotations

import numpy as np

from shapegym.experiments.design.candidate import Ask, Candidate, History, best_of
from shapegym.experiments.design.preset import Preset

KEPT = 5
"""Programs of an island that can have children."""


def asks_of(preset: Preset, number: int, history: History, seed: int) -> list[Ask]:
    """Return what is asked for in a round, numbered from 1: programs from nothing as long as there is none to begin from."""
    best = history.best
    lost = best is None or best.outcome is None or not any(best.outcome.score)
    fresh = round(preset.fresh * preset.candidates) if lost else 0
    if preset.breeding == "best":
        ask = Ask("new") if best is None else Ask("improve", (best.id,))
        return [Ask("new")] * fresh + [ask] * (preset.candidates - fresh)
    rng = np.random.default_rng((seed, number))
    islands = _islands(preset, number, history)
    return [
        _of_island(
            place % preset.islands, islands[place % preset.islands] if place >= fresh else [], preset, rng
        )
        for place in range(preset.candidates)
    ]


def _of_island(island: int, members: list[Candidate], preset: Preset, rng: np.random.Generator) -> Ask:
    if not members:
        return Ask("new", island=island)
    weights = 1.0 / np.arange(1, len(members) + 1)  # by rank: scores of few episodes are crude
    crossed = len(members) > 1 and rng.random() < preset.crossing
    drawn = rng.choice(len(members), size=1 + crossed, replace=False, p=weights / weights.sum())
    parents = tuple(members[place].id for place in sorted(drawn))
    return Ask("cross" if crossed else "improve", parents, island)


def _islands(preset: Preset, number: int, history: History) -> list[list[Candidate]]:
    """Who can have children on each island, the best first."""
    living = [
        [each for each in history.judged if each.ask.island == island] for island in range(preset.islands)
    ]
    if number > 1 and (number - 1) % preset.migrate_every == 0 and preset.islands > 1:
        guests = [best_of(members) for members in living]
        for island, members in enumerate(living):
            guest = guests[island - 1]
            if guest is not None and guest not in members:
                members.append(guest)
    return [sorted(members, key=lambda each: each.merit, reverse=True)[:KEPT] for members in living]
