"""Reports and comparisons of sweeps, from hand-made results."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_scale import STRATEGIES, make_plan, make_row, make_sweep, write_sweep
from scipy.stats import trim_mean
from typer.testing import CliRunner

from shapegym.experiments.cli import app
from shapegym.experiments.errors import RunError
from shapegym.experiments.reports import page as page_module
from shapegym.experiments.reports import report
from shapegym.experiments.reports.comparison import compare
from shapegym.experiments.reports.page import compose
from shapegym.experiments.reports.requests import command
from shapegym.experiments.reports.sources import gather
from shapegym.experiments.reports.standings import ablations, leaderboard
from shapegym.experiments.reports.svg import SLOTS, bars, staircase, ticks
from shapegym.experiments.reports.tasks import learning, lines, waits
from shapegym.experiments.runs import run as running
from shapegym.experiments.stats import holm, log_rank, paired_test
from shapegym.experiments.sweeps.plan import Job, Plan
from shapegym.experiments.sweeps.results import CURVES, INDEX, ResultRow
from shapegym.experiments.sweeps.search import halving, parse_axes
from shapegym.experiments.sweeps.workspace import FAILURES, PLAN

Edit = Callable[[ResultRow], ResultRow]


def sweep(
    folder: Path, edit: Edit = lambda row: row, *, tasks: int = 2, seeds: int = 5, title: str = "Title"
) -> Path:
    """A finished sweep of the five strategies whose rows went through ``edit``."""
    plan, rng = make_plan(tasks, seeds, title=title), np.random.default_rng(0)
    write_sweep(folder, plan, [edit(make_row(job, rng)) for job in plan.jobs])
    return folder


def scored(**success: float) -> Edit:
    """Success of each strategy, the same on every task, a little apart from seed to seed."""

    def edit(row: ResultRow) -> ResultRow:
        rate = success.get(row.strategy.replace("-", "_"), 0.0)
        rate = min(rate + 0.01 * row.seed, 1.0) if rate else 0.0
        return replace(row, success_rate=rate, mean_return=rate)

    return edit


def of_strategies(folder: Path, names: set[str], edit: Edit = lambda row: row) -> Path:
    """A sweep of some strategies."""
    plan, rng = make_plan(2, 5), np.random.default_rng(0)
    jobs = tuple(job for job in plan.jobs if job.strategy in names)
    write_sweep(folder, Plan("some", "Some", jobs), [edit(make_row(job, rng)) for job in jobs])
    return folder


class Page(HTMLParser):
    """Collects tags and what they refer to, and checks that they are closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        known = dict(attrs)
        self.links += [known[name] or "" for name in ("href", "src", "srcset", "action") if name in known]
        if "id" in known:
            assert known["id"] not in self.ids
            self.ids.add(known["id"] or "")
        if tag not in {"meta", "link", "br"}:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def written(folder: Path) -> tuple[str, str]:
    page = report(folder)
    return page.read_text(), page.with_suffix(".md").read_text()


def test_a_report_is_one_file_that_asks_nothing_of_the_network(tmp_path):
    html, _ = written(sweep(tmp_path))
    page = Page(html)
    assert not page.tags & {"script", "iframe", "img", "object", "form"}
    assert {link.partition(":")[0] if ":" in link else link[:1] for link in page.links} == {"#", "data"}
    assert {link[1:] for link in page.links if link.startswith("#")} <= page.ids
    assert "url(" not in html
    assert "@import" not in html
    for picture in re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL):
        ElementTree.fromstring(picture)
        assert "nan" not in picture
        assert "inf" not in picture


def test_a_report_says_everything_that_was_asked_of_it(tmp_path):
    folder = sweep(tmp_path)
    for text in written(folder):
        for heading in ("Leaderboard", "task0", "task1", "Ablation", "Cost", "Configuration"):
            assert heading in text
        for strategy in STRATEGIES:
            assert strategy in text.replace("\\", "")
        assert "5 seeds" in text
        assert "shapegym train shapegym/MiniGrid-DoorKey-6x6-v0" in text
        assert "intervals are wide" in text


def test_when_tasks_were_solved_stands_in_one_table_for_all_contenders(tmp_path, monkeypatch):
    monkeypatch.setattr(page_module, "SLOTS", 2)  # fewer pictures than contenders
    folder = sweep(tmp_path, scored(potential=0.9))
    evidence = gather(folder)
    table = compose(evidence).solving
    assert set(table) == set(STRATEGIES)
    for name, told in table.items():
        alone = [waits(evidence, task, [name], 0.8)[0] for task in evidence.tasks]
        assert [(wait.reached, wait.seeds) for wait in told] == [(wait.reached, wait.seeds) for wait in alone]
    for text in written(folder):
        assert "Steps to 80 % success" in text.replace("\u202f", " ").replace("\xa0", " ")
    assert compose(gather(sweep(tmp_path / "one", tasks=1))).solving == {}


