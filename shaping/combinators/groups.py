"""Group baselines: an episode is judged by how much better it did than other episodes of its time.

With outcomes R_1 ... R_n of the episodes of a group, episode i is paid at its last step, and nothing before,

| form | paid | source |
|---|---|---|
| "standard" | (R_i - mean(R)) / (std(R) + 1e-8) | GRPO, Shao et al. 2024 (arXiv 2402.03300), section 4.1.2 |
| "centred" | R_i - mean(R) | the same without the deviation, Liu et al. 2025 (Dr. GRPO, arXiv 2503.20783) |
| "leave_one_out" | R_i - mean of the others | RLOO, Ahmadian et al. 2024 (arXiv 2402.14740) |

Over ``gate(...)`` this is what gated accumulation looks like with GRPO.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge
from typing_extensions import override

from shapegym.shaping.algebra import TaskReward, lift
from shapegym.shaping.arrays import as_plain, like
from shapegym.shaping.combinators.gate import Gate
from shapegym.shaping.kernels.groups import CENTRED, LEAVE_ONE_OUT, STANDARD, relative_outcomes
from shapegym.shaping.remembered import COUNTS, At, Remembers
from shapegym.shaping.terms.potential import PROGRESS
from shapegym.shaping.transitions import Array, Episodes, State
from shapegym.shaping.types import EpisodicCombinator, Example, Expression

_FORMS = {"standard": STANDARD, "centred": CENTRED, "leave_one_out": LEAVE_ONE_OUT}


@dataclass(frozen=True)
class GroupRelative(EpisodicCombinator):
    """At an episode's last step, its outcome (the sum of ``of``) relative to its group's, as GRPO and RLOO have it.

    See the module's table.

    The group of an episode are all episodes that end at the same step, and before them as many as it takes to have ``size``, whole
    steps at a time. So it depends neither on where rollouts are cut nor on the order of lanes. As long as there are fewer, it is
    smaller; an episode alone is paid 0.

    Promises nothing. "leave_one_out" is an unbiased baseline for policy gradients without discount, because nothing of the episode
    is in it, once there is another one to compare with: the first of a run, alone, is paid 0 and teaches nothing. In "standard" and
    "centred" the episode is part of its own mean. "standard" hides scale: multiplying all outcomes changes nothing, so a dense part
    that outweighs the outcome shows in no number.

    Replay: refused. A stored episode has lost its group, and off-policy learners need no baseline. Not differentiable.

    Args:
        of: what an episode earns; may be a gate.
        size: episodes that make a group.
        form: see the module's table.
    """

    of: Expression
    size: Annotated[int, Ge(2)] = 16
    form: Literal["standard", "centred", "leave_one_out"] = "standard"

    additive: ClassVar[bool] = True
    alone: ClassVar[bool] = False
    remembers: ClassVar[Remembers] = {"run/count": COUNTS, "run/batches": (At((slice(None), 0), COUNTS),)}

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        task = TaskReward()
        gated = Gate((task, PROGRESS), (0.5,))
        return (Example(cls(gated, 3)), Example(cls(task, 2, "leave_one_out")))

    @override
    def carry(self, num_lanes: int) -> State:
        """Return the outcomes of open episodes, (B,), and the latest batches of finished ones."""
        return {
            "totals": np.zeros(num_lanes),
            "run": {"batches": np.zeros((self.size, 3)), "count": np.zeros(1, dtype=np.int64)},
        }

    @override
    def combine_block(self, values: Sequence[Array], episodes: Episodes, carry: State) -> Array:
        run, paid = carry["run"], np.empty(episodes.first.shape)
        marks = (episodes.first, episodes.last, episodes.active)
        kept = (carry["totals"], run["batches"], run["count"])
        relative_outcomes(as_plain(values[0]), *marks, self.size, _FORMS[self.form], *kept, paid)
        return like(paid, values[0])


def group_relative(
    of: Expression, size: int = 16, form: Literal["standard", "centred", "leave_one_out"] = "standard"
) -> Expression:
    """Return an episode's sum of ``of`` relative to its group, paid at the last step. See `GroupRelative`."""
    return GroupRelative(lift(of), size, form)
