"""What a report says in words, and how it writes numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from shapegym.experiments.reports.sources import Evidence
from shapegym.experiments.reports.standings import SUCCESS, Leaderboard, Standing
from shapegym.experiments.reports.tasks import TaskLine
from shapegym.experiments.stats import Interval


def verdict(evidence: Evidence, board: Leaderboard) -> Iterator[str]:
    """The result in a few sentences, the first one the headline.

    Better and worse are said only of differences that the paired test shows, and where the interval of the probability to beat the
    baseline does not hold one half. Where not all contenders have runs on all tasks,
    their scores are of different things, and nothing else is said of the order.
    """
    best, metric = board.standings[0], "success" if board.metric == SUCCESS else "scaled task return"
    told = {row.task for row in evidence.rows if board.metric != SUCCESS or row.success_rate is not None}
    scope = f"over {counted(len(told), 'task')} with {evidence.seeds} seeds each"
    if len(board.standings) == 1:
        yield f"{best.contender} is the only contender: there is nothing to compare it with."
        yield f"It reaches a {metric} of {interval(board.score(best))} {scope}."
        return
    if board.metric == SUCCESS and not any(row.success_rate for row in evidence.rows):
        yield "No contender solves any task within the budget."
        yield f"The success of all final evaluations is 0 {scope}; longer runs or easier tasks could tell them apart."
        return
    if board.metric != SUCCESS and all(line.task_return is None for line in board.standings):
        yield "All contenders earn the same."
        yield f"No task tells success, and all runs of a task have one task return {scope}."
        return
    better, worse = board.differs(1), board.differs(-1)
    leader = best if board.complete or not better else better[0]
    yield _headline(leader, board, better)
    if board.complete:
        yield from _scores(leader, board, f"{metric} is", scope)
    if leader.improvement and leader.p is not None:
        tests = sum(line.p is not None for line in board.standings)
        yield (
            f"A run of {leader.contender} beats one of {board.baseline} with probability {interval(leader.improvement)}; paired by "
            f"task and seed, {p_equals(leader.p)} after Holm's correction for {counted(tests, 'comparison')}."
        )
    if others := [line.contender for line in better if line is not leader]:
        yield f"{'Also better' if leader in better else 'Better'} than {board.baseline}: {_listed(others)}."
    if worse:
        yield f"Worse than {board.baseline}: {_listed([line.contender for line in worse])}."


def _headline(leader: Standing, board: Leaderboard, better: Sequence[Standing]) -> str:
    base = board.of(board.baseline)
    if leader in better:
        return f"{leader.contender} does better than {base.contender}."
    if not board.complete:
        return f"No contender is shown to do better than {base.contender}."
    if leader is base:
        return f"Nothing is ahead of {base.contender}."
    if leader.p is None:
        return f"{leader.contender} is ahead, but shares no runs with {base.contender} to compare."
    ours, theirs = board.score(leader), board.score(base)
    if ours and theirs and ours.estimate <= theirs.estimate:
        return f"{leader.contender} is level with {base.contender}."
    return f"{leader.contender} is ahead of {base.contender}, but the difference is not established."


def _scores(leader: Standing, board: Leaderboard, what: str, scope: str) -> Iterator[str]:
    base, ours = board.of(board.baseline), board.score(leader)
    if leader is base:
        yield f"Its {what} {interval(ours)} {scope}, the highest of all."
    else:
        yield f"Its {what} {interval(ours)} against {interval(board.score(base))} {scope}."
    rivals = [
        line.contender
        for line in board.standings
        if line not in (leader, base) and ours and (its := board.score(line)) and its.high >= ours.low
    ]
    if rivals:
        yield f"Its interval overlaps with that of {_listed(rivals)}."


_SIGNS = {
    "overpaid": "an episode was paid more than solving the task ever earned, but the task was not solved",
    "falling": "the agent was paid more and more while its task return fell",
    "flat": "pay rose and settled while the task return stayed where it was",
    "reversed": "episodes that were paid more solved the task less",
    "dominant": "a part paid several times what the task's best episode earned",
}
"""Kinds of alarm in words, the worst first."""


def alarms(line: TaskLine) -> Iterator[str]:
    """The sentences about a contender that is paid for something else than its task."""
    if line.overpaid:
        yield (
            f"{line.contender} is paid {number(line.pay)} an episode, more than solving the task ever earned "
            f"in this comparison, but solves only {percent(line.success.estimate if line.success else None)} of the episodes."
        )
    for kind, (runs, step) in line.sounded.items():
        yield f"{line.contender}: {_SIGNS.get(kind, kind)}, in {runs} of {line.seeds} runs, first at step {steps(step)}."


def alarming(tables: Iterable[tuple[str, Sequence[TaskLine]]]) -> Iterator[str]:
    """A sentence for each kind of alarm: what it says, and of whom, by the tables of all tasks."""
    places: dict[str, list[str]] = {kind: [] for kind in _SIGNS}
    for task, table in tables:
        for line in table:
            for kind in line.alarms:
                places.setdefault(kind, []).append(f"{line.contender} on {task}")
    for kind, found in places.items():
        if found:
            sign = _SIGNS.get(kind, kind)
            yield f"{sign[0].upper()}{sign[1:]}: {_listed(found)}."


def caption(evidence: Evidence, contenders: int, what: str) -> str:
    """A caption that says what is shown, of how many seeds, and of which contenders if not of all."""
    left_out = len(evidence.contenders) - contenders
    note = (
        f" The {counted(left_out, 'contender')} that rank lower are in the tables only."
        if left_out > 0
        else ""
    )
    return f"{what} {evidence.seeds} seeds for each contender and task.{note}"


def number(value: float | None) -> str:
    """Three significant digits; a dash for what is not known."""
    if value is None or math.isnan(value):
        return "–"
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return "0" if text == "-0" else text.replace("-", "−")


def score(value: float | None) -> str:
    """A score with two decimals, a large one with three digits."""
    if value is None or abs(value) >= 100:
        return number(value)
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−")


def interval(value: Interval | None) -> str:
    """An estimate and the ends of its interval."""
    if value is None:
        return "–"
    return f"{score(value.estimate)} [{score(value.low)}, {score(value.high)}]"


def percent(value: float | None) -> str:
    """A share."""
    return "–" if value is None else f"{100 * value:.0f} %"


def p_value(value: float | None) -> str:
    """A probability with two significant digits, as far as they matter."""
    if value is None:
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.2g}"


def p_equals(value: float) -> str:
    """A probability in a sentence, which does not break there: ``p = 0.03`` or ``p < 0.001``."""
    text = p_value(value)
    return f"p {text if text.startswith('<') else f'= {text}'}".replace(" ", "\N{NO-BREAK SPACE}")


def steps(value: float | None) -> str:
    """A number of steps; one that is never reached is infinite."""
    return "–" if value is None else "not reached" if math.isinf(value) else f"{value:,.0f}"


def seconds(value: float) -> str:
    """A time."""
    minutes = value / 60
    if value < 120:
        return f"{value:.1f} s"
    return f"{minutes:.1f} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def _listed(names: Sequence[str]) -> str:
    """Three of the names, and how many more there are."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def counted(count: int, noun: str) -> str:
    """A number of things: ``1 task``, ``2 tasks``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
