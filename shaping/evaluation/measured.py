"""Steps that something learns from, with their parts and what models make of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from operator import itemgetter
from typing import Any

import numpy as np

from shapegym.shaping.arrays import map_rows, tree_map
from shapegym.shaping.evaluation.program import Named, Outputs, Parts, Program
from shapegym.shaping.transitions import Experience, Transitions


class MeasuredBlock:
    """A block of experience as every reader needs it: as steps, and as one batch in which models are evaluated once.

    Args:
        program: the expression.
        experience: the steps.
        parts: of every term as far as they are known, (T, B, N).
        outputs_of: evaluates the models on a batch of transitions, with these parts and made of these steps.
        said: what recurrent models said when the steps happened, by name, (T, B, ...) each.

    Attributes:
        experience: the steps, (T, B).
        parts: (N, T, B) float64, a copy to be completed in place.
        batch: the steps as one batch of T * B rows; rows that are no transitions stay in it.
        flat: ``parts`` as a view (N, T * B).
        outputs: of the models on ``batch``.
    """

    def __init__(
        self,
        program: Program,
        experience: Experience,
        parts: np.ndarray,
        outputs_of: Callable[[Transitions, Parts, Sequence[Transitions]], Outputs],
        said: Mapping[str, Mapping[str, np.ndarray]],
    ) -> None:
        self.experience = experience
        self.parts = np.moveaxis(parts, -1, 0).copy()
        self.flat = self.parts.reshape(len(self.parts), -1)
        self.batch = map_rows(_flat, experience.steps)
        recurrent = any(model.recurrent for model in program.models)
        self.outputs = outputs_of(self.batch, self.flat, self.steps if recurrent else ())
        for name, outputs in said.items():
            self.outputs.know(program.model_names.index(name), tree_map(_flat, outputs))
        self._program = program

    def inputs(self, position: int, *, flat: bool = False) -> list[Any]:
        """Return what the reader at ``position`` gets of the nodes that it reads, (T, B, ...) each, or (T * B, ...)."""
        values = [get(self.flat, self.outputs) for get in self._program.inputs[position]]
        if flat:
            return values
        shape = self.parts.shape[1:]
        return [_mapped(value, lambda rows: rows.reshape(*shape, *rows.shape[1:])) for value in values]

    @cached_property
    def steps(self) -> list[Transitions]:
        """The steps one by one, as they happened."""
        steps = [map_rows(itemgetter(t), self.experience.steps) for t in range(len(self.experience.clocks))]
        for step, clock in zip(steps, self.experience.clocks.tolist(), strict=True):
            step.clock = clock
        return steps


def at_step(value: Any, t: int) -> Any:
    """Return step ``t`` of an input (T, B, ...)."""
    return _mapped(value, lambda rows: rows[t])


def _mapped(value: Any, function: Callable[[np.ndarray], np.ndarray]) -> Any:
    return Named(value.model, tree_map(function, value)) if isinstance(value, Named) else function(value)


def _flat(values: np.ndarray) -> np.ndarray:
    return values.reshape(-1, *values.shape[2:])