def test_the_same_results_make_the_same_report(tmp_path):
    folder = sweep(tmp_path)
    assert written(folder) == written(folder)


def test_rows_of_a_markdown_table_have_the_columns_of_its_head(tmp_path):
    _, text = written(sweep(tmp_path, title="a | b"))
    tables = [block for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) > 8
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_text_from_outside_stays_text(tmp_path):
    evil = '<script>alert("&")</script>'
    folder = sweep(
        tmp_path,
        lambda row: replace(row, parts={**row.parts, evil: 0.5}, costs={**row.costs, "terms": {evil: 0.1}}),
        title=evil,
    )
    lost = make_plan(2, 6).jobs[-1]
    (folder / FAILURES).write_text(json.dumps({"id": lost.id, "message": evil}) + "\n")
    plan = make_plan(2, 6, title=evil)
    (folder / PLAN).write_text(
        "".join(json.dumps({"id": job.id, "digest": job.digest, **asdict(job)}) + "\n" for job in plan.jobs)
    )
    html, text = written(folder)
    assert "<script" not in html
    assert "<script" not in text.replace("\\<", "")
    assert Page(html).text.count(evil) >= 4


def test_the_leaderboard_agrees_with_its_definitions(tmp_path):
    evidence = gather(sweep(tmp_path))
    board = leaderboard(evidence)
    scores = {
        name: {(row.task, row.seed): row.success_rate for row in evidence.rows if row.strategy == name}
        for name in STRATEGIES
    }
    assert [line.contender for line in board.standings] == [
        "potential",
        "count",
        "potential-without-task_reward",
        "sparse",
        "misleading",
    ]
    others = [name for name in STRATEGIES if name != "sparse"]
    p = holm([paired_test(scores[name], scores["sparse"]).p for name in others])
    for name, expected in zip(others, p, strict=True):
        assert board.of(name).p == expected
    for line in board.standings:
        values = list(scores[line.contender].values())
        assert line.success.estimate == pytest.approx(trim_mean(values, 0.25))
        assert line.success.low <= line.success.estimate <= line.success.high
        assert (line.tasks, line.runs) == (2, 10)
    assert board.of("sparse").p is None
    assert board.of("sparse").improvement is None
    wins = [
        np.mean([(x > y) + 0.5 * (x == y) for x in ours for y in theirs])
        for ours, theirs in (
            ([scores[name][task, seed] for seed in range(5)] for name in ("count", "sparse"))
            for task in ("task0", "task1")
        )
    ]
    assert board.of("count").improvement.estimate == pytest.approx(np.mean(wins))


def test_task_returns_count_on_a_scale_of_each_task(tmp_path):
    def edit(row: ResultRow) -> ResultRow:
        large = 1000.0 if row.task == "task1" else 1.0
        return replace(row, mean_return=large * (2.0 if row.strategy == "count" else row.seed / 4 - 1))

    board = leaderboard(gather(sweep(tmp_path, edit)))
    assert board.of("count").task_return.estimate == 1.0
    assert board.of("sparse").task_return.estimate == pytest.approx(
        trim_mean(np.repeat(np.arange(5) / 12, 2), 0.25)
    )


def test_a_task_where_all_earn_the_same_tells_nobody_apart(tmp_path):
    def edit(row: ResultRow) -> ResultRow:
        return replace(row, mean_return=0.5 if row.task == "task1" else float(row.strategy == "count"))

    board = leaderboard(gather(sweep(tmp_path, edit)))
    assert board.of("count").task_return.estimate == 1.0
    assert board.of("sparse").task_return.estimate == 0.0


def test_all_the_same_is_said_so(tmp_path):
    folder = sweep(tmp_path, lambda row: replace(row, success_rate=None, mean_return=-1.0))
    page = compose(gather(folder))
    assert page.verdict[0] == "All contenders earn the same."
    assert {line.task_return for line in page.board.standings} == {None}
    assert all("earn the same" in text for text in written(folder))


@pytest.mark.parametrize(
    ("success", "headline", "sentence"),
    [
        (
            {"sparse": 0.2, "potential": 0.9},
            "potential does better than sparse.",
            "0.92 [0.64, 0.94] against",
        ),
        (
            {"sparse": 0.9, "potential": 0.2},
            "Nothing is ahead of sparse.",
            "Worse than sparse: potential",
        ),
        ({}, "No contender solves any task within the budget.", "is 0 over 2 tasks with 5 seeds"),
    ],
)
def test_the_verdict_in_words(tmp_path, success, headline, sentence):
    found = compose(gather(sweep(tmp_path, scored(**success)))).verdict
    assert found[0] == headline
    assert any(sentence in text for text in found)


