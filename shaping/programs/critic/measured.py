"""A program on the evidence: what it pays in every known step, and which of its conditions ever held.

What a program with memory pays depends on how a state was reached. Its memory is then unfolded: a state with another memory is
another state, found by going all known ways from the start, as far as a limit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from shapegym.shaping.programs.critic.batch import Place, Sides, run
from shapegym.shaping.programs.critic.evidence import Evidence
from shapegym.shaping.programs.critic.known import Floats, Graph, Indices, Known
from shapegym.shaping.programs.program import CheckedProgram

MOST_UNFOLDED = 12_000
"""States with their memories that are looked at in a known part of the task; where there are more, walks are looked at instead."""

_WALKS = ("solving", "learning", "lingering", "hovering")
_WALKERS, _WALK = 24, 200
_SURE = 1e6


@dataclass(frozen=True, eq=False)
class Paid:
    """A known part of a task, and what a program pays in it.

    Attributes:
        known: the part.
        graph: the same as `known`, or its states unfolded by what the program remembers in them. Where these are too many it holds
            those of some walks, and all edges end.
        state: (S,), the known state of each of the graph's.
        group: (G,), the same of groups.
        edge: (E,), the same of edges.
        total: (E,), what the program pays for each edge of the graph.
        parts: (K, E).
        jump: (E,), what the total would pay for the way from where an edge ends to the state that stands for it; 0 where states are
            exact. With it what differences pay adds up to nothing around a loop of bins.
        walks: what walks were paid, by their kind, where not all was unfolded; else nothing.
    """

    known: Known
    graph: Graph
    state: Indices
    group: Indices
    edge: Indices
    total: Floats
    parts: Floats
    jump: Floats | float = 0.0
    walks: Mapping[str, Floats] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether ways can be followed in the graph."""
        return not self.walks

    @property
    def rows(self) -> Indices:
        """The first transition of each edge, (E,)."""
        return self.known.rows[self.edge]

    @property
    def presence(self) -> Floats:
        """How often a half-trained agent is in each state of the graph, (S,)."""
        if self.graph is self.known:
            return self.known.presence
        if not self.whole:
            return self.graph.start
        return self.graph.visits(self.known.good[self.group])


@dataclass(eq=False)
class Measured:
    """What a program does on the evidence.

    Attributes:
        program: the program.
        evidence: what it was measured on.
        paid: known parts of the task.
        rows: (M,), the transitions that were looked at; those of a program with memory in as many ways as they were come to.
        total: (M,), what it paid there.
        parts: (K, M).
        corners: (K + 1, C), total and parts on made-up transitions.
        held: place of a condition -> how often it was asked, and how often it held.
    """

    program: CheckedProgram
    evidence: Evidence
    paid: list[Paid]
    corners: Floats
    rows: Indices = field(default_factory=lambda: np.zeros(0, np.int64))
    total: Floats = field(default_factory=lambda: np.zeros(0))
    parts: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    held: dict[Place, tuple[int, int]] = field(default_factory=dict)

    looks: list[tuple[Indices, Floats]] = field(default_factory=list)

    def look(self, rows: Indices, values: Floats, held: Mapping[Place, tuple[int, int]]) -> None:
        """Add what was paid in transitions, (K + 1, n), and the outcomes of conditions."""
        self.looks.append((rows, values))
        for place, (asked, yes) in held.items():
            before = self.held.get(place, (0, 0))
            self.held[place] = (before[0] + asked, before[1] + yes)

    def finish(self) -> None:
        """Put what was looked at together."""
        self.rows = np.concatenate([rows for rows, _ in self.looks])
        values = np.concatenate([values for _, values in self.looks], axis=1)
        self.total, self.parts = values[0], values[1:]
        self.looks.clear()


def measure(program: CheckedProgram, evidence: Evidence) -> Measured:
    """Evaluate a program on the evidence; of a potential, the difference that a step makes, without discount."""
    measured = Measured(program, evidence, [], _pay(program, evidence.corners)[0])
    if program.slots:
        measured.paid = [_unfolded(measured, known) for known in evidence.known]
        _follow(measured)
    else:
        values, held = _pay(program, evidence.sides())
        measured.look(np.arange(len(evidence)), values, held)
        measured.paid = [
            replace(_summed(known, values), jump=_jumps(measured, known) if known.slack else 0.0)
            for known in evidence.known
        ]
    measured.finish()
    return measured


