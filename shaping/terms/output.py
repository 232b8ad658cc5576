"""What a model says, as a part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from typing_extensions import override

from shapegym.shaping.errors import ObservationError, UnknownNameError, suggest
from shapegym.shaping.limits import Natural
from shapegym.shaping.models.encoder import RandomEncoder
from shapegym.shaping.models.sight import Sight
from shapegym.shaping.promises import Replay
from shapegym.shaping.transitions import Spec, State, Transitions
from shapegym.shaping.types import Example, Model, Term


@dataclass(frozen=True)
class ModelOutput(Term):
    """One number that a model makes of each transition: a column of one of its outputs, as it is.

    Args:
        model: what makes it.
        output: which of the model's outputs; "" is the first.
        column: of an output (B, d), counted from 0.
    """

    model: Model
    output: str = ""
    column: Natural = 0

    replay: ClassVar[Replay] = Replay.FROZEN

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(RandomEncoder(width=3, hidden=8), column=2)),
            Example(cls(RandomEncoder(Sight(("features.progress",)), "before", width=2, hidden=8), "code")),
        )

    @override
    def init(self, spec: Spec) -> State:
        """Raise `UnknownNameError` if the model has no such output."""
        names: tuple[str, ...] = self.model.outputs
        if self.output and self.output not in names:
            raise UnknownNameError(
                f"ModelOutput: {type(self.model).__name__} has no output {self.output!r}.{suggest(self.output, names)}"
            )
        return {}

    @override
    def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        values = inputs[0][self.output or next(iter(inputs[0]))]
        columns = values.reshape(len(values), -1)
        if self.column >= columns.shape[1]:
            raise ObservationError(
                f"ModelOutput: the output has {columns.shape[1]} column(s), so there is no column {self.column}."
            )
        return columns[:, self.column].astype(np.float64)
