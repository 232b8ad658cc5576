"""What a program is judged by: transitions that happened, parts of the task that are known, and made-up extremes. Arrays only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapegym.shaping.programs.critic.batch import Sides
from shapegym.shaping.programs.critic.finding import Shown
from shapegym.shaping.programs.critic.known import Indices, Known, Mask, value_of
from shapegym.shaping.programs.program import CheckedProgram

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Evidence:
    """N transitions, and what is known of the task around them.

    Attributes:
        before: feature -> (N,) or (N, n), of the state before the step.
        after: the same of the state after it.
        action: (N,) or (N, n).
        reward: (N,), the task's.
        terminated: (N,) bool.
        success: (N,) bool.
        known: parts of the task whose steps are among the transitions; none where nothing can be tried twice.
        episodes: (M + 1,), transitions episodes[i] .. episodes[i + 1] - 1 were recorded one after the other, from a start.
        corners: sides as programs read them, of transitions that were made up from the limits of features; they may be impossible.
        actions: what actions are called, from ``first_action`` on; empty where they have no names.
        first_action: the number of the first.
        notes: what is not known, in sentences.
    """

    before: Mapping[str, Array]
    after: Mapping[str, Array]
    action: Array
    reward: NDArray[np.float64]
    terminated: Mask
    success: Mask
    known: tuple[Known, ...] = ()
    episodes: Indices = field(default_factory=lambda: np.zeros(1, np.int64))
    corners: Sides = field(default_factory=dict)
    actions: tuple[str, ...] = ()
    first_action: int = 0
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """N."""
        return len(self.reward)

    def sides(self, rows: Indices | slice = slice(None)) -> Sides:
        """Transitions as programs read them."""
        return {
            "before": {name: values[rows] for name, values in self.before.items()},
            "after": {name: values[rows] for name, values in self.after.items()},
            "action": {"action": self.action[rows]},
        }

    @property
    def scale(self) -> float:
        """The largest reward of the task among the transitions; 1 where it paid none."""
        return float(np.abs(self.reward).max(initial=0.0)) or 1.0

    def shown(self, program: CheckedProgram, row: int, pays: float) -> Shown:
        """Return a transition as far as a program looks at it."""
        names = program.features
        before = {name: value_of(self.before[name], row) for name in names if name in self.before}
        after = {name: value_of(self.after[name], row) for name in names if name in self.after}
        return Shown(before, self.action_in_words(row), after, float(pays))

    def action_in_words(self, row: int) -> str:
        """What was done in a transition."""
        value = value_of(self.action, row)
        if self.actions and not isinstance(value, tuple):
            return repr(self.actions[round(value) - self.first_action])
        return f"action {value if isinstance(value, tuple) else format(value, 'g')}"
