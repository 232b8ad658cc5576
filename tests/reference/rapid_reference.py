"""The ranking of RAPID in plain loops (Zha et al. 2021, equations 1 to 3). Imports nothing of the project."""

from __future__ import annotations

import math


def ended_episodes(
    first: list[list[bool]], last: list[list[bool]], longest: int
) -> list[list[tuple[int, int]]]:
    """The episodes that were seen whole and have at most ``longest`` steps, as lists of (t, lane), in order of their ends."""
    found = []
    running: list[list[tuple[int, int]] | None] = [None for _ in first[0]]
    for t, (starts, ends) in enumerate(zip(first, last, strict=True)):
        for lane in range(len(starts)):
            if starts[lane]:
                running[lane] = []
            steps = running[lane]
            if steps is not None:
                steps.append((t, lane))
            if ends[lane]:
                if steps is not None and len(steps) <= longest:
                    found.append(steps)
                running[lane] = None
    return found


class Ranking:
    """The best episodes in at most ``size`` steps; of equals those that ended last."""

    def __init__(self, extrinsic: float, local: float, overall: float, size: int) -> None:
        self.weights = (extrinsic, local, overall)
        self.size = size
        self.counts: dict[int, int] = {}
        self.kept: list[tuple[int, list[int], float]] = []
        """(number, states, task return) of each."""
        self.number = 0

    def score(self, states: list[int], task_return: float) -> float:
        """w0 G + w1 D / T + w2 mean 1 / sqrt N."""
        extrinsic, local, overall = self.weights
        rarity = sum(1 / math.sqrt(self.counts[state]) for state in states) / len(states)
        return extrinsic * task_return + local * len(set(states)) / len(states) + overall * rarity

    def add(self, episodes: list[tuple[list[int], list[float]]]) -> None:
        """Rank the states and rewards of episodes that ended together: all are counted, then all are scored."""
        for states, rewards in episodes:
            for state in states:
                self.counts[state] = self.counts.get(state, 0) + 1
            self.kept.append((self.number, states, sum(rewards)))
            self.number += 1
        ranking = sorted(self.kept, key=lambda each: (self.score(*each[1:]), each[0]), reverse=True)
        self.kept, used = [], 0
        for each in ranking:
            used += len(each[1])
            if used > self.size:
                break
            self.kept.append(each)
        self.kept.sort()
