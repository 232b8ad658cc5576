"""Alarms: signs, while an agent trains, that it is paid for something else than the task.

Finished training episodes are gathered into blocks. Of each the watch knows the mean task return and the mean *pay*: the shaped
return without the parts that keep optimal policies (potentials), which no agent can exploit. Four signs are looked for:

| kind | when |
|---|---|
| ``falling`` | pay is above, and the task return or the success rate below, what they were when the task went best |
| ``flat`` | pay has risen and settled, and the task return is where it was at the start |
| ``dominant`` | a part pays several times what the best episode so far got from the task |
| ``reversed`` | episodes that are paid more solve the task less (rank correlation with success, or else with the return) |

Differences count if they are several standard errors, over spans of 2, 4 or 8 blocks, so that noise sounds no alarm. Each kind
sounds once a run. An alarm is a reason to look, not a proof.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from shapegym.shaping.promises import Keeps
from shapegym.shaping.tree import addends_of, has_task_reward, keeps_of, part_names
from shapegym.shaping.types import Expression

BLOCKS = 100
"""Blocks of a run, if its episodes are short enough."""

MIN_EPISODES = 20
"""Of a block."""

WIDTHS = (2, 4, 8)
"""Blocks of the spans that are compared: short ones notice a collapse early, long ones a slow decline."""

PATIENCE, FEWEST = 0.2, 4
"""Fraction of the budget for which the task return must not have moved, and how many blocks that is at least."""

SURE, LIKELY = 3.5, 3.0
"""Standard errors: of a change of the task or of ranks, and of one of pay."""

DROP = 0.2
"""Fraction of its range by which the task return must be lower to count as fallen."""

SOLVED = 0.5
"""A success rate from which a flat task return is no bad sign."""

RATIO = 3.0
"""How much more than the task's best episode a part pays if it dominates."""

REVERSED = -0.2
"""Rank correlation of pay and success."""

_ROUNDING = 1e-9
"""Share of what is added up in an episode below which pay is rounding error."""


@dataclass(frozen=True)
class Alarm:
    """A sign that was seen: its kind (of the table above), at which global step, and what was seen, in a sentence."""

    kind: str
    step: int
    message: str


@dataclass(frozen=True)
class Span:
    """Consecutive finished episodes.

    Attributes:
        step: global step at its end.
        episodes: how many.
        means: of "task" (return), "pay" and, where the task tells, "success".
        errors: squared standard errors of the means.
        parts: mean of each part that is not harmless.
        best: highest absolute task return of an episode so far, as the reward pays it.
        rank: Spearman's correlation of pay and success (or task return); 0 where one of them does not vary.
        surprise: the same in standard errors of a correlation of 0.
    """

    step: int
    episodes: int
    means: Mapping[str, float]
    errors: Mapping[str, float]
    parts: Mapping[str, float]
    best: float
    rank: float
    surprise: float