def verdict_of(folder: Path, success: dict[str, list[list[float]]]) -> list[str]:
    """The verdict on strategies whose runs reach success rates: strategy -> task -> seed."""
    rng, rates = np.random.default_rng(0), {}
    for job in make_plan(6, 10).jobs:
        with suppress(KeyError, IndexError):
            rates[job.id] = job, success[job.strategy][int(job.task[4:])][job.config.seed]
    rows = [replace(make_row(job, rng), success_rate=rate, mean_return=rate) for job, rate in rates.values()]
    write_sweep(folder, Plan("some", "Some", tuple(job for job, _ in rates.values())), rows)
    return compose(gather(folder)).verdict


def test_a_contender_that_is_worse_on_shared_tasks_is_not_called_better_for_having_more(tmp_path):
    found = verdict_of(tmp_path, {"sparse": [[0.9] * 10], "count": [[0.1] * 10, [1.0] * 10]})
    assert found[0] == "No contender is shown to do better than sparse."
    assert found[-1] == "Worse than sparse: count."
    assert not any("against" in text for text in found)


def test_who_does_better_on_shared_tasks_is_told_whoever_has_more(tmp_path):
    found = verdict_of(
        tmp_path, {"sparse": [[0.5] * 10, [0.5] * 10], "count": [[0.9] * 10], "potential": [[0.5] * 10] * 2}
    )
    assert found[0] == "count does better than sparse."


def test_contenders_with_as_many_but_other_tasks_are_not_compared_over_tasks(tmp_path):
    verdict_of(tmp_path, {"sparse": [[0.5] * 10, [0.5] * 10], "count": [[], [0.9] * 10, [0.9] * 10]})
    page = compose(gather(tmp_path))
    assert not page.board.complete
    assert any("Not all contenders have runs on the same tasks" in text for text in page.warnings)


def test_a_lead_of_the_interquartile_mean_alone_is_not_called_better(tmp_path):
    ours = [[0.72] * 7 + [0.0] * 2] * 4
    found = verdict_of(tmp_path, {"sparse": [[0.7] * 9] * 4, "count": ours})
    assert found[0] == "count is ahead of sparse, but the difference is not established."
    assert found[-1] == "Worse than sparse: count."


def test_a_task_that_only_some_solve_counts_where_interquartile_means_are_zero(tmp_path):
    none = [[0.0] * 10] * 5
    found = verdict_of(tmp_path, {"sparse": [[0.0] * 10, *none], "count": [[1.0] * 10, *none]})
    assert found[0] == "count does better than sparse."
    found = verdict_of(tmp_path, {"sparse": [[0.0] * 10, *none], "count": [[1.0] * 2 + [0.0] * 8, *none]})
    assert found[0] == "count is level with sparse."


def test_a_lead_by_chance_is_not_called_better(tmp_path):
    def edit(row: ResultRow) -> ResultRow:
        rate = 0.5 + 0.1 * (row.seed % 3) + (0.05 * (row.seed - 1.5) if row.strategy == "count" else 0)
        return replace(row, success_rate=rate)

    found = compose(gather(of_strategies(tmp_path, {"sparse", "count"}, edit))).verdict
    assert found[0] == "count is ahead of sparse, but the difference is not established."


def test_a_better_mean_that_wins_half_of_the_time_is_not_called_better(tmp_path):
    """The paired test of means shows a difference; a run of either side is as likely to beat one of the other."""
    ours = [[1.0] * 5 + [0.4] * 5] * 2
    found = verdict_of(tmp_path, {"sparse": [[0.45] * 10] * 2, "count": ours})
    assert found[0] == "count is ahead of sparse, but the difference is not established."


def test_a_single_contender_is_compared_with_nothing(tmp_path):
    page = compose(gather(of_strategies(tmp_path, {"count"})))
    assert page.verdict[0] == "count is the only contender: there is nothing to compare it with."
    assert page.board.baseline == "count"
    assert all("10 runs: 1 contender, 2 tasks" in text for text in written(tmp_path))


def test_good_pay_for_failing_raises_an_alarm(tmp_path):
    page = compose(gather(sweep(tmp_path, scored(sparse=0.2, potential=0.9, misleading=0.1))))
    assert page.alarms == [
        "An episode was paid more than solving the task ever earned, but the task was not solved: "
        "misleading on task0, misleading on task1."
    ]
    for section in page.tasks:
        (alarm,) = section.alarms
        assert alarm.startswith("misleading is paid")


