"""What nodes promise: what they leave unchanged, how much they add, and what becomes of their parts in a replay buffer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, Flag, auto


class Replay(Enum):
    """How a term's part is obtained when a stored transition is used again."""

    RECOMPUTE = "recompute"
    """Pure in the transition: the stored part is right for ever, and can be recomputed for a relabelled goal."""
    FROZEN = "frozen"
    """Measured again at sampling with the statistics of now, which sampling does not change (a weight, a lifetime count)."""
    STAMP = "stamp"
    """Depends on the order of experience: the part of collection time is kept."""


class Keeps(Flag):
    """What adding an expression to a task's reward leaves unchanged. A sum keeps what all of its operands keep."""

    NOTHING = 0
    POLICIES = auto()
    """The set of optimal policies, in every MDP."""
    ADVICE = auto()
    """The optimal actions of an agent that acts greedily on Q(s, a) + Phi(s, a) (Wiewiora et al. 2003); SB3's agents do not."""
    RETURN = auto()
    """The undiscounted return of every episode."""
    EVERYTHING = POLICIES | ADVICE | RETURN

    def __str__(self) -> str:
        shown = {
            Keeps.POLICIES: "optimal policies",
            Keeps.ADVICE: "optimal policies of an agent that acts on Q + Phi",
            Keeps.RETURN: "every episode's return",
        }
        if Keeps.POLICIES in self:
            del shown[Keeps.ADVICE]  # goes without saying
        return " and ".join(words for kept, words in shown.items() if kept in self) or "nothing"


@dataclass(frozen=True)
class Guarantee:
    """What an expression promises about the task it is added to.

    Attributes:
        keeps: what it leaves unchanged.
        bound: how much one step adds at most beside what keeps optimal policies, or None if that has no limit. Of steps that are
            paid one by one: ``pay_at_end`` pays the sum of a whole episode at its last step.
    """

    keeps: Keeps
    bound: float | None

    @property
    def name(self) -> str:
        """It in words."""
        return str(self)

    def __str__(self) -> str:
        if Keeps.POLICIES in self.keeps:
            return f"keeps {self.keeps}"
        return f"keeps {self.keeps}, " + (
            "and what a step adds has no bound"
            if self.bound is None
            else f"and a step adds at most {self.bound:g}"
        )
