"""Alarms: signs, while an agent trains, that it is paid for something else than the task.

Finished training episodes are gathered into blocks. Of each the watch knows the mean task return and the mean *pay*: the shaped
return without the parts that keep optimal policies (potentials), which no agent can exploit. Four signs are looked for:

| kind | when |
|---|---|
| ``falling`` | pay is above, and the task return below, what they were when the task went best |
| ``flat`` | pay has risen and settled, and the task return is where it was at the start |
| ``dominant`` | a part pays several times what the best episode so far got from the task |
| ``reversed`` | episodes that are paid more do worse on the task (Spearman's rank correlation) |

Differences count if they are many standard errors, so that noise does not sound an alarm, and if two blocks in a row agree. Each
kind sounds once a run. An alarm is a reason to look, not a proof.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from shapegym.shaping.tree import addends_of, guarantee_of, has_task_reward, part_names
from shapegym.shaping.types import Expression, Guarantee

BLOCKS = 50
"""Blocks of a run, if its episodes are short enough."""

MIN_EPISODES = 50
"""Of a block."""

PATIENCE = 10
"""Blocks for which the task return must not have moved."""

SURE, LIKELY = 4.0, 3.0
"""Standard errors: of a change that must not be noise, and of one that another sign confirms."""

DROP = 0.2
"""Fraction of the task return's range that counts as a fall."""

SOLVED = 0.5
"""A success rate from which a flat task return is no bad sign."""

RATIO = 3.0
"""How much more than the task's best episode a part pays if it dominates."""

REVERSED = -0.3
"""Rank correlation of pay and task return."""


@dataclass(frozen=True)
class Alarm:
    """A sign that was seen.

    Attributes:
        kind: "falling", "flat", "dominant" or "reversed".
        step: global step at which it was.
        message: what was seen, in a sentence.
    """

    kind: str
    step: int
    message: str


@dataclass(frozen=True)
class Block:
    """Consecutive finished episodes: means, and squared standard errors of the first two."""

    step: int
    task: float
    task_error: float
    pay: float
    pay_error: float
    success: float | None
    parts: Mapping[str, float]
    best: float
    rank: float


class Watch:
    """Looks at training episodes as they finish.

    Args:
        budget: global steps of the run: a fiftieth of them makes a block, if it holds enough episodes.
        harmless: names of parts that keep optimal policies; see `harmless_parts`.

    Attributes:
        alarms: those that sounded, in order.
        blocks: what was seen.
    """

    def __init__(self, budget: int, harmless: Collection[str] = ()) -> None:
        self.alarms: list[Alarm] = []
        self.blocks: list[Block] = []
        self._span = budget / BLOCKS
        self._harmless = frozenset(harmless)
        self._open: list[Mapping[str, Any]] = []
        self._start = 0

    def append(self, rows: Iterable[Mapping[str, Any]]) -> list[Alarm]:
        """Take in episodes, as ``episodes.jsonl`` has them, and return the alarms that they set off."""
        before = len(self.alarms)
        for row in rows:
            self._open.append(row)
            if len(self._open) >= MIN_EPISODES and row["step"] - self._start >= self._span:
                self.blocks.append(self._closed())
                self._open, self._start = [], row["step"]
                self._look()
        return self.alarms[before:]

    def _closed(self) -> Block:
        rows = self._open
        task = np.array([row["task_return"] for row in rows])
        pay = np.array([row["shaped_return"] - self._kept(row["parts"]) for row in rows])
        solved = [row["success"] for row in rows if row["success"] is not None]
        varied = np.ptp(task) > 0 and np.ptp(pay) > 0
        names = [name for name in rows[-1]["parts"] if name not in self._harmless]
        earlier = self.blocks[-1].best if self.blocks else 0.0
        return Block(
            step=rows[-1]["step"],
            task=float(task.mean()),
            task_error=float(task.var(ddof=1)) / len(rows),
            pay=float(pay.mean()),
            pay_error=float(pay.var(ddof=1)) / len(rows),
            success=fmean(solved) if solved else None,
            parts={name: fmean(row["parts"][name] for row in rows) for name in names},
            best=max(earlier, float(np.abs(task).max())),
            rank=_rank_correlation(pay, task) if varied else 0.0,
        )

    def _kept(self, parts: Mapping[str, float]) -> float:
        return sum(value for name, value in parts.items() if name in self._harmless)

    def _look(self) -> None:
        if len(self.blocks) < 3:
            return
        sounded = {alarm.kind for alarm in self.alarms}
        for kind, sign in _SIGNS.items():
            if kind not in sounded and (message := sign(self.blocks)):
                self.alarms.append(Alarm(kind, self.blocks[-1].step, message))