def _pay(program: CheckedProgram, sides: Sides) -> tuple[Floats, Mapping[Place, tuple[int, int]]]:
    """Total and parts, (K + 1, N), of a program without memory, or with the memory with which episodes begin."""
    if program.form == "reward":
        out = run(program, sides)
        return np.vstack([out.total, out.parts]), out.held
    before, after = (run(program, {"state": sides[side]}) for side in ("before", "after"))
    pays = np.vstack([after.total - before.total, after.parts - before.parts])
    counts = (
        Counter({place: out.held[place][index] for place in out.held})
        for out in (before, after)
        for index in (0, 1)
    )
    asked, held, more, again = counts
    return pays, {
        place: (asked[place] + more[place], held[place] + again[place]) for place in {**asked, **more}
    }


def _summed(known: Known, values: Floats) -> Paid:
    edges = np.add.reduceat(values, known.rows[:-1], axis=1) if len(known.target) else values[:, :0]
    if (end := known.rows[-1]) < values.shape[1]:  # the last edge ends where others begin
        edges[:, -1] = values[:, known.rows[-2] : end].sum(axis=1)
    return Paid(
        known,
        known,
        np.arange(known.states),
        np.arange(len(known.first_edge) - 1),
        np.arange(len(known.target)),
        edges[0],
        edges[1:],
    )


def _jumps(measured: Measured, known: Known) -> Floats:
    """What the total pays from where edges end to the states that stand for it, beyond what it pays for standing still there."""
    evidence, last = measured.evidence, known.rows[1:] - 1
    stands_for = known.rows[known.first_edge[known.first_group[known.target]]]
    end = {name: values[last] for name, values in evidence.after.items()}
    reached = {name: values[stands_for] for name, values in evidence.before.items()}
    action = {"action": evidence.action[last]}
    moved, stayed = (
        _pay(measured.program, {"before": end, "after": after, "action": action})[0][0]
        for after in (reached, end)
    )
    return np.where(known.ends, 0.0, np.nan_to_num(moved - stayed))


def _follow(measured: Measured) -> None:
    """Recorded episodes, step by step, with their memory."""
    episodes, program, evidence = measured.evidence.episodes, measured.program, measured.evidence
    lengths, going = np.diff(episodes), episodes[:-1]
    memory = None
    for step in range(int(lengths.max(initial=0))):
        alive = lengths > step
        out = run(program, evidence.sides(going + np.minimum(step, lengths - 1)), memory)
        memory = out.memory
        rows = (going + step)[alive]
        measured.look(rows, np.vstack([out.total, out.parts])[:, alive], out.held)


def _unfolded(measured: Measured, known: Known) -> Paid:
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
        measured.look(rows, values, out.held)
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

    All edges of the states that they come to are looked at; `Paid.walks` has what each walk was paid, discounted, with the task's.
    """
    rng = np.random.default_rng(0)
    kind = np.repeat(np.arange(len(_WALKS)), _WALKERS)
    begin = np.flatnonzero(known.start)
    fresh = np.array([value for _, value in measured.program.slots])
    state, memory = begin[rng.integers(len(begin), size=len(kind))], np.tile(fresh, (len(kind), 1))
    going, returns = np.ones(len(kind), np.bool_), np.zeros(len(kind))
    discount = np.ones(len(kind))
    blocks = []
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
        knows = rng.random(len(here)) < np.array([1.0, 0.5, 0.0, 0.8])[kind[here]]
        score += _SURE * (known.good[known.group_of_edge[edges]] & knows[owner])
        score -= 2 * _SURE * (known.ends[edges] & (kind[here][owner] >= 2))
        best = np.lexsort((score, owner))[np.append(np.flatnonzero(np.diff(owner)), len(owner) - 1)]
        gone = edges[best]
        returns[here] += discount[here] * (pays[0, best] + known.task[gone])
        discount[here] *= known.gamma ** known.steps[gone]
        state[here], memory[here] = known.target[gone], after[best]
        going[here] = ~known.ends[gone]
    source, edges = (
        np.concatenate([block[0] for block in blocks]),
        np.concatenate([block[2] for block in blocks]),
    )
    pays = np.concatenate([block[3] for block in blocks], axis=1)
    paid = _closed(known, np.concatenate([block[1] for block in blocks]), source, source, edges, pays)
    graph = replace(paid.graph, ends=np.ones(len(edges), np.bool_), start=np.full(met, 1 / met))
    return replace(paid, graph=graph, walks={name: returns[kind == n] for n, name in enumerate(_WALKS)})


def _ranges(first: Indices, last: Indices) -> tuple[Indices, Indices]:
    """All numbers first[i] .. last[i] - 1, and the i of each."""
    lengths = last - first
    owner = np.repeat(np.arange(len(first)), lengths)
    return np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths) + first[
        owner
    ], owner
