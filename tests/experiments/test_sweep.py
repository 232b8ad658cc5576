"""Sweeps: what is run, what the books say, and what is refused. Training is mostly replaced by something quick."""

from __future__ import annotations

import errno
import json
import math
import shutil
from dataclasses import replace

import pytest
from filelock import FileLock

from shapegym.agents.callbacks import EPISODES_FILE, EVALUATIONS_FILE
from shapegym.agents.errors import CheckpointError
from shapegym.experiments.errors import RunError
from shapegym.experiments.reports import report
from shapegym.experiments.runs import run_folder
from shapegym.experiments.runs.request import RunConfig, request_of
from shapegym.experiments.sweeps import loop as sweeping
from shapegym.experiments.sweeps import workspace
from shapegym.experiments.sweeps.entry import sweep
from shapegym.experiments.sweeps.loop import Fixed, JobEvent, RunBusy, attempt, run_job, run_jobs
from shapegym.experiments.sweeps.plan import Job, Plan, in_fair_order, run_path
from shapegym.experiments.sweeps.results import INDEX, Results
from shapegym.experiments.sweeps.verification import check_books
from shapegym.experiments.sweeps.workspace import (
    FAILURES,
    LOCKS,
    PLAN,
    SWEEP,
    open_workspace,
    read_failures,
    read_plan,
)
from shapegym.shaping.digests import digest_of
from shapegym.shaping.json_lines import encode_rows

CONFIG = RunConfig(
    "shapegym/Corridor-v0",
    512,
    settings={"num_envs": 4, "n_steps": 32, "batch_size": 64, "n_epochs": 1},
    eval_every=128,
    eval_episodes=2,
    checkpoint_every=128,
)


def job(strategy="sparse", seed=0, **changes):
    return Job("corridor", strategy, replace(CONFIG, seed=seed, **changes))


def plan_of(*jobs, name="tiny"):
    return Plan(name, "Tiny", in_fair_order(jobs))


PLAN_OF_FOUR = plan_of(*(job(strategy, seed) for strategy in ("sparse", "count") for seed in (0, 1)))


class Here:
    """Runs jobs in this process."""

    def run(self, jobs, folder, on_event):
        for each in jobs:
            on_event(attempt(each, folder, on_event))


