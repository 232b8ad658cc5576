"""Programs with memory: what they pay depends on how a state was reached.

A state with another memory is another state; all of them are found by going all known ways from the start. Where that makes too
many, walks are gone instead, and what every action would pay is looked at on their way.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from shapegym.shaping.programs.critic.batch import run
from shapegym.shaping.programs.critic.known import Floats, Graph, Indices, Known
from shapegym.shaping.programs.critic.paid import Measured, Paid, Walks

MOST_UNFOLDED = 12_000
"""States with their memories that are looked at in a known part of the task; where there are more, walks are looked at instead."""

_KNOWS = np.array([1.0, 0.5, 0.0, 0.8])
"""How often walks of each kind take a step that leads to the solution, and any at other times."""
_SOLVING, _LINGERING = 0, 2
"""Kinds: the first solves the task; from the third on the end is put off."""
_WALKERS, _WALK = 24, 200
"""Walks of each kind, and their steps."""
_SURE = 1e6


def unfolded(measured: Measured, known: Known) -> Paid:
    """Go all known ways from the start, a level of states with their memories at a time."""
    number: dict[tuple[int, bytes], int] = {}
    states: list[int] = []
    memories: list[Floats] = []

    def meet(some: Indices, memory: Floats) -> list[int]:
        nodes = []
        for state, row in zip(some.tolist(), memory, strict=True):
            node = number.setdefault((state, row.tobytes()), len(states))
            if node == len(states):
                states.append(state)
                memories.append(row)
            nodes.append(node)
        return nodes

    begin = np.flatnonzero(known.start)
    fresh = [value for _, value in measured.program.slots]
    meet(begin, np.tile(np.array(fresh), (len(begin), 1)))
    blocks, done = [], 0
    while done < len(states):
        if len(states) > MOST_UNFOLDED:
            return walked(measured, known)
        some = np.array(states[done:])
        first = known.first_edge[known.first_group[some]]
        edges, owner = _ranges(first, known.first_edge[known.first_group[some + 1]])
        pays, after = _walk(measured, known, edges, np.array(memories[done:])[owner])
        going = np.flatnonzero(~known.ends[edges])
        target = done + owner
        source = done + owner
        done = len(states)
        target[going] = meet(known.target[edges[going]], after[going])
        blocks.append((source, target, edges, pays))
    source, target, edges = (np.concatenate([block[column] for block in blocks]) for column in range(3))
    pays = np.concatenate([block[3] for block in blocks], axis=1)
    return _closed(known, np.array(states), source, target, edges, pays)


def _walk(measured: Measured, known: Known, edges: Indices, memory: Floats) -> tuple[Floats, Floats]:
    """What edges pay that are gone with a memory (E, M), and the memory behind them."""
    names = [name for name, _ in measured.program.slots]
    lengths = known.steps[edges]
    pays = np.zeros((1 + len(measured.program.parts), len(edges)))
    memory = memory.copy()
    for step in range(int(lengths.max(initial=0))):
        going = np.flatnonzero(lengths > step)
        rows = known.rows[edges[going]] + step
        slots = {name: memory[going, slot] for slot, name in enumerate(names)}
        out = run(measured.program, measured.evidence.sides(rows), slots)
        values = np.vstack([out.total, out.parts])
        measured.look(rows, values, out)
        pays[:, going] += values
        memory[going] = np.stack([out.memory[name] for name in names], axis=1)
    return pays, memory


def _closed(
    known: Known, states: Indices, source: Indices, target: Indices, edges: Indices, pays: Floats
) -> Paid:
    """The graph of all that was gone through."""
    order = np.lexsort((edges, source))
    source, edge = source[order], edges[order]
    of = known.group_of_edge[edge]
    first_edge = np.append(np.flatnonzero(np.diff(source, prepend=-1) | np.diff(of, prepend=-1)), len(of))
    start = np.zeros(len(states))
    begin = np.flatnonzero(known.start)
    start[: len(begin)] = known.start[begin]  # the first that were met
    graph = Graph(
        first_group=np.searchsorted(source[first_edge[:-1]], np.arange(len(states) + 1)),
        first_edge=first_edge,
        target=target[order],
        probability=known.probability[edge],
        steps=known.steps[edge],
        ends=known.ends[edge],
        start=start,
    )
    groups = of[first_edge[:-1]]
    return Paid(known, graph, states, groups, edge, pays[0, order], pays[1:, order])


def walked(measured: Measured, known: Known) -> Paid:
    """Walks with a memory: some that solve the task, some that half know how, and some that put the end off, near it or not.

    All edges of the states that they come to are looked at; `Paid.walks` has what the walks were paid.
    """
    rng = np.random.default_rng(0)
    kind = np.repeat(np.arange(len(_KNOWS)), _WALKERS)
    begin = np.flatnonzero(known.start)
    fresh = np.array([value for _, value in measured.program.slots])
    state, memory = begin[rng.integers(len(begin), size=len(kind))], np.tile(fresh, (len(kind), 1))
    going, returns = np.ones(len(kind), np.bool_), np.zeros(len(kind))
    discount = np.ones(len(kind))
    blocks, ways = [], []
    met = 0
    for _ in range(_WALK):
        here = np.flatnonzero(going)
        if not len(here):
            break
        first = known.first_edge[known.first_group[state[here]]]
        edges, owner = _ranges(first, known.first_edge[known.first_group[state[here] + 1]])
        pays, after = _walk(measured, known, edges, memory[here][owner])
        blocks.append((met + owner, state[here], edges, pays))
        met += len(here)
        # Of each walker's edges the one of the highest score is gone: chance, and what its kind of walk looks for.
        score = np.log(known.probability[edges]) - np.log(-np.log(rng.random(len(edges))))
        knows = rng.random(len(here)) < _KNOWS[kind[here]]
        score += _SURE * (known.good[known.group_of_edge[edges]] & knows[owner])
        score -= 2 * _SURE * (known.ends[edges] & (kind[here][owner] >= _LINGERING))
        best = np.lexsort((score, owner))[np.append(np.flatnonzero(np.diff(owner)), len(owner) - 1)]
        gone = edges[best]
        ways.append(pays[1:, best][:, kind[here] == _SOLVING])
        returns[here] += discount[here] * (pays[0, best] + known.task[gone])
        discount[here] *= known.gamma ** known.steps[gone]
        state[here], memory[here] = known.target[gone], after[best]
        going[here] = ~known.ends[gone]
    source, visited, edges = (np.concatenate([block[column] for block in blocks]) for column in range(3))
    pays = np.concatenate([block[3] for block in blocks], axis=1)
    paid = _closed(known, visited, source, source, edges, pays)
    graph = replace(paid.graph, ends=np.ones(len(edges), np.bool_), start=np.full(met, 1 / met))
    solving = kind == _SOLVING
    walks = Walks(returns[solving], returns[kind >= _LINGERING], np.concatenate(ways, axis=1))
    return replace(paid, graph=graph, walks=walks)


def _ranges(first: Indices, last: Indices) -> tuple[Indices, Indices]:
    """All numbers first[i] .. last[i] - 1, and the i of each."""
    lengths = last - first
    owner = np.repeat(np.arange(len(first)), lengths)
    return np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths) + first[
        owner
    ], owner