def test_potentials_are_no_pay(tmp_path):
    """However much they add to an episode, no agent can exploit them."""
    reward = {"sum": ["task_reward", {"potential": {"phi": "obs[0]", "gamma": 0.99}}]}
    jobs, rows, rng = [], [], np.random.default_rng(0)
    for planned in make_plan(1, 5).jobs:
        if planned.strategy in ("sparse", "potential"):
            fails = planned.strategy == "potential"
            job = replace(planned, config=replace(planned.config, reward=reward)) if fails else planned
            rate = 0.1 if fails else 0.9
            row = replace(make_row(job, rng), success_rate=rate, mean_return=rate)
            parts = {"task_reward": 0.1, "potential": 49.9}
            rows.append(replace(row, shaped_return=50.0, parts=parts) if fails else row)
            jobs.append(job)
    write_sweep(tmp_path, Plan("some", "Some", tuple(jobs)), rows)
    page = compose(gather(tmp_path))
    assert page.alarms == []
    assert next(line.pay for line in page.tasks[0].lines if line.contender == "potential") == pytest.approx(
        0.1
    )


def test_alarms_of_training_are_counted_over_runs(tmp_path):
    def edit(row: ResultRow) -> ResultRow:
        sounded = row.strategy == "count" and row.seed > 1
        return replace(row, alarms={"falling": 1000 * row.seed} if sounded else {})

    page = compose(gather(of_strategies(tmp_path, {"sparse", "count"}, edit)))
    assert page.alarms == [
        "The agent was paid more and more while its task return fell: count on task0, count on task1."
    ]
    assert page.tasks[0].alarms == [
        "count: the agent was paid more and more while its task return fell, in 3 of 5 runs, first at step 2,000."
    ]
    assert [line.contender for line in page.tasks[0].lines if line.alarms] == ["count"]
    assert all("in 3 of 5 runs" in text for text in written(tmp_path))


def test_nobody_knows_what_much_pay_is_where_nobody_solves(tmp_path):
    assert compose(gather(sweep(tmp_path, scored()))).alarms == []


def test_a_task_that_does_not_tell_success_is_judged_by_its_return(tmp_path):
    plan, rng = make_plan(2, 5), np.random.default_rng(0)
    write_sweep(tmp_path, plan, [make_row(job, rng, success=False) for job in plan.jobs])
    page = compose(gather(tmp_path))
    assert page.board.metric == "mean_return"
    assert page.board.standings[0].success is None
    assert page.profile is None
    assert all(not section.waits and len(section.curves) == 1 for section in page.tasks)
    assert "scaled task return" in page.verdict[1]
    assert all("–" in text for text in written(tmp_path))


def test_an_unfinished_sweep_is_reported_as_such(tmp_path):
    folder = sweep(tmp_path)
    index = (folder / INDEX).read_text().splitlines(keepends=True)
    (folder / INDEX).write_text("".join(index[:-3]) + index[-1][:40])
    lost = json.loads(index[-1])["id"]
    (folder / FAILURES).write_text(json.dumps({"id": lost, "message": "MemoryError: no room"}) + "\n")
    for text in written(folder):
        assert "47 of 50 runs are finished, 1 failed, 2 are missing" in text
        assert "MemoryError: no room" in text
        assert "4 to 5 seeds" in text


def test_a_run_that_succeeded_later_is_no_failure(tmp_path):
    folder = sweep(tmp_path)
    (folder / FAILURES).write_text(json.dumps({"id": make_plan(2, 5).jobs[0].id, "message": "once"}) + "\n")
    assert gather(folder).failures == {}


def test_mixed_versions_are_named(tmp_path):
    def edit(row: ResultRow) -> ResultRow:
        return replace(row, versions={**row.versions, "torch": "2.12.0" if row.seed == 0 else "2.13.0"})

    for text in written(sweep(tmp_path, edit)):
        assert "The runs differ in torch: 2.12.0 (10 runs), 2.13.0 (40 runs)" in text.replace("\\", "")


def test_variants_that_play_another_task_are_named(tmp_path):
    plan, rng = make_plan(1, 5), np.random.default_rng(0)
    larger = [
        Job(job.task, job.strategy, replace(job.config, env_kwargs={"size": 8}), {"size": 8})
        for job in plan.jobs
        if job.strategy == "count"
    ]
    plan = Plan("sizes", "Sizes", (*plan.jobs, *larger))
    write_sweep(tmp_path, plan, [make_row(job, rng) for job in plan.jobs])
    page = compose(gather(tmp_path))
    assert any('differ in env_kwargs ({"size": 8} and {})' in text for text in page.warnings)
    assert page.swept == ["size"]
    assert all("Swept values" in text for text in written(tmp_path))


