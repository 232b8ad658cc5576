"""What a report says in words, and how it writes numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator

from shapegym.experiments.report.evidence import Evidence
from shapegym.experiments.report.standings import SUCCESS, Leaderboard, Standing
from shapegym.experiments.report.tasks import Line
from shapegym.experiments.stats import Interval

SIGNIFICANT = 0.05


def verdict(evidence: Evidence, board: Leaderboard) -> Iterator[str]:
    """The result in a few sentences, the first one the headline."""
    best, metric = board.standings[0], "success" if board.metric == SUCCESS else "scaled task return"
    scope = f"over {_count(len(evidence.tasks), 'task')} with {evidence.seeds} seeds each"
    if len(board.standings) == 1:
        yield f"{best.contender} is the only contender: there is nothing to compare it with."
        yield f"It reaches a {metric} of {interval(_score(best, board))} {scope}."
        return
    if board.metric == SUCCESS and all(
        line.success is None or line.success.high == 0 for line in board.standings
    ):
        yield "No contender solves any task within the budget."
        yield f"All interquartile means of success are 0 {scope}; longer runs or easier tasks could tell them apart."
        return
    if board.metric != SUCCESS and all(line.task_return is None for line in board.standings):
        yield "All contenders earn the same."
        yield f"No task tells success, and all runs of a task have one task return {scope}."
        return
    base = board.of(board.baseline)
    reached = f"{interval(_score(best, board))} against {interval(_score(base, board))}"
    if best.contender == board.baseline:
        yield f"Nothing does better than {board.baseline}."
        yield f"Its {metric} is {interval(_score(best, board))} {scope}, the highest of all."
    elif best.p is None:
        yield f"{best.contender} is ahead, but shares no runs with {board.baseline} to compare."
        yield f"Its {metric} is {reached} {scope}."
    else:
        shown = best.p < SIGNIFICANT
        yield (
            f"{best.contender} does better than {board.baseline}."
            if shown
            else f"{best.contender} is ahead of {board.baseline}, but the difference is not established."
        )
        chance = interval(best.improvement) if best.improvement else "unknown"
        yield f"Its {metric} is {reached} {scope}."
        yield (
            f"A run of it beats one of {board.baseline} with probability {chance}; paired by task and seed, {p_equals(best.p)} "
            f"after Holm's correction for {_count(len(board.standings) - 1, 'comparison')}."
        )
    rivals = [
        line.contender
        for line in board.standings[1:]
        if line.contender != board.baseline and _score(line, board).high >= _score(best, board).low
    ]
    if rivals:
        others = "" if len(rivals) <= 3 else f" and {len(rivals) - 3} more"
        yield f"Its interval overlaps with that of {', '.join(rivals[:3])}{others}."
    worse = [line.contender for line in board.standings if _is_worse(line)]
    if worse:
        others = "" if len(worse) <= 3 else f" and {len(worse) - 3} more"
        yield f"Worse than {board.baseline}: {', '.join(worse[:3])}{others}."


def alarm(task: str, line: Line) -> str:
    """The sentence about a contender that is paid for something else than the task."""
    paid = number(line.shaped_return)
    return (
        f"{line.contender} on {task} is paid {paid} an episode, more than solving the task ever earned in this comparison, "
        f"but solves only {percent(line.success.estimate if line.success else None)} of the episodes."
    )


def caption(evidence: Evidence, contenders: int, what: str) -> str:
    """A caption that says what is shown, of how many seeds, and of which contenders if not of all."""
    left_out = len(evidence.contenders) - contenders
    note = (
        f" The {_count(left_out, 'contender')} that rank lower are in the tables only."
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
    return (
        f"{value:.1f} s"
        if value < 120
        else f"{minutes:.1f} min"
        if minutes < 120
        else f"{minutes / 60:.1f} h"
    )


def _score(line: Standing, board: Leaderboard) -> Interval:
    if board.metric == SUCCESS:
        return line.success or Interval(math.nan, math.nan, math.nan)
    return line.task_return or Interval(math.nan, math.nan, math.nan)


def _is_worse(line: Standing) -> bool:
    tested = line.p is not None and line.p < SIGNIFICANT
    return tested and line.improvement is not None and line.improvement.estimate < 0.5


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
