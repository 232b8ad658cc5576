"""What an agent does that is paid by a program: for ever, with the task's reward; or looking a few steps ahead, without it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shapegym.shaping.programs.critic.known import Floats, Graph, Indices, Mask
from shapegym.shaping.programs.critic.paid import Paid

_SOON = 0.75
"""Discount of an agent that looks about four steps ahead."""

_EQUAL = 1e-7
"""Share of the largest value below which two are equal; of equal actions the one that is best for the task is taken."""
_TOLD_APART = 0.01
"""The same where it is asked what a program says to an agent, which learns from noisy returns."""

_LIKELY = 0.5
"""Share of the largest probability from which on an outcome is about as likely."""


@dataclass(frozen=True)
class Pursuit:
    """Behaviour that pays most in a known part of a task.

    Attributes:
        paid: the part.
        share: of what the best behaviour is worth to the task.
        way: edges of the graph from the start on, until the episode ends or a state comes again. Of outcomes that are about as
            likely as any, the best one for the task, so that what has to be tried again and again gets there.
        loop: how many of the last of them go round for ever; 0 where the episode ends.
    """

    paid: Paid
    share: float
    way: Indices
    loop: int


def pursue(paid: Paid) -> Pursuit:
    """Return what the best behaviour for task and program together does."""
    known = paid.known
    return _pursuit(paid, paid.total + paid.jump + known.task[paid.edge], known.gamma)


def pursue_soon(paid: Paid) -> Pursuit:
    """Return what an agent does that looks about four steps ahead, and sees what the program pays alone."""
    return _pursuit(paid, paid.total + paid.jump, _SOON)


def guidance(paid: Paid) -> tuple[float, float]:
    """Return how far the program leads an agent that does so, and draws among equals.

    To that agent, episodes go on in the state in which they end: that an end spares it costs it can only know who has seen one.

    Returns:
        The share of the best discounted return of the task that it gets. And how much oftener than by chance its next step is one
        of the best, weighed by how often a half-trained agent is in a state: 0 is as often, 1 always. The second tells apart what
        leads a part of the way.
    """
    known, graph = paid.known, paid.graph
    chosen, _ = _chosen(graph.endless(), paid.total + paid.jump, _SOON, _TOLD_APART)
    worth = graph.followed(graph.expected(known.gain[paid.edge]), known.gamma, chosen)
    reach = float(graph.start @ worth) / max(float(known.start @ known.worth), 1e-300)
    weight = paid.presence * (known.worth[paid.state] > 0)
    right, by_chance = (
        float(weight @ _share_of_good(paid, drawn)) / max(float(weight.sum()), 1e-300)
        for drawn in (chosen, np.ones_like(chosen))
    )
    return reach, (right - by_chance) / max(1.0 - by_chance, 1e-300)


def _share_of_good(paid: Paid, drawn: Mask) -> Floats:
    """In each state, the share of the groups in ``drawn`` (G,) that are as good for the task as any, (S,)."""
    first = paid.graph.first_group[:-1]
    good = np.add.reduceat((drawn & paid.known.good[paid.group]).astype(np.float64), first)
    return good / np.maximum(np.add.reduceat(drawn.astype(np.float64), first), 1.0)


def solution(paid: Paid) -> Pursuit:
    """Return the best behaviour for the task alone."""
    return _pursuit(paid, np.zeros(len(paid.total)), paid.known.gamma)


def _chosen(graph: Graph, values: Floats, gamma: float, equal: float = _EQUAL) -> tuple[Mask, Floats]:
    """Groups that are as good as any in their state where edges pay ``values`` (E,), and what groups are worth, (G,) both."""
    inside = (1.0 - gamma**graph.steps) / ((1.0 - gamma) * graph.steps)  # of what an edge pays over its steps
    _, worth = graph.best(graph.expected(np.nan_to_num(values) * inside), gamma)
    level = equal * max(float(np.abs(worth).max(initial=0.0)), 1e-300)
    return worth >= graph.most(worth) - level, worth


def _likely(probability: Floats, worth: Floats) -> int:
    """The place of the best among the outcomes that are likely."""
    return int(np.where(probability >= _LIKELY * probability.max(), worth, -np.inf).argmax())


def _pursuit(paid: Paid, values: Floats, gamma: float) -> Pursuit:
    known, graph = paid.known, paid.graph
    chosen, _ = _chosen(graph, values, gamma)
    gain = graph.expected(known.gain[paid.edge])
    reached, by_group = graph.best(gain, known.gamma, chosen)
    best = float(known.start @ known.worth)
    share = float(graph.start @ reached) / max(best, 1e-300)
    by_group = np.where(chosen, by_group, -np.inf)
    state = int(graph.start.argmax())
    seen: dict[int, int] = {}
    way: list[int] = []
    while state not in seen:
        seen[state] = len(way)
        groups = np.arange(graph.first_group[state], graph.first_group[state + 1])
        group = groups[by_group[groups].argmax()]
        edges = np.arange(graph.first_edge[group], graph.first_edge[group + 1])
        ahead = known.gamma ** graph.steps[edges] * np.where(
            graph.ends[edges], 0.0, reached[graph.target[edges]]
        )
        edge = edges[_likely(graph.probability[edges], known.gain[paid.edge[edges]] + ahead)]
        way.append(int(edge))
        if graph.ends[edge]:
            return Pursuit(paid, share, np.array(way), 0)
        state = int(graph.target[edge])
    return Pursuit(paid, share, np.array(way), len(way) - seen[state])
