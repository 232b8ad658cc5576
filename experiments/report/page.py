"""Everything that a report shows, computed: the templates only place it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from shapegym.experiments.report import figures, words
from shapegym.experiments.report.evidence import Evidence
from shapegym.experiments.report.requests import Request, requests
from shapegym.experiments.report.standings import (
    RETURN,
    SUCCESS,
    Ablation,
    Leaderboard,
    ablations,
    leaderboard,
    profiles,
)
from shapegym.experiments.report.svg import SLOTS, Chart
from shapegym.experiments.report.tasks import Line, Wait, learning, lines, waits
from shapegym.experiments.results import Row, contender
from shapegym.experiments.stats import seed_warning

RELIABLE = 0.8
"""The success rate that the second kind of survival curve waits for."""

MOST_DETAILS = 1000
"""Contenders and tasks for which a report tells parts, costs and configurations, three kilobytes each."""


@dataclass(frozen=True)
class Drawn:
    """A contender in the pictures, and its colour there."""

    contender: str
    slot: int


@dataclass(frozen=True)
class TaskSection:
    """What a report says of one task.

    Attributes:
        task: its name.
        about: environment, algorithm and budget.
        lines: its table.
        curves: pictures of learning curves.
        survivals: pictures of steps to success.
        waits: the tables beside them, by what is waited for.
        parts: for each contender a line of the table, and the picture of its parts.
        part_names: legend of these pictures, name -> slot.
    """

    task: str
    about: str
    lines: Sequence[Line]
    curves: Sequence[Chart]
    survivals: Sequence[Chart]
    waits: Mapping[str, Sequence[Wait]]
    parts: Sequence[tuple[Line, Any]]
    part_names: Mapping[str, int]


@dataclass(frozen=True)
class Cost:
    """What the runs of a contender took.

    Attributes:
        contender: what is compared.
        runs: how many of them tell.
        seconds: mean wall-clock time of a run.
        frames_per_second: mean over the runs.
        shares: section -> mean fraction of the time.
        terms: term of the reward -> mean fraction of the time.
        picture: of the shares.
    """

    contender: str
    runs: int
    seconds: float
    frames_per_second: float
    shares: Mapping[str, float]
    terms: Mapping[str, float]
    picture: Any


@dataclass(frozen=True)
class Page:
    """A report.

    Attributes:
        evidence: what it is made from.
        verdict: sentences, the headline first.
        warnings: what a reader must know.
        alarms: sentences about contenders that are paid for something else than the task.
        board: the leaderboard.
        whiskers: contender -> picture of its interval.
        drawn: who is in the pictures.
        profile: picture of the performance profiles, if a task tells success.
        tasks: a section for each.
        ablations: what leaving out a part changes.
        swept: names of the swept fields.
        costs: by contender.
        requests: by task and contender, of the best ones.
        unlisted: how many contenders have no parts, costs and requests, for want of room.
        tuning: variants that were tried for tuning: task, name, runs, budget, mean success, mean task return.
    """

    evidence: Evidence
    verdict: Sequence[str]
    warnings: Sequence[str]
    alarms: Sequence[str]
    board: Leaderboard
    whiskers: Mapping[str, Any]
    drawn: Sequence[Drawn]
    profile: Chart | None
    tasks: Sequence[TaskSection]
    ablations: Sequence[Ablation]
    swept: Sequence[str]
    costs: Sequence[Cost]
    requests: Sequence[Request]
    unlisted: int
    tuning: Sequence[tuple[str, str, int, int, float | None, float]]

    def slot(self, name: str) -> int | str:
        """The colour of a contender; ``n`` for none."""
        return next((one.slot for one in self.drawn if one.contender == name), "n")

    def caption(self, what: str) -> str:
        """A caption of pictures."""
        return words.caption(self.evidence, len(self.drawn), what)

    def table_caption(self, what: str) -> str:
        """A caption of tables, which hold all contenders."""
        return words.caption(self.evidence, len(self.evidence.contenders), what)


def compose(evidence: Evidence) -> Page:
    """Compute the whole report."""
    board = leaderboard(evidence)
    drawn = _drawn(board)
    slots = {one.contender: one.slot for one in drawn}
    listed = [line.contender for line in board.standings][: max(1, MOST_DETAILS // len(evidence.tasks))]
    sections = [_section(evidence, task, slots, listed) for task in evidence.tasks]
    fewest = min(len(rows) for rows in evidence.groups.values())
    few = seed_warning(fewest)
    uneven = "Not all contenders have runs on the same tasks: the leaderboard compares each with the baseline where both have."
    return Page(
        evidence,
        list(words.verdict(evidence, board)),
        [*evidence.warnings(), *([few] if few else []), *([] if board.complete else [uneven])],
        [text for section in sections for line in section.lines for text in words.alarms(section.task, line)],
        board,
        figures.whiskers(board, slots),
        drawn,
        figures.profile(profiles(evidence, slots), slots) if board.metric == SUCCESS else None,
        sections,
        ablations(evidence),
        sorted({field for line in board.standings for field in line.variant}),
        list(_costs(evidence, listed)),
        list(requests(evidence, listed)),
        len(board.standings) - len(listed),
        list(_tuning(evidence.tuning)),
    )


def _drawn(board: Leaderboard) -> list[Drawn]:
    """The baseline, and the best of the others."""
    others = [line.contender for line in board.standings if line.contender != board.baseline][:SLOTS]
    return [Drawn(board.baseline, 0), *(Drawn(name, slot) for slot, name in enumerate(others, start=1))]


def _section(evidence: Evidence, task: str, slots: Mapping[str, int], listed: Sequence[str]) -> TaskSection:
    table = lines(evidence, task)
    told = set(listed)
    detailed = [line for line in table if line.alarm or line.contender in told]
    rows = evidence.rows_of(task)
    budget = max(row.steps for row in rows)
    first = evidence.request(rows[0])
    about = ", ".join(
        text for text in (first.get("env", ""), first.get("algo", ""), f"{budget:,} steps a run") if text
    )
    waiting = {
        "the first success": waits(evidence, task, slots, None),
        f"{words.percent(RELIABLE)} success": waits(evidence, task, slots, RELIABLE),
    }
    names = dict.fromkeys(name for line in detailed for name in line.parts)
    part_names = {name: 1 + place % SLOTS for place, name in enumerate(names)}
    curves = [
        figures.learning(learning(evidence, task, slots, metric), slots, budget, label, task)
        for metric, label in ((SUCCESS, "success rate"), (RETURN, "task return"))
    ]
    return TaskSection(
        task,
        about,
        table,
        [chart for chart in curves if chart is not None],
        [figures.survival(found, slots, budget, event, task) for event, found in waiting.items() if found],
        {event: found for event, found in waiting.items() if found},
        figures.parts(detailed, part_names),
        part_names,
    )


def _costs(evidence: Evidence, names: Sequence[str]) -> Iterator[Cost]:
    told: dict[str, list[Mapping[str, Any]]] = {}
    for row in evidence.rows:
        if {"seconds", "frames_per_second"} <= row.costs.keys():
            told.setdefault(contender(row), []).append(row.costs)
    for name in names:
        if costs := told.get(name):
            shares = _means(costs, "shares")
            yield Cost(
                name,
                len(costs),
                fmean(cost["seconds"] for cost in costs),
                fmean(cost["frames_per_second"] for cost in costs),
                shares,
                _means(costs, "terms"),
                figures.shares(shares),
            )


def _means(costs: Sequence[Mapping[str, Any]], key: str) -> dict[str, float]:
    names = dict.fromkeys(name for cost in costs for name in cost.get(key, {}))
    return {name: fmean(cost.get(key, {}).get(name, 0.0) for cost in costs) for name in names}


def _tuning(rows: Sequence[Row]) -> Iterator[tuple[str, str, int, int, float | None, float]]:
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in sorted(rows, key=lambda row: (row.task, row.stage)):
        groups.setdefault((row.task, contender(row)), []).append(row)
    for (task, name), runs in groups.items():
        told = [row.success_rate for row in runs if row.success_rate is not None]
        yield (
            task,
            name,
            len(runs),
            max(row.steps for row in runs),
            fmean(told) if told else None,
            fmean(row.mean_return for row in runs),
        )