def tuned(job: Job, row: ResultRow) -> ResultRow:
    """A made-up row, under the name of a job that a search made."""
    made = {"strategy": job.strategy, "entry": job.entry, "variant": dict(job.variant), "stage": job.stage}
    return replace(row, id=job.id, digest=job.digest, **made)


def test_runs_that_tuned_are_compared_with_nobody(tmp_path):
    plan, rng = make_plan(2, 5), np.random.default_rng(0)
    jobs = tuple(job for job in plan.jobs if job.strategy in ("sparse", "count"))
    axes = parse_axes(["settings.learning_rate=0.001,0.002,0.003"])
    search, done = halving(Plan("halving", "Halving", jobs), axes), {}
    while todo := [job for job in search.jobs(done) if job.id not in done]:
        for job in todo:
            plain = replace(job, strategy=job.strategy.removesuffix("-tuned"), stage=0)
            done[job.id] = tuned(job, make_row(plain, rng))
    for row in done.values():  # as if tuning had paid there, which says nothing about other seeds
        if row.stage:
            done[row.id] = replace(row, success_rate=1.0)
    write_sweep(tmp_path, Plan("halving", "Halving", tuple(search.jobs(done))), list(done.values()))
    page = compose(gather(tmp_path))
    assert {line.contender for line in page.board.standings} == {"sparse-tuned", "count-tuned"}
    assert page.board.baseline == "sparse-tuned"
    assert all(line.success.high < 1 for line in page.board.standings)
    assert {seed for request in page.requests for seed in request.seeds} == set(range(5))
    assert ("task0", "sparse~settings.learning_rate=0.001@1", 3) in {line[:3] for line in page.tuning}
    assert all("seeds of their own" in text for text in written(tmp_path))

    write_sweep(tmp_path / "early", Plan("halving", "Halving", tuple(search.jobs({}))), [])
    first = next(row for row in done.values() if row.stage == 1)
    (tmp_path / "early" / INDEX).write_text(first.as_line())
    with pytest.raises(RunError, match="all 1 finished runs are of the search that tunes"):
        gather(tmp_path / "early")


def test_of_many_contenders_the_best_are_drawn_and_all_are_listed(tmp_path):
    make_sweep(tmp_path, 1, 2, variants=6)
    page = compose(gather(tmp_path))
    assert len(page.drawn) == SLOTS + 1
    assert page.drawn[0].contender == "sparse"
    assert len(page.board.standings) == 25
    assert "The 16 contenders that rank lower are in the tables only." in page.caption("")
    html, _ = written(tmp_path)
    assert all(line.contender in html for line in page.board.standings)


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        ({"mean_return": "high"}, "mean_return is 'high'"),
        ({"success_rate": True}, "success_rate is True"),
        ({"parts": None}, "parts is None"),
        ({"parts": {"bonus": None}}, "parts.bonus is None"),
        ({"curve": {"step": [1]}}, "different lengths"),
        ({"digest": "0" * 16}, "another request"),
        ({"costs": {"seconds": "long"}}, "costs.seconds is 'long'"),
        ({"costs": {"shares": 0.5}}, "costs.shares is 0.5"),
        ({"costs": {"seconds": {}}}, "costs.seconds is {}"),
        ({"curve": {}}, "columns of its curve"),
        ({"curve": {name: [None] for name in ("step", *CURVES)}}, "no whole numbers"),
        ({"curve": {name: ["1"] for name in ("step", *CURVES)}}, "curve.step.0 is '1'"),
        ({"id": []}, "id is []"),
        ({"task": "task9"}, "another name than the plan's"),
        ({"steps": 5}, "another name than the plan's"),
        ({"first_success": -1}, "before the start"),
        ({"versions": {"numpy": []}}, "versions.numpy is []"),
        ({"colour": "red"}, "colour is 'red'"),
    ],
)
def test_a_damaged_row_is_named_and_nothing_is_written(tmp_path, edit, fault):
    folder = sweep(tmp_path)
    rows = [json.loads(line) for line in (folder / INDEX).read_text().splitlines()]
    rows[3] |= edit
    (folder / INDEX).write_text("".join(json.dumps(row) + "\n" for row in rows))
    place = f"{INDEX}, line 4, is damaged|the row of {re.escape(repr(rows[3]['id']))} is damaged"
    with pytest.raises(RunError, match=place) as refusal:
        report(folder)
    assert fault in str(refusal.value)
    assert not list(folder.glob("report*"))


