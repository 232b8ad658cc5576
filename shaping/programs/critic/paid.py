"""What a program paid in the known parts of a task, and whatever else was noted while it was measured."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from shapegym.shaping.programs.critic.batch import Batch, Place
from shapegym.shaping.programs.critic.evidence import Evidence
from shapegym.shaping.programs.critic.known import Floats, Graph, Indices, Known, Mask
from shapegym.shaping.programs.program import CheckedProgram


@dataclass(frozen=True, eq=False)
class Walks:
    """Walks with a memory.

    Attributes:
        solving: what those were paid that go straight to the solution, with the task's reward, discounted, (W,).
        lingering: the same of those that put the end off, by chance or near the solution.
        way: (K, L), what each part paid on the steps of those that solve the task.
    """

    solving: Floats
    lingering: Floats
    way: Floats


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
        walks: walks that were gone where not all was unfolded.
    """

    known: Known
    graph: Graph
    state: Indices
    group: Indices
    edge: Indices
    total: Floats
    parts: Floats
    jump: Floats | float = 0.0
    walks: Walks | None = None

    @property
    def whole(self) -> bool:
        """Whether ways can be followed in the graph."""
        return self.walks is None

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


@dataclass
class Moved:
    """In how many of the steps for which a distance between two features was computed it changed.

    Attributes:
        features: their names.
        steps: steps in which any feature of the same length changed.
        changed: steps in which the distance did.
    """

    features: tuple[str, str]
    steps: int = 0
    changed: int = 0


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
        moved: place of a distance between two features -> in how many steps it changed.
    """

    program: CheckedProgram
    evidence: Evidence
    paid: list[Paid]
    corners: Floats
    rows: Indices = field(default_factory=lambda: np.zeros(0, np.int64))
    total: Floats = field(default_factory=lambda: np.zeros(0))
    parts: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    held: dict[Place, tuple[int, int]] = field(default_factory=dict)

    moved: dict[Place, Moved] = field(default_factory=dict)
    looks: list[tuple[Indices, Floats]] = field(default_factory=list)

    def look(self, rows: Indices, values: Floats, *batches: Batch) -> None:
        """Add what was paid in transitions, (K + 1, n), and what the evaluations of a program there noted."""
        self.looks.append((rows, values))
        before, after = self.evidence.before, self.evidence.after
        for batch in batches:
            for place, (asked, yes) in batch.held.items():
                known = self.held.get(place, (0, 0))
                self.held[place] = (known[0] + asked, known[1] + yes)
            for place, ((one, two), mask) in batch.apart.items():
                some = rows[mask]
                like = [name for name, values in before.items() if values.shape == before[one].shape]
                gaps = [np.abs(side[one][some] - side[two][some]) for side in (before, after)]
                moved = self.moved.setdefault(place, Moved((one, two)))
                moved.steps += int(
                    np.any([_differ(before[name][some], after[name][some]) for name in like], axis=0).sum()
                )
                moved.changed += int(_differ(*gaps).sum())

    def finish(self) -> None:
        """Put what was looked at together."""
        self.rows = np.concatenate([rows for rows, _ in self.looks])
        values = np.concatenate([values for _, values in self.looks], axis=1)
        self.total, self.parts = values[0], values[1:]
        self.looks.clear()


def _differ(one: Floats, two: Floats) -> Mask:
    """In which rows two arrays (N, n) differ, (N,)."""
    return np.asarray((one != two).any(axis=1))
