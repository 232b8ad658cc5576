"""Everything that a report shows, computed: the templates only place it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from shapegym.experiments.reports import figures, words
from shapegym.experiments.reports.requests import ContenderRequest, requests
from shapegym.experiments.reports.sources import Evidence
from shapegym.experiments.reports.standings import (
    RETURN,
    SUCCESS,
    Ablation,
    Leaderboard,
    ablations,
    leaderboard,
    profiles,
)
from shapegym.experiments.reports.svg import SLOTS, Chart
from shapegym.experiments.reports.tasks import TaskLine, Wait, learning, lines, waits
from shapegym.experiments.stats import seed_warning
from shapegym.experiments.sweeps.results import ResultRow, contender

MOST_DETAILS = 1000
"""Contenders and tasks for which a report tells parts, costs and configurations, three kilobytes each."""


@dataclass(frozen=True)
class Drawn:
    """A contender in the pictures, and its colour there."""

    contender: str
    slot: int


@dataclass(frozen=True)
class TaskSection:
    """What a report says of one task."""

    task: str  # its name
    about: str  # environment, algorithm and budget
    lines: Sequence[TaskLine]  # its table
    alarms: Sequence[str]  # sentences about contenders that are paid for something else than the task
    curves: Sequence[Chart]  # pictures of learning curves
    survivals: Sequence[Chart]  # pictures of steps to success
    waits: Mapping[str, Sequence[Wait]]  # the tables beside them, by what is waited for
    # for each contender a line of the table, and the picture of its parts
    parts: Sequence[tuple[TaskLine, Any]]
    part_names: Mapping[str, int]  # legend of these pictures, name -> slot


@dataclass(frozen=True)
class Cost:
    """What the runs of a contender took."""

    contender: str  # what is compared
    runs: int  # how many of them tell
    seconds: float  # mean wall-clock time of a run
    frames_per_second: float  # mean over the runs
    shares: Mapping[str, float]  # section -> mean fraction of the time
    terms: Mapping[str, float]  # term of the reward -> mean fraction of the time
    picture: Any  # of the shares


@dataclass(frozen=True)
class Page:
    """A report."""

    evidence: Evidence  # what it is made from
    verdict: Sequence[str]  # sentences, the headline first
    warnings: Sequence[str]  # what a reader must know
    alarms: Sequence[str]  # a sentence for each kind of alarm; the sections of the tasks say more
    board: Leaderboard  # the leaderboard
    whiskers: Mapping[str, Any]  # contender -> picture of its interval
    drawn: Sequence[Drawn]  # who is in the pictures
    profile: Chart | None  # picture of the performance profiles, if a task tells success
    tasks: Sequence[TaskSection]  # a section for each
    ablations: Sequence[Ablation]  # what leaving out a part changes
    swept: Sequence[str]  # names of the swept fields
    costs: Sequence[Cost]  # by contender
    requests: Sequence[ContenderRequest]  # by task and contender, of the best ones
    unlisted: int  # how many contenders have no parts, costs and requests, for want of room
    # variants that were tried for tuning: task, name, runs, budget, mean success, mean task return
    tuning: Sequence[tuple[str, str, int, int, float | None, float]]

    @property
    def solving(self) -> Mapping[str, Sequence[Wait | None]]:
        """Contender -> its steps until tasks are solved, task by task; empty unless there are several and all tell success."""
        event = solved(self.evidence)
        if len(self.tasks) < 2 or not all(event in section.waits for section in self.tasks):
            return {}
        found = [{wait.contender: wait for wait in section.waits[event]} for section in self.tasks]
        return {
            line.contender: [waits.get(line.contender) for waits in found] for line in self.board.standings
        }

    def caption(self, what: str) -> str:
        """A caption of pictures."""
        return words.caption(self.evidence, len(self.drawn), what)

    def table_caption(self, what: str) -> str:
        """A caption of tables, which hold all contenders."""
        return words.caption(self.evidence, len(self.evidence.contenders), what)


def solved(evidence: Evidence) -> str:
    """What reports wait for, in words."""
    return f"{words.percent(evidence.plan.solved)} success"


def compose(evidence: Evidence) -> Page:
    """Compute the whole report."""
    board = leaderboard(evidence)
    others = [line.contender for line in board.standings if line.contender != board.baseline][:SLOTS]
    slots = {name: slot for slot, name in enumerate([board.baseline, *others])}
    ranked = [line.contender for line in board.standings]
    listed = ranked[: max(1, MOST_DETAILS // len(evidence.tasks))]
    sections = [_section(evidence, task, slots, ranked, set(listed)) for task in evidence.tasks]
    few = seed_warning(min(map(len, evidence.groups.values())))
    uneven = "Not all contenders have runs on the same tasks: the leaderboard compares each with the baseline where both have."
    return Page(
        evidence,
        list(words.verdict(evidence, board)),
        [*evidence.warnings(), *([few] if few else []), *([] if board.complete else [uneven])],
        list(words.alarming((section.task, section.lines) for section in sections)),
        board,
        figures.whiskers(board, slots),
        [Drawn(name, slot) for name, slot in slots.items()],
        figures.profile(profiles(evidence, slots), slots) if board.metric == SUCCESS else None,
        sections,
        ablations(evidence),
        sorted({field for line in board.standings for field in line.variant}),
        list(_costs(evidence, listed)),
        list(requests(evidence, listed)),
        len(board.standings) - len(listed),
        list(_tuning(evidence.tuning)),
    )


def _section(
    evidence: Evidence, task: str, slots: Mapping[str, int], ranked: Sequence[str], listed: Collection[str]
) -> TaskSection:
    table, rows = lines(evidence, task), evidence.rows_of(task)
    detailed = [line for line in table if line.alarms or line.contender in listed]
    budget, first = max(row.steps for row in rows), evidence.request(rows[0])
    about = (first.get("env", ""), first.get("algo", ""), f"{budget:,} steps a run")
    events = {"the first success": None, solved(evidence): evidence.plan.solved}
    waiting = {
        event: found for event, rate in events.items() if (found := waits(evidence, task, ranked, rate))
    }
    names = dict.fromkeys(name for line in detailed for name in line.parts)
    part_names = {name: 1 + place % SLOTS for place, name in enumerate(names)}
    return TaskSection(
        task,
        ", ".join(filter(None, about)),
        table,
        [text for line in table for text in words.alarms(line)],
        [
            figures.learning(seen, slots, budget, label, task)
            for metric, label in ((SUCCESS, "success rate"), (RETURN, "task return"))
            if (seen := learning(evidence, task, slots, metric))
        ],
        [
            figures.survival([wait for wait in found if wait.contender in slots], slots, budget, event, task)
            for event, found in waiting.items()
        ],
        waiting,
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


def _tuning(rows: Sequence[ResultRow]) -> Iterator[tuple[str, str, int, int, float | None, float]]:
    groups: dict[tuple[str, str], list[ResultRow]] = {}
    for row in sorted(rows, key=lambda row: (row.task, row.stage)):
        groups.setdefault((row.task, contender(row)), []).append(row)
    for (task, name), runs in groups.items():
        told = [row.success_rate for row in runs if row.success_rate is not None]
        success, earned = fmean(told) if told else None, fmean(row.mean_return for row in runs)
        yield task, name, len(runs), max(row.steps for row in runs), success, earned