def test_what_cannot_be_reported_is_explained(tmp_path):
    def said(*arguments: str) -> str:
        result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "300"})
        assert result.exit_code == 2
        return " ".join(result.output.split())

    assert "There is no folder" in said("report", str(tmp_path / "none"))
    assert "holds no results yet" in said("report", str(tmp_path))
    folder = sweep(tmp_path / "sweep")
    assert "such as report.html" in said("report", str(folder), "--out", str(tmp_path / "x.pdf"))
    assert "There is no folder" in said("report", str(folder), "--out", str(tmp_path / "none" / "x.html"))
    (folder / INDEX).write_text("")
    assert "no run is finished" in said("report", str(folder))


def test_of_too_many_contenders_the_best_are_told_in_detail(tmp_path, monkeypatch):
    monkeypatch.setattr(page_module, "MOST_DETAILS", 6)
    page = compose(gather(sweep(tmp_path)))
    assert [request.contender for request in page.requests] == [
        line.contender for line in page.board.standings[:3]
    ] * 2
    assert page.unlisted == 2
    assert [cost.contender for cost in page.costs] == [line.contender for line in page.board.standings[:3]]
    assert all("The 2 contenders that rank lowest are left out here" in text for text in written(tmp_path))


def test_the_command_writes_where_it_is_told(tmp_path):
    folder = sweep(tmp_path / "sweep")
    result = CliRunner().invoke(app, ["report", str(folder), "--out", str(tmp_path / "page.html")])
    assert result.exit_code == 0
    assert (tmp_path / "page.html").is_file()
    assert (tmp_path / "page.md").is_file()
    assert not (folder / "report.html").exists()


