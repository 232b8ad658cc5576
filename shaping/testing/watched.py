"""An expression evaluated by the contract, without the engine: what the checks watch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from shapegym.shaping.arrays import map_rows
from shapegym.shaping.evaluation.program import Outputs, Program, said_by
from shapegym.shaping.promises import Replay
from shapegym.shaping.testing.recording import Bench
from shapegym.shaping.transitions import State, Transitions
from shapegym.shaping.types import Term


class Watched:
    """Terms, models and what they remember, so that what terms do to their states can be seen."""

    def __init__(self, bench: Bench) -> None:
        self.program = Program(bench.expression, bench.spec)
        self.states: list[State] = [term.init(bench.spec) for term in self.program.terms]
        self.memories = [model.init(bench.spec) for model in self.program.models]

    def outputs(
        self, transitions: Transitions, parts: np.ndarray, steps: Sequence[Transitions] = ()
    ) -> Outputs:
        """Return what the models say of ``transitions``; ``steps`` are those that a recurrent one goes through."""
        says = [said_by(model) for model in self.program.models]
        return Outputs(self.program, self.memories, says, transitions, parts, steps)

    def readings(
        self, transitions: Transitions, parts: np.ndarray, *, stored: bool = False
    ) -> Iterator[tuple[int, Term, list[Any]]]:
        """Yield every term with its inputs, of stored transitions those whose parts are measured again.

        Whoever iterates writes its parts before going on.
        """
        outputs = self.outputs(transitions, parts)
        for index, term in enumerate(self.program.terms):
            if stored and self.program.replays[index] is Replay.STAMP:
                continue
            inputs = self.program.inputs[self.program.readers.index(term)]
            yield index, term, [get(parts, outputs) for get in inputs]


def taken(transitions: Transitions, rows: np.ndarray) -> Transitions:
    """Some rows, or the same in another order."""
    return map_rows(lambda leaf: leaf[rows], transitions)