def harmless_parts(expression: Expression) -> frozenset[str]:
    """Return the names of the addends that keep optimal policies and are not the task."""
    addends = addends_of(expression)
    return frozenset(
        name
        for name, addend in zip(part_names(addends), addends, strict=True)
        if guarantee_of(addend) is Guarantee.INVARIANT and not has_task_reward(addend)
    )


def _rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    from scipy.stats import spearmanr  # takes half a second to import, and only training needs it

    return float(spearmanr(one, other).statistic)


def _falling(blocks: list[Block]) -> str:
    *_, before, now = blocks
    best = max(blocks[:-2], key=lambda block: block.task)
    span = best.task - min(block.task for block in blocks)
    for block in (before, now):
        fallen = best.task - block.task >= DROP * span and _apart(block, best, "task") <= -SURE
        if not (fallen and _apart(block, best, "pay") >= LIKELY):
            return ""
    return (
        f"the agent is paid {now.pay:.3g} an episode, more than the {best.pay:.3g} of step {best.step:,}, but its task return "
        f"fell from {best.task:.3g} to {now.task:.3g}"
    )


def _flat(blocks: list[Block]) -> str:
    start, now = blocks[0], blocks[-1]
    recent = blocks[-PATIENCE:]
    if len(blocks) <= PATIENCE or (now.success is not None and now.success >= SOLVED):
        return ""
    risen = all(_apart(block, start, "pay") >= SURE for block in recent)
    settled = _apart(now, recent[0], "pay") < LIKELY
    still = all(_apart(block, start, "task") < LIKELY for block in recent)
    if not (risen and settled and still):
        return ""
    return (
        f"the agent is paid {now.pay:.3g} an episode, more than the {start.pay:.3g} at the start and no longer rising, but its "
        f"task return is {now.task:.3g}, as at the start ({start.task:.3g})"
    )


def _dominant(blocks: list[Block]) -> str:
    now = blocks[-1]
    for name in now.parts:
        shares = [abs(block.parts.get(name, 0.0)) - RATIO * block.best for block in blocks[-PATIENCE:]]
        if len(blocks) >= PATIENCE and now.best > 0 and min(shares) > 0 and len(now.parts) > 1:
            return f"{name} pays {now.parts[name]:.3g} an episode; the best episode got {now.best:.3g} from the task"
    return ""


def _reversed(blocks: list[Block]) -> str:
    if max(block.rank for block in blocks[-2:]) > REVERSED:
        return ""
    return f"episodes that are paid more do worse on the task: rank correlation {blocks[-1].rank:.2f}"


_SIGNS: dict[str, Callable[[list[Block]], str]] = {
    "falling": _falling,
    "flat": _flat,
    "dominant": _dominant,
    "reversed": _reversed,
}


def _apart(one: Block, other: Block, what: str) -> float:
    """By how many standard errors a mean is above another."""
    error = math.sqrt(getattr(one, f"{what}_error") + getattr(other, f"{what}_error"))
    difference = getattr(one, what) - getattr(other, what)
    return difference / error if error > 0 else math.copysign(math.inf, difference) if difference else 0.0
