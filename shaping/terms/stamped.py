"""A value that stays as it was when the transition happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from typing_extensions import override

from shapegym.shaping.promises import Replay
from shapegym.shaping.terms.counts import CountBonus
from shapegym.shaping.terms.events import EVENT
from shapegym.shaping.transitions import State, Transitions
from shapegym.shaping.tree import largest
from shapegym.shaping.types import Elementwise, Example, Term


@dataclass(frozen=True)
class Stamped(Term):
    """``of`` as it is when the transition happens, for good: a replay buffer does not measure it again.

    Without it a bonus that fades is worth to a stored transition what it is worth now. ``Stamped(RND())`` keeps what was paid at
    first instead, as buffers do that store the bonus with the reward. The same as ``of`` wherever nothing is replayed. Bounded as
    ``of`` is. Replay: stamped.

    Args:
        of: the expression; its value must be known at each step.
    """

    of: Elementwise

    replay: ClassVar[Replay] = Replay.STAMP
    bound = property(lambda self: largest(self.of))
    named_after = property(lambda self: self.of)
    weighs = property(lambda self: self.of.weighs)

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(EVENT)), Example(EVENT * cls(CountBonus("features.event"))))

    @override
    def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        return np.array(inputs[0], dtype=np.float64)