class Watch:
    """Looks at training episodes as they finish.

    Args:
        budget: global steps of the run: a hundredth of them makes a block, if it holds enough episodes.
        harmless: names of parts that keep optimal policies; see `harmless_parts`.
        task: names of parts that are the task reward, scaled perhaps; see `task_parts`. If there are none, what an episode got
            from the task is its task return.

    Attributes:
        alarms: those that sounded, in order.
        blocks: what was seen.
    """

    def __init__(self, budget: int, harmless: Collection[str] = (), task: Collection[str] = ()) -> None:
        self.alarms: list[Alarm] = []
        self.blocks: list[Span] = []
        self._budget = budget
        self._harmless = frozenset(harmless)
        self._task = frozenset(task)
        self._open: list[Mapping[str, Any]] = []
        self._start = 0

    def append(self, rows: Iterable[Mapping[str, Any]]) -> list[Alarm]:
        """Take in episodes, as ``episodes.jsonl`` has them, and return the alarms that they set off."""
        before = len(self.alarms)
        for row in rows:
            self._open.append(row)
            if len(self._open) >= MIN_EPISODES and row["step"] - self._start >= self._budget / BLOCKS:
                self.blocks.append(self._closed())
                self._open, self._start = [], row["step"]
                self._look()
        return self.alarms[before:]

    def _closed(self) -> Span:
        rows = self._open
        columns = {
            "task": np.array([row["task_return"] for row in rows]),
            "pay": self._pay(rows),
            "success": np.array([row["success"] for row in rows if row["success"] is not None], np.float64),
        }
        columns = {name: values for name, values in columns.items() if len(values) == len(rows)}
        task, pay = columns["task"], columns["pay"]
        outcome = columns.get("success", task)
        rank = _rank_correlation(pay, outcome) if np.ptp(outcome) > 0 and np.ptp(pay) > 0 else 0.0
        names = [name for name in rows[-1]["parts"] if name not in self._harmless]
        return Span(
            step=rows[-1]["step"],
            episodes=len(rows),
            means={name: float(values.mean()) for name, values in columns.items()},
            errors={name: float(values.var(ddof=1)) / len(rows) for name, values in columns.items()},
            parts={name: fmean(row["parts"][name] for row in rows) for name in names},
            best=max(self.blocks[-1].best if self.blocks else 0.0, *map(self._earned, rows)),
            rank=rank,
            surprise=rank * math.sqrt(len(rows) - 1),
        )

    def _pay(self, rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Shaped returns without the harmless parts, as exact as sums of such size are."""
        shaped = np.array([row["shaped_return"] for row in rows])
        kept = np.array(
            [[row["parts"][name] for name in row["parts"] if name in self._harmless] for row in rows]
        )
        pay = shaped - kept.sum(axis=1)
        unit = _ROUNDING * float((np.abs(shaped) + np.abs(kept).sum(axis=1)).max())
        return np.round(pay / unit) * unit if unit > 0 else pay

    def _earned(self, row: Mapping[str, Any]) -> float:
        """What an episode got from the task."""
        paid = [value for name, value in row["parts"].items() if name in self._task]
        return abs(sum(paid) if paid else row["task_return"])

    @property
    def _patience(self) -> int:
        """How many blocks `PATIENCE` is: fewer where episodes are so long that a block is more than its share of the budget."""
        block = self.blocks[-1].step / len(self.blocks)
        return max(FEWEST, round(PATIENCE * self._budget / block))

    def _look(self) -> None:
        sounded = {alarm.kind for alarm in self.alarms}
        for kind, sign in _SIGNS.items():
            if kind not in sounded and (message := sign(self.blocks, self._patience)):
                self.alarms.append(Alarm(kind, self.blocks[-1].step, message))


def harmless_parts(expression: Expression) -> frozenset[str]:
    """Return the names of the addends that keep optimal policies and are not the task."""
    return _invariant_parts(expression, task=False)


def task_parts(expression: Expression) -> frozenset[str]:
    """Return the names of the addends that are the task reward, scaled perhaps."""
    return _invariant_parts(expression, task=True)


def _invariant_parts(expression: Expression, *, task: bool) -> frozenset[str]:
    addends = addends_of(expression)
    return frozenset(
        name
        for name, addend in zip(part_names(addends), addends, strict=True)
        if addend.paid and Keeps.POLICIES in keeps_of(addend) and has_task_reward(addend) is task
    )


def _rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    from scipy.stats import spearmanr  # takes half a second to import, and only training needs it

    return float(spearmanr(one, other).statistic)


def _span(blocks: Sequence[Span]) -> Span:
    """Several blocks as one."""
    total = sum(block.episodes for block in blocks)
    weights = [block.episodes / total for block in blocks]

    def mean(name: str, of: str, power: int = 1) -> float:
        return sum(
            weight**power * getattr(block, of)[name] for weight, block in zip(weights, blocks, strict=True)
        )

    last = blocks[-1]
    return Span(
        step=last.step,
        episodes=total,
        means={name: mean(name, "means") for name in last.means},
        errors={name: mean(name, "errors", 2) for name in last.means},
        parts={name: mean(name, "parts") for name in last.parts},
        best=last.best,
        rank=sum(weight * block.rank for weight, block in zip(weights, blocks, strict=True)),
        surprise=sum(block.surprise for block in blocks) / math.sqrt(len(blocks)),
    )


def _falling(blocks: list[Span], _patience: int) -> str:
    for width in WIDTHS:
        now = _span(blocks[-width:])
        earlier = [_span(blocks[end - width : end]) for end in range(width, len(blocks) - width + 1)]
        for what, words in (("task", "task return"), ("success", "success rate")):
            if not earlier or what not in now.means:
                continue
            best = max(earlier, key=lambda span: span.means[what])
            lowest = min(span.means[what] for span in (*earlier, now))
            if (
                best.means[what] - now.means[what] >= DROP * (best.means[what] - lowest)
                and _apart(now, best, what) <= -SURE
                and _apart(now, best, "pay") >= LIKELY
            ):
                return (
                    f"the agent is paid {now.means['pay']:.3g} an episode, more than the {best.means['pay']:.3g} before step "
                    f"{best.step:,}, but its {words} fell from {best.means[what]:.3g} to {now.means[what]:.3g}"
                )
    return ""


def _flat(blocks: list[Span], patience: int) -> str:
    if len(blocks) < patience + WIDTHS[0]:
        return ""
    start, half = _span(blocks[: WIDTHS[0]]), patience // 2
    before, now = _span(blocks[-patience:-half]), _span(blocks[-half:])
    risen = min(_apart(span, start, "pay") for span in (before, now)) >= SURE
    still = max(_apart(span, start, "task") for span in (before, now)) < LIKELY
    if not (
        risen and still and _apart(now, before, "pay") < LIKELY and now.means.get("success", 0.0) < SOLVED
    ):
        return ""
    return (
        f"the agent is paid {now.means['pay']:.3g} an episode, more than the {start.means['pay']:.3g} at the start and no longer "
        f"rising, but its task return is {now.means['task']:.3g}, as at the start ({start.means['task']:.3g})"
    )


def _dominant(blocks: list[Span], patience: int) -> str:
    recent = _span(blocks[-patience:])
    if len(blocks) < patience or len(recent.parts) < 2 or recent.best == 0:
        return ""
    name = max(recent.parts, key=lambda name: abs(recent.parts[name]))
    if abs(recent.parts[name]) <= RATIO * recent.best:
        return ""
    return f"{name} pays {recent.parts[name]:.3g} an episode; the best episode got {recent.best:.3g} from the task"


def _reversed(blocks: list[Span], _patience: int) -> str:
    for width in WIDTHS:
        span = _span(blocks[-width:])
        if len(blocks) >= width and span.rank <= REVERSED and span.surprise <= -SURE:
            return f"episodes that are paid more solve the task less: rank correlation {span.rank:.2f}"
    return ""


_SIGNS: dict[str, Callable[[list[Span], int], str]] = {
    "falling": _falling,
    "flat": _flat,
    "dominant": _dominant,
    "reversed": _reversed,
}


def _apart(one: Span, other: Span, what: str) -> float:
    """By how many standard errors a mean is above another."""
    here, there = one.means[what], other.means[what]
    if math.isclose(here, there, rel_tol=1e-9, abs_tol=1e-9):  # rounding, not evidence
        return 0.0
    error, difference = math.sqrt(one.errors[what] + other.errors[what]), here - there
    return difference / error if error > 0 else math.copysign(math.inf, difference)