def test_the_command_to_run_again_asks_for_the_same(tmp_path, monkeypatch):
    config = running.RunConfig(
        env="shapegym/DeepSea-v0",
        steps=2000,
        algo="DQN",
        reward={"sum": ["task_reward", {"scale": {"by": 0.5, "of": {"potential": {"phi": "deep_sea_lag"}}}}]},
        env_kwargs={"size": 5},
        settings={"learning_rate": 1e-3, "policy_kwargs": {"net_arch": [64, 64]}, "num_envs": 4},
        eval_every=500,
        eval_episodes=8,
        checkpoint_every=0,
        learn_every=32,
    )
    script = "shapegym() { printf '%s\\0' \"$@\"; printf '\\n'; }\n" + command(
        asdict(config), (0, 3), "deep sea"
    )
    said = subprocess.run(["bash", "-euc", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    asked = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(running, "train", lambda config, folder, **_: asked.append((config, folder)))
    for line in said.stdout.splitlines():
        CliRunner().invoke(app, line.removesuffix("\0").split("\0"))
    from shapegym.shaping.files.reward_files import from_data

    assert [str(folder) for _, folder in asked] == ["again/deep_sea-0", "again/deep_sea-3"]
    for (got, _), seed in zip(asked, (0, 3), strict=True):
        assert replace(got, reward=None) == replace(config, reward=None, seed=seed)
        assert from_data(got.reward) == from_data(config.reward)


def test_the_configuration_is_that_of_the_run_where_there_is_one(tmp_path):
    folder = sweep(tmp_path, tasks=1)
    run = folder / "runs" / "task0" / "sparse" / "0"
    run.mkdir(parents=True)
    (run / "config.yaml").write_text(
        "env: shapegym/DeepSea-v0\nsteps: 9\nsettings: {ent_coef: 0.125}\nseed: 0\n"
    )
    request = next(request for request in compose(gather(folder)).requests if request.contender == "sparse")
    assert request.seeds == (0, 1, 2, 3, 4)
    assert "--set ent_coef=0.125" in request.command


def test_an_ablation_is_the_difference_of_paired_runs(tmp_path):
    evidence = gather(sweep(tmp_path, scored(potential=0.9, potential_without_task_reward=0.4)))
    (found,) = ablations(evidence)
    assert (found.strategy, found.part, found.pairs) == ("potential", "task_reward", 10)
    assert found.success.estimate == pytest.approx(-0.5)
    assert found.p == pytest.approx(2 / 2**10)


def test_an_ablation_of_what_was_tuned_is_against_the_whole_that_was_tuned(tmp_path):
    plan, rng = make_plan(1, 5), np.random.default_rng(0)
    jobs = [replace(job, strategy=f"{job.strategy}-tuned") for job in plan.jobs]
    rows = [tuned(job, make_row(plain, rng)) for job, plain in zip(jobs, plan.jobs, strict=True)]
    write_sweep(tmp_path, Plan("tuned", "Tuned", tuple(jobs)), rows)
    (one,) = ablations(gather(tmp_path))
    assert (one.strategy, one.part) == ("potential-tuned", "task_reward")


def test_learning_curves_are_means_with_their_intervals(tmp_path):
    evidence = gather(sweep(tmp_path))
    (curve,) = learning(evidence, "task0", ["count"], "success_rate")
    values = np.array([row.curve["success_rate"] for row in evidence.groups["task0", "count"]])
    np.testing.assert_allclose(curve.mean, values.mean(axis=0))
    assert (curve.low <= curve.mean).all()
    assert (curve.mean <= curve.high).all()
    assert (curve.low >= 0).all()
    assert (curve.high <= 1).all()
    assert curve.high[-1] > curve.low[-1]


def test_steps_to_success_are_compared_with_the_baseline(tmp_path):
    evidence = gather(sweep(tmp_path))
    found = {
        wait.contender: wait for wait in waits(evidence, "task0", ["sparse", "count", "potential"], None)
    }

    def times(name: str) -> tuple[list[int], list[bool]]:
        rows = evidence.groups["task0", name]
        return [row.first_success or row.steps for row in rows], [
            row.first_success is not None for row in rows
        ]

    others = [name for name in evidence.contenders if name != "sparse"]
    p = dict(zip(others, holm([log_rank(*times(name), *times("sparse")).p for name in others]), strict=True))
    assert {found[name].p for name in ("count", "potential")} == {
        p["count"],
        p["potential"],
    }  # not of the drawn alone
    assert list(found) == ["sparse", "count", "potential"]
    assert found["sparse"].p is None
    assert found["count"].reached == sum(times("count")[1])


def test_what_happens_beyond_the_budget_happens_at_it(tmp_path):
    def edit(row: ResultRow) -> ResultRow:
        return replace(row, first_success=row.steps + 400 if row.seed == 0 else None)

    (one,) = waits(gather(sweep(tmp_path, edit)), "task0", ["sparse"], None)
    assert (one.reached, one.seeds) == (1, 5)
    assert one.survival.survival.min() == pytest.approx(0.8)
    assert one.survival.median == np.inf


def test_an_index_that_is_no_text_is_refused_by_its_line(tmp_path):
    folder = sweep(tmp_path)
    content = (folder / INDEX).read_bytes()
    (folder / INDEX).write_bytes(content.replace(b"task0", b"task\xff", 1))
    with pytest.raises(RunError, match="line 1, is damaged"):
        gather(folder)


def test_the_table_of_a_task_compares_within_the_task(tmp_path):
    evidence = gather(sweep(tmp_path))
    table = {line.contender: line for line in lines(evidence, "task1")}
    rows = evidence.groups["task1", "count"]
    assert table["count"].success.estimate == pytest.approx(np.mean([row.success_rate for row in rows]))
    assert table["count"].parts == pytest.approx(
        {name: np.mean([row.parts[name] for row in rows]) for name in rows[0].parts}
    )
    rates = [line.success.estimate for line in table.values()]
    assert rates == sorted(rates, reverse=True)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_few_and_within(low, size):
    found = ticks(low, low + size)
    assert 1 <= len(found) <= 6
    room = 1e-6 * size
    assert all(low - room <= value <= low + size + room for value in found)


def test_a_survival_curve_keeps_each_value_until_the_next():
    x, y = staircase([0, 10, 30], [1.0, 0.5, 0.25], 40)
    assert list(zip(x, y, strict=True)) == [(0, 1), (10, 1), (10, 0.5), (30, 0.5), (30, 0.25), (40, 0.25)]


def test_negative_parts_go_to_the_left():
    picture = ElementTree.fromstring(bars([("a", 1.0, 1), ("b", -1.0, 2), ("c", 2.0, 3)], -1.0, 3.0))
    places = [(float(bar.get("x")), float(bar.get("width"))) for bar in picture.iter("rect")]
    assert places == [(50, 50), (0, 50), (100, 100)]


CHROMIUM = shutil.which("chromium")


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_a_browser_shows_it_without_complaint_or_request(tmp_path):
    page = report(sweep(tmp_path))
    log = tmp_path / "net.json"
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--enable-logging=stderr",
        "--virtual-time-budget=1000",
        f"--user-data-dir={tmp_path / 'profile'}",
        f"--log-net-log={log}",
        f"--screenshot={tmp_path / 'page.png'}",
    ]
    result = subprocess.run(
        [CHROMIUM, *options, page.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    assert "CONSOLE" not in result.stderr
    assert (tmp_path / "page.png").stat().st_size > 10_000
    # The browser has business of its own, which no page has asked for.
    assert set(re.findall(r'"initiator":"([^"]*)"', log.read_text())) <= {"not an origin"}


def test_compare_two_contenders_of_a_sweep(tmp_path):
    folder = sweep(tmp_path, scored(potential=0.9, count=0.4))
    (found,) = compare(f"{folder}:potential", f"{folder}:count")
    assert [line.task for line in found.tasks] == ["task0", "task1"]
    for line in found.tasks:
        assert line.difference.estimate == pytest.approx(0.5)
        assert line.pairs == 5
        assert line.p == pytest.approx(2 * 2 / 2**5)
    assert found.improvement.estimate == 1.0
    assert found.p == pytest.approx(2 / 2**10)


def test_compare_two_sweeps_contender_by_contender(tmp_path):
    a, b = sweep(tmp_path / "a"), sweep(tmp_path / "b", lambda row: replace(row, versions={"torch": "2.0"}))
    found = list(compare(str(a), str(b), "return"))
    assert [one.a.contender for one in found] == list(STRATEGIES)
    assert all(line.difference.estimate == 0 and line.p == 1 for one in found for line in one.tasks)
    assert any("torch is 2.13.0 in A and 2.0 in B" in text for text in found[0].warnings)
    result = CliRunner().invoke(app, ["compare", str(a), str(b)], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert result.output.count("A − B") == 2 * len(STRATEGIES)
    assert result.output.count("torch is 2.13.0") == 1


def test_the_area_under_the_curve_tells_who_learns_sooner(tmp_path):
    def edit(row: ResultRow) -> ResultRow:
        late = [0.0] * 10 + [1.0] * 10
        rates = late if row.strategy == "sparse" else late[::-1]
        return replace(row, curve={**row.curve, "success_rate": rates})

    folder = sweep(tmp_path, edit)
    (found,) = compare(f"{folder}:sparse", f"{folder}:count", "area")
    assert found.tasks[0].a == pytest.approx(0.475)
    assert found.tasks[0].b == pytest.approx(0.525)


def altered(folder: Path, **fields: object) -> Path:
    """A sweep with another request on task1."""
    plan, rng = make_plan(2, 5), np.random.default_rng(0)
    jobs = tuple(
        replace(job, config=replace(job.config, **fields)) if job.task == "task1" else job
        for job in plan.jobs
    )
    write_sweep(folder, Plan("altered", "Altered", jobs), [make_row(job, rng) for job in jobs])
    return folder


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"steps": 5}, "steps is 100000 in"),
        ({"env": "shapegym/DeepSea-v0"}, 'env is "shapegym/MiniGrid-DoorKey-6x6-v0" in'),
        ({"env_kwargs": {"size": 9}}, "env_kwargs is {} in"),
        ({"eval_episodes": 3}, "eval_episodes is null in"),
    ],
)
def test_sweeps_of_other_tasks_are_refused_with_the_difference(tmp_path, fields, named):
    a, b = sweep(tmp_path / "a"), altered(tmp_path / "b", **fields)
    with pytest.raises(RunError, match=re.escape(f"On task1 the two are not about the same task: {named}")):
        list(compare(str(a), str(b)))