@pytest.fixture
def trained(monkeypatch):
    """Ids of runs that were trained, and by the way how."""
    calls = []

    def train(config, folder, *, resume=False, progress=None, wandb=""):
        calls.append((folder.parent.name, config.seed, resume))
        if not resume:
            run_folder.create(folder, request_of(config))
        progress(config.steps // 2, None)
        result = {
            "episodes": 2,
            "success_rate": 0.5,
            "mean_return": config.seed / 10,
            "mean_length": 5.0,
            "steps": config.steps,
            "steps_to_first_success": None,
            "shaped_return": None,
            "parts": {},
        }
        run_folder.write_text(folder / run_folder.RESULT, json.dumps(result))

    monkeypatch.setattr(sweeping, "train", train)
    return calls


def swept(folder, plan=PLAN_OF_FOUR, **options):
    events = []
    failed = run_jobs(open_workspace(folder, plan, **options), Fixed(plan), Here(), events.append)
    return failed, events


def index(folder):
    return (folder / INDEX).read_bytes()


def test_every_job_runs_once_and_again_none(tmp_path, trained):
    failed, events = swept(tmp_path)
    assert failed == {}
    assert [event.kind for event in events[:3]] == ["started", "progress", "finished"]
    rows = Results.open(tmp_path).rows
    assert [row.id for row in rows] == [each.id for each in PLAN_OF_FOUR.jobs]
    before = index(tmp_path)
    assert swept(tmp_path) == ({}, [])
    assert len(trained) == 4
    assert index(tmp_path) == before


def test_a_sweep_goes_on_from_its_folder_alone(tmp_path, trained):
    swept(tmp_path)
    opened = open_workspace(tmp_path)
    assert opened.plan == read_plan(tmp_path) == PLAN_OF_FOUR
    assert set(opened.rows) == {each.id for each in PLAN_OF_FOUR.jobs}


def test_more_jobs_are_taken_over_and_fewer_forget_none(tmp_path, trained):
    swept(tmp_path)
    more = plan_of(*PLAN_OF_FOUR.jobs, job("sparse", 2), job("count", 2))
    swept(tmp_path, more)
    assert len(trained) == 6
    swept(tmp_path, plan_of(job("sparse", 0)))
    assert len(trained) == 6
    assert len(Results.open(tmp_path).rows) == 6
    assert len(read_plan(tmp_path).jobs) == 6


def test_a_changed_request_is_refused_by_its_field(tmp_path, trained):
    swept(tmp_path)
    before = {path: path.read_bytes() for path in (tmp_path / PLAN, tmp_path / SWEEP, tmp_path / INDEX)}
    with pytest.raises(RunError, match=r"corridor/sparse/0 .*steps was 512 and is 513"):
        swept(tmp_path, plan_of(job(steps=513)))
    deeper = {"reward": {"sum": ["task_reward", {"count_bonus": {"beta": 0.1}}]}}
    with pytest.raises(RunError, match="reward was None"):
        swept(tmp_path, plan_of(job(**deeper)))
    assert before == {path: path.read_bytes() for path in before}
    assert len(trained) == 4


def test_a_search_that_changes_a_job_is_refused(tmp_path, trained):
    opened = open_workspace(tmp_path, PLAN_OF_FOUR)
    with pytest.raises(RunError, match="steps was 512 and is 9"):
        run_jobs(opened, Fixed(plan_of(job(steps=9))), Here(), lambda event: None)


def test_jobs_that_follow_from_results_run_when_these_are_there(tmp_path, trained):
    class TwoStages:
        def jobs(self, done):
            first = [job("a"), job("b")]
            return [*first, job("c")] if {each.id for each in first} <= set(done) else first

    told = []
    first = TwoStages().jobs({})
    run_jobs(open_workspace(tmp_path, plan_of(*first)), TwoStages(), Here(), lambda event: None, told.append)
    assert [name for name, *_ in trained] == ["a", "b", "c"]
    assert [len(jobs) for jobs in told] == [2, 3, 3]
    assert len(read_plan(tmp_path).jobs) == 3


@pytest.mark.parametrize("damage", ["other", "text", "file", "plan", "digest", "header"])
def test_folders_that_are_no_sweep_or_anothers_are_refused(tmp_path, trained, damage):
    folder = tmp_path / "sweep"
    message = {
        "other": "sweep of other, not of tiny",
        "text": "not empty",
        "file": "is a file",
        "plan": "its last line is cut",
        "digest": "line 1: the request of corridor/sparse/0 was edited",
        "header": "sweep.json is damaged",
    }[damage]
    if damage in ("other", "plan", "digest", "header"):
        open_workspace(folder, replace(PLAN_OF_FOUR, name="other" if damage == "other" else "tiny"))
    if damage == "text":
        folder.mkdir()
        (folder / "notes.txt").write_text("mine")
    elif damage == "file":
        folder.write_text("mine")
    elif damage == "plan":
        lines = (folder / PLAN).read_text().splitlines()
        (folder / PLAN).write_text("\n".join([lines[0], lines[1][:-3], *lines[2:]]))
    elif damage == "digest":
        (folder / PLAN).write_text((folder / PLAN).read_text().replace('"steps": 512', '"steps": 99', 1))
    elif damage == "header":
        (folder / SWEEP).write_text("{}")
    with pytest.raises(RunError, match=message):
        open_workspace(folder, PLAN_OF_FOUR)
    assert not trained


def test_without_a_plan_there_must_be_a_sweep(tmp_path):
    with pytest.raises(RunError, match="no sweep"):
        open_workspace(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_sweep_killed_at_its_beginning_begins_again(tmp_path, trained):
    (tmp_path / LOCKS).mkdir()
    (tmp_path / PLAN).write_text('{"torn')
    (tmp_path / ".sweep.json.1234.tmp").touch()
    assert swept(tmp_path)[0] == {}
    assert len(trained) == 4


# --- the index


@pytest.mark.parametrize("damage", ["torn", "missing", "line", "twice", "empty"])
def test_a_damaged_index_is_made_anew(tmp_path, trained, damage):
    swept(tmp_path)
    whole = index(tmp_path)
    lines = whole.splitlines(keepends=True)
    (tmp_path / INDEX).write_bytes(
        {
            "torn": whole[:-40],
            "missing": b"",
            "line": b"".join([lines[0], lines[1][:30] + b"\n", *lines[2:]]),
            "twice": whole + lines[0],
            "empty": b"",
        }[damage]
    )
    if damage == "missing":
        (tmp_path / INDEX).unlink()
    open_workspace(tmp_path)
    assert index(tmp_path) == whole
    assert len(trained) == 4


def test_a_row_is_appended_after_a_torn_line(tmp_path, trained):
    """A second sweep goes on while a first was killed at writing."""
    second = open_workspace(tmp_path, PLAN_OF_FOUR)
    first = open_workspace(tmp_path, PLAN_OF_FOUR)
    for each in PLAN_OF_FOUR.jobs[:2]:
        run_job(each, tmp_path, lambda *_: None)
        first.record(each)
    (tmp_path / INDEX).write_bytes(index(tmp_path)[:-7])
    run_jobs(second, Fixed(PLAN_OF_FOUR), Here(), lambda event: None)
    assert {row.id for row in Results.open(tmp_path).rows} == {each.id for each in PLAN_OF_FOUR.jobs}
    assert len(trained) == 4


def test_an_index_that_was_written_anew_is_read_anew(tmp_path, trained):
    first, second = open_workspace(tmp_path, PLAN_OF_FOUR), open_workspace(tmp_path)
    for each in reversed(PLAN_OF_FOUR.jobs):
        run_job(each, tmp_path, lambda *_: None)
        first.record(each)
    second.refresh()
    first.tidy()
    second.refresh()
    assert list(second.rows) == list(first.rows) == [each.id for each in PLAN_OF_FOUR.jobs]


def test_a_run_that_was_deleted_runs_again(tmp_path, trained):
    swept(tmp_path)
    whole = index(tmp_path)
    shutil.rmtree(run_path(tmp_path, PLAN_OF_FOUR.jobs[1].id))
    swept(tmp_path)
    assert len(trained) == 5
    assert index(tmp_path) == whole


@pytest.mark.parametrize(
    ("name", "old", "new", "indexed"),
    [
        (run_folder.RESULT, "0.1", "0.9", True),
        (run_folder.CONFIG, "512", "8", True),
        (run_folder.CONFIG, "512", "8", False),  # of a result nobody but the index knows what it was
    ],
)
def test_an_edited_run_is_named_and_refused(tmp_path, trained, name, old, new, indexed):
    swept(tmp_path)
    path = run_path(tmp_path, "corridor/count/1") / name
    path.write_text(path.read_text().replace(old, new))
    if not indexed:
        (tmp_path / INDEX).unlink()
    with pytest.raises(RunError, match=rf"count/1/{name}.*Delete"):
        open_workspace(tmp_path)


def test_a_job_finds_the_edited_folder_too(tmp_path, trained):
    run_job(job(), tmp_path, lambda *_: None)
    path = run_path(tmp_path, job().id) / run_folder.CONFIG
    path.write_text(path.read_text().replace("seed: 0", "seed: 1"))
    with pytest.raises(RunError, match="seed was 1 and is 0"):
        run_job(job(), tmp_path, lambda *_: None)


@pytest.mark.parametrize("what", ["numpy", "machine"])
def test_results_made_elsewhere_are_refused_or_kept_apart(tmp_path, trained, monkeypatch, what):
    swept(tmp_path)
    here = run_folder.versions()
    monkeypatch.setattr(run_folder, "versions", lambda: {**here, what: "another"})
    more = plan_of(*PLAN_OF_FOUR.jobs, job(seed=2))
    before = (tmp_path / PLAN).read_bytes()
    with pytest.raises(RunError, match=f"4 of 4 results .* with {what} .*, this is another.*--mixed"):
        swept(tmp_path, more)
    assert (tmp_path / PLAN).read_bytes() == before
    swept(tmp_path, more, mixed=True)
    assert len(trained) == 5
    assert len({row.versions[what] for row in Results.open(tmp_path).rows}) == 2


# --- failures


def failing(monkeypatch, error, *, strategy="count"):
    train = sweeping.train

    def perhaps(config, folder, **options):
        if folder.parent.name == strategy:
            raise error
        train(config, folder, **options)

    monkeypatch.setattr(sweeping, "train", perhaps)
    return lambda: monkeypatch.setattr(sweeping, "train", train)


def test_a_full_disk_fails_its_runs_and_the_rest_goes_on(tmp_path, trained, monkeypatch):
    mend = failing(monkeypatch, OSError(errno.ENOSPC, "No space left on device"))
    failed, events = swept(tmp_path)
    assert set(failed) == {"corridor/count/0", "corridor/count/1"} == set(read_failures(tmp_path))
    assert "No space left" in failed["corridor/count/0"]
    assert len(Results.open(tmp_path).rows) == 2
    assert sum(event.kind == "failed" for event in events) == 2
    mend()
    assert swept(tmp_path)[0] == {}
    assert not (tmp_path / FAILURES).exists()
    assert len(Results.open(tmp_path).rows) == 4


def test_a_disk_too_full_for_the_books_fails_no_more_than_that(tmp_path, trained, monkeypatch):
    opened = open_workspace(tmp_path, PLAN_OF_FOUR)
    append = workspace.append_rows

    def full(path, rows):
        with path.open("ab") as file:
            file.write(encode_rows(rows)[:20])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(workspace, "append_rows", full)
    failed = run_jobs(opened, Fixed(PLAN_OF_FOUR), Here(), lambda event: None)
    assert len(failed) == 4
    monkeypatch.setattr(workspace, "append_rows", append)
    assert swept(tmp_path) == ({}, [])  # nothing is repeated
    assert len(trained) == 4
    assert not (tmp_path / FAILURES).exists()


def test_a_run_that_ended_in_another_folder_has_failed(tmp_path, trained):
    class Elsewhere:
        def run(self, jobs, folder, on_event):
            for each in jobs:
                on_event(attempt(each, folder / "elsewhere", on_event))

    failed = run_jobs(
        open_workspace(tmp_path, PLAN_OF_FOUR), Fixed(PLAN_OF_FOUR), Elsewhere(), lambda event: None
    )
    assert len(failed) == 4
    assert "not complete" in failed[job().id]


def test_an_error_of_ours_says_where_it_happened(tmp_path, trained, monkeypatch):
    failing(monkeypatch, ZeroDivisionError("by zero"))
    message = swept(tmp_path)[0]["corridor/count/0"]
    assert message.splitlines()[0] == "ZeroDivisionError: by zero"
    assert "test_sweep.py" in message


def test_the_last_failure_of_a_run_counts(tmp_path, trained, monkeypatch):
    for text in ("first", "second"):
        with monkeypatch.context() as patch:
            failing(patch, RunError(text))
            swept(tmp_path)
    assert read_failures(tmp_path)["corridor/count/0"] == "second"


# --- one run


def test_a_run_that_another_process_is_at_is_left_alone_and_then_waited_for(tmp_path, trained, monkeypatch):
    monkeypatch.setattr(sweeping, "PATIENCE_SECONDS", 0.0)
    lock = FileLock(tmp_path / LOCKS / f"{digest_of(job().id)}.lock")
    opened = open_workspace(tmp_path, plan_of(job()))
    lock.acquire()
    with pytest.raises(RunBusy):
        run_job(job(), tmp_path)
    events = []

    def watch(event):
        events.append(event)
        if events.count(JobEvent("skipped", job().id)) == 2:
            lock.release()

    assert run_jobs(opened, Fixed(plan_of(job())), Here(), watch) == {}
    assert [event.kind for event in events if event.kind in ("skipped", "finished")] == ["skipped"] * 2 + [
        "finished"
    ]
    assert len(trained) == 1


def test_what_another_sweep_finished_meanwhile_is_not_run_again(tmp_path, trained):
    opened = open_workspace(tmp_path, PLAN_OF_FOUR)
    swept(tmp_path)
    (tmp_path / INDEX).unlink()  # it was killed before it wrote
    assert run_jobs(opened, Fixed(PLAN_OF_FOUR), Here(), lambda event: None) == {}
    assert len(trained) == 4
    assert len(Results.open(tmp_path).rows) == 4


def test_checkpoints_that_a_killed_process_left_are_deleted(tmp_path, trained):
    opened = open_workspace(tmp_path, PLAN_OF_FOUR)
    for each in PLAN_OF_FOUR.jobs[:2]:
        run_job(each, tmp_path, lambda *_: None)
        (run_path(tmp_path, each.id) / run_folder.CHECKPOINTS / "step_128").mkdir(parents=True)
    run_job(PLAN_OF_FOUR.jobs[0], tmp_path)
    opened.rebuild()
    assert not list(tmp_path.rglob(run_folder.CHECKPOINTS))


def half_made(tmp_path, request, versions):
    path = run_path(tmp_path, job().id)
    run_folder.create(path, request)
    (path / run_folder.VERSIONS).write_text(json.dumps(versions))
    (path / run_folder.CHECKPOINTS / "step_128").mkdir(parents=True)
    (path / ".evaluations.jsonl.1.tmp").touch()
    return path


@pytest.mark.parametrize(
    ("request_", "versions", "resumed"),
    [
        (request_of(CONFIG), run_folder.versions(), True),
        (request_of(replace(CONFIG, steps=99)), run_folder.versions(), False),
        (request_of(CONFIG), {**run_folder.versions(), "torch": "0.1"}, False),
    ],
    ids=["same", "other request", "other versions"],
)
def test_only_a_part_of_the_same_run_is_continued(tmp_path, trained, request_, versions, resumed):
    path = half_made(tmp_path, request_, versions)
    run_job(job(), tmp_path, lambda *_: None)
    assert trained == [("sparse", 0, resumed)]
    assert not list(path.glob(".*.tmp"))
    assert not (path / run_folder.CHECKPOINTS).exists()


def test_a_checkpoint_that_cannot_be_resumed_costs_the_run_only_time(tmp_path, trained, monkeypatch):
    half_made(tmp_path, request_of(CONFIG), run_folder.versions())
    train = sweeping.train

    def damaged(config, folder, *, resume=False, **options):
        if resume:
            raise CheckpointError("damaged")
        train(config, folder, **options)

    monkeypatch.setattr(sweeping, "train", damaged)
    run_job(job(), tmp_path, lambda *_: None)
    assert trained == [("sparse", 0, False)]


def test_a_real_run_leaves_a_complete_folder_and_no_checkpoints(tmp_path):
    steps = []
    run_job(job(), tmp_path, lambda step, _: steps.append(step))
    path = run_path(tmp_path, job().id)
    assert steps[-1] == 512
    assert {EPISODES_FILE, EVALUATIONS_FILE, run_folder.RESULT, run_folder.CONFIG} <= {
        item.name for item in path.iterdir()
    }
    assert not (path / run_folder.CHECKPOINTS).exists()
    opened = open_workspace(tmp_path / "books", plan_of(job()))
    with pytest.raises(RunError, match="not complete"):
        opened.record(job())


def test_a_folder_in_which_another_process_has_just_begun_is_a_sweeps(tmp_path):
    begun = tmp_path / "begun"
    (begun / "locks").mkdir(parents=True)
    (begun / INDEX).touch()
    assert open_workspace(begun, PLAN_OF_FOUR).plan == PLAN_OF_FOUR
    strange = tmp_path / "strange"
    strange.mkdir()
    (strange / INDEX).write_text("{}\n")
    with pytest.raises(RunError, match="not empty"):
        open_workspace(strange, PLAN_OF_FOUR)
    assert [item.name for item in strange.iterdir()] == [INDEX]


def test_what_counts_as_solved_goes_from_the_suite_to_the_report(tmp_path):
    suite = {
        "title": "Half",
        "seeds": 1,
        "solved": 0.5,
        "settings": dict(CONFIG.settings),
        "rewards": {"sparse": None},
        "tasks": {"corridor": {"env": CONFIG.env, "env_kwargs": {"length": 3}, "steps": 512}},
    }
    sweep(suite, tmp_path / "sweep", workers=1)
    sweep(tmp_path / "sweep", workers=1)
    assert "steps to 50 % success" in report(tmp_path / "sweep").with_suffix(".md").read_text()
    header = json.loads((tmp_path / "sweep" / SWEEP).read_text())
    (tmp_path / "sweep" / SWEEP).write_text(json.dumps(header | {"solved": 7}))
    with pytest.raises(RunError, match="solved"):
        read_plan(tmp_path / "sweep")


def test_a_reward_with_an_infinite_number_is_swept_gone_on_with_reported_and_verified(tmp_path):
    first_visits = {"count_bonus": {"key": "obs", "exponent": math.inf, "scope": "episode"}}
    suite = {
        "title": "First visits",
        "seeds": 1,
        "settings": dict(CONFIG.settings),
        "rewards": {"first": {"sum": ["task_reward", first_visits]}},
        "tasks": {"corridor": {"env": CONFIG.env, "steps": 256}},
        "sweep": {"reward.count_bonus.exponent": [0.5, math.inf]},
    }
    made = sweep(suite, tmp_path / "sweep", workers=1)
    assert not made.failures
    assert [row.variant for row in made.rows] == [
        {"reward.count_bonus.exponent": value} for value in (0.5, "Infinity")
    ]
    assert sweep(tmp_path / "sweep", workers=1).rows == made.rows
    assert report(tmp_path / "sweep").exists()
    assert list(check_books(tmp_path / "sweep")) == []
