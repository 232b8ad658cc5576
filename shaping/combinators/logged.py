"""What is logged and not paid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from typing_extensions import override

from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.arrays import array_namespace
from shapegym.shaping.combinators.gate import Gate
from shapegym.shaping.promises import Keeps
from shapegym.shaping.terms.events import EVENT
from shapegym.shaping.terms.potential import PROGRESS
from shapegym.shaping.transitions import Array
from shapegym.shaping.types import Combinator, Example, Expression

_TASK = TaskReward()


@dataclass(frozen=True)
class Logged(Combinator):
    """0, and ``of`` in the books, the logs and ``info["reward_parts"]``: a number to watch that nobody is paid.

        TaskReward() + Logged(StateReward("features.speed").named("speed"))

    What stands around it changes neither: under ``0.1 * (...)``, a clip or a gate it still adds 0, and ``of`` is logged as it is.
    So the parts of ``info`` add up to the shaped reward without those that are logged. Keeps everything. A factor it cannot be,
    because a product with 0 would pay nothing: ``Logged(a * b)``.

    Args:
        of: what is logged, which may be known in hindsight (a gate, say).
    """

    of: Expression

    paid: ClassVar[bool] = False

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(_TASK + cls(EVENT)),
            Example(0.5 * (_TASK + cls(3.0 * PROGRESS).named("three"))),
            Example(_TASK + cls(Gate((_TASK, PROGRESS), (0.5,)))),
            Example(cls(_TASK)),
        )

    @override
    def combine(self, values: Sequence[Array]) -> Array:
        return array_namespace(values[0]).zeros_like(values[0])

    @override
    def pays_task(self, times: Sequence[int]) -> int:
        return 0

    @override
    def compose_keeps(self, kept: Sequence[Keeps]) -> Keeps:
        return Keeps.EVERYTHING

    @override
    def compose_bound(self, bounds: Sequence[float | None]) -> float:
        return 0.0

    @override
    def leave_one_out(self) -> Iterator[tuple[Expression, Expression | None]]:
        """Nothing: the reward is the same without it."""
        return iter(())