def test_what_cannot_be_compared_is_explained(tmp_path):
    a, small = sweep(tmp_path / "a"), sweep(tmp_path / "small", tasks=1)
    few = sweep(tmp_path / "few", lambda row: row, seeds=2)

    def refused(*arguments: str) -> str:
        with pytest.raises(RunError) as refusal:
            list(compare(*arguments))
        return str(refusal.value)

    assert "has runs on task1" in refused(f"{a}:count", f"{small}:count")
    assert "compared with itself" in refused(str(a), str(a))
    assert "Did you mean 'count'" in refused(f"{a}:cuont", f"{a}:sparse")
    assert "Did you mean 'success'" in refused(str(a), str(few), "sucess")
    only = of_strategies(tmp_path / "only", {"count"})
    other = of_strategies(tmp_path / "other", {"sparse"})
    assert "share no contender" in refused(str(only), str(other))
    (found,) = compare(f"{only}:count", f"{other}:sparse")
    assert found.pairs == 10
    rng = np.random.default_rng(0)
    jobs = tuple(
        replace(job, config=replace(job.config, seed=job.config.seed + 100)) for job in make_plan(2, 5).jobs
    )
    write_sweep(tmp_path / "late", Plan("late", "Late", jobs), [make_row(job, rng) for job in jobs])
    assert "share no seed" in refused(str(a), str(tmp_path / "late"))
    (tmp_path / "silent").mkdir()
    plan = make_plan(2, 5)
    write_sweep(tmp_path / "silent", plan, [make_row(job, rng, success=False) for job in plan.jobs])
    assert "does not tell success" in refused(f"{tmp_path / 'silent'}:count", f"{tmp_path / 'silent'}:sparse")
