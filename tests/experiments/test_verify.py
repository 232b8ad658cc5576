"""Verification finds what was changed: in the books, in a run folder, or consistently in both."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from shapegym.agents.callbacks import EPISODES_FILE, EVALUATIONS_FILE
from shapegym.experiments.cli import app
from shapegym.experiments.errors import RunError
from shapegym.experiments.runs import run_folder
from shapegym.experiments.runs.request import RunConfig
from shapegym.experiments.sweeps.loop import attempt
from shapegym.experiments.sweeps.plan import Job, Plan, run_path
from shapegym.experiments.sweeps.results import INDEX, Results, row_of
from shapegym.experiments.sweeps.verification import check_books, repeat, sample
from shapegym.experiments.sweeps.workspace import open_workspace, read_plan

COUNT = {"sum": ["task_reward", {"count_bonus": {"key": "features.state", "beta": 0.1}}]}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished sweep of four runs."""
    config = RunConfig(
        env="shapegym/Corridor-v0",
        steps=400,
        env_kwargs={"length": 5},
        settings={"num_envs": 4, "n_steps": 16, "batch_size": 32},
        eval_every=200,
        eval_episodes=4,
        checkpoint_every=200,
    )
    jobs = tuple(
        Job("corridor", strategy, replace(config, reward=reward, seed=seed))
        for seed in range(2)
        for strategy, reward in (("sparse", None), ("count", COUNT))
    )
    folder = tmp_path_factory.mktemp("made") / "sweep"
    workspace = open_workspace(folder, Plan("made", "Made", jobs))
    for job in jobs:
        assert attempt(job, folder, lambda event: None).kind == "finished"
        workspace.record(job)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "sweep"))


def verify(*arguments: Any, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["verify", *map(str, arguments)], env={"COLUMNS": "300"})
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def edit(path: Path, change: Callable[[Any], None]) -> None:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data, indent=2) + "\n")


def edit_row(folder: Path, row_id: str, **values: Any) -> None:
    rows = [json.loads(line) for line in (folder / INDEX).read_text().splitlines()]
    assert row_id in {row["id"] for row in rows}
    lines = (json.dumps(row | values if row["id"] == row_id else row) for row in rows)
    (folder / INDEX).write_text("".join(line + "\n" for line in lines))


def index_again(folder: Path) -> None:
    """Make the index agree with run folders that were edited: a careful forgery."""
    rows = [row_of(job, run_path(folder, job.id)) for job in read_plan(folder).jobs]
    (folder / INDEX).write_text("".join(row.as_line() for row in rows))


def job_of(folder: Path, job_id: str) -> Job:
    return next(job for job in read_plan(folder).jobs if job.id == job_id)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_an_honest_sweep_is_equal_to_the_bit_and_stays_as_it_is(folder):
    before = contents(folder)
    said = verify(folder, "--runs", 4)
    assert "4 results are those of their run folders" in said
    assert said.count("equal to the bit") == 4
    assert contents(folder) == before


def test_the_sample_is_drawn_by_its_seed(folder):
    drawn = [tuple(job.id for job in sample(folder, 2, seed)) for seed in range(8)]
    assert drawn == [tuple(job.id for job in sample(folder, 2, seed)) for seed in range(8)]
    assert len(set(drawn)) > 2
    assert len(sample(folder, 100, 0)) == 4
    assert [job.id for job in sample(folder, 1, 3)] == [sample(folder, 4, 3)[0].id]


def test_an_edited_index_is_named(folder):
    edit_row(folder, "corridor/count/1", success_rate=0.875, costs={})
    said = verify(folder, "--runs", 0, code=1)
    assert "corridor/count/1: the index and the run folder differ in success_rate, costs" in said
    assert "corridor/count/0" not in said


def test_a_result_that_was_left_out_is_named(folder):
    index = folder / INDEX
    index.write_text("".join(index.read_text().splitlines(keepends=True)[:-1]))
    assert "corridor/count/1 is finished, but not in the index." in verify(folder, "--runs", 0, code=1)
    shutil.rmtree(folder / "runs/corridor/count/1")
    said = verify(folder, "--runs", 0)
    assert "3 results are those of their run folders. 1 of 4 planned runs have no result." in said


@pytest.mark.parametrize("name", [run_folder.RESULT, run_folder.VERSIONS, run_folder.COSTS, EVALUATIONS_FILE])
@pytest.mark.parametrize("content", ["{", "[1]", '{"mean_return": NaN}'])
def test_damaged_files_are_named_and_not_compared(folder, name, content):
    (folder / "runs/corridor/count/1" / name).write_text(content + "\n")
    assert "Differs: corridor/count/1: " in verify(folder, "--runs", 0, code=1)


def test_a_damaged_run_is_not_repeated(folder):
    (folder / "runs/corridor/count/1" / run_folder.VERSIONS).write_text("{")
    said = verify(folder, "--runs", 4, code=2)
    assert "count/1/versions.json is not JSON" in said


def test_an_edited_result_is_named(folder):
    path = run_path(folder, "corridor/sparse/0") / run_folder.RESULT
    edit(path, lambda result: result.update(mean_return=0.123))
    assert list(check_books(folder)) == [
        "corridor/sparse/0: the index and the run folder differ in mean_return, checksum."
    ]


def test_a_consistent_forgery_shows_when_the_run_is_repeated(folder):
    path = run_path(folder, "corridor/sparse/0") / run_folder.RESULT
    edit(path, lambda result: result.update(mean_return=0.123))
    index_again(folder)
    assert "those of their run folders" in verify(folder, "--runs", 0)
    said = verify(folder, "--runs", 4, code=1)
    assert (
        'corridor/sparse/0: result.json, line 4: recorded "mean_return": 0.123, repeated "mean_return": '
        in said
    )
    assert said.count("equal to the bit") == 3


def test_the_first_other_line_of_episodes_is_named(folder, tmp_path):
    job = job_of(folder, "corridor/count/0")
    path = run_path(folder, job.id) / EPISODES_FILE
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0], lines[1].replace('"lane": ', '"lane": 1'), *lines[2:]]))
    (difference,) = repeat(job, folder, tmp_path / "again").failures
    assert difference.startswith(f"{EPISODES_FILE}, line 2: recorded ")
    path.write_text("".join(lines))
    os.truncate(path, path.stat().st_size + 2**20)
    (difference,) = repeat(job, folder, tmp_path / "with a hole").failures
    assert difference.startswith(f"{EPISODES_FILE}, line {len(lines) + 1}: recorded \0")
    assert difference.endswith("repeated nothing.")
    assert len(difference) < 2000
    path.unlink()
    (difference,) = repeat(job, folder, tmp_path / "once more").failures
    assert difference == f"the recorded run has no {EPISODES_FILE}."


def test_other_requests_are_named(folder):
    edit_row(folder, "corridor/sparse/0", digest="0" * 16)
    edit_row(folder, "corridor/count/0", id="corridor/other/0")
    config = run_path(folder, "corridor/sparse/1") / run_folder.CONFIG
    config.write_text(config.read_text().replace("steps: 400", "steps: 4000"))
    shutil.rmtree(run_path(folder, "corridor/count/1"))
    said = " ".join(check_books(folder))
    assert "corridor/sparse/0: the index has a result of the request 0000000000000000" in said
    assert "corridor/other/0 is in the index, but not in the plan" in said
    assert "corridor/sparse/1: " in said
    assert "steps" in said
    assert "corridor/count/1: " in said
    verify(folder, "--runs", 0, code=1)


def test_an_edited_plan_is_refused(folder):
    plan = folder / "plan.jsonl"
    plan.write_text(plan.read_text().replace('"steps": 400', '"steps": 40', 1))
    assert "was edited" in verify(folder, code=2)


def made_elsewhere(folder: Path, job_id: str) -> None:
    path = run_path(folder, job_id) / run_folder.VERSIONS
    edit(path, lambda versions: versions.update(torch="0.4"))


def test_other_versions_are_said_and_compared_with_a_tolerance(folder, tmp_path):
    job = job_of(folder, "corridor/sparse/0")
    made_elsewhere(folder, job.id)
    result = run_path(folder, job.id) / run_folder.RESULT
    honest = json.loads(result.read_text())["mean_return"]

    same = repeat(job, folder, tmp_path / "same")
    assert same.changed["torch"][0] == "0.4"
    assert same.differences == same.failures == ()

    edit(result, lambda data: data.update(mean_return=honest - 0.1))
    near = repeat(job, folder, tmp_path / "near")
    assert near.differences
    assert near.failures == ()

    edit(result, lambda data: data.update(mean_return=honest - 0.3))
    (failure,) = repeat(job, folder, tmp_path / "far").failures
    assert failure.startswith("mean_return: recorded ")


def test_the_command_says_what_it_allowed(folder):
    for job in read_plan(folder).jobs:
        made_elsewhere(folder, job.id)
    episodes = run_path(folder, "corridor/sparse/0") / EPISODES_FILE
    episodes.write_text(episodes.read_text().replace('"lane": 0', '"lane": 1', 1))
    index_again(folder)
    said = verify(folder, "--runs", 4)
    assert "corridor/sparse/0 was made with torch 0.4" in said
    assert "corridor/sparse/0: not equal to the bit" in said
    assert "within 0.2" in said
    assert said.count(": equal to the bit") == 3


def test_folders_that_hold_nothing_to_check(folder, tmp_path):
    assert "is no sweep" in verify(tmp_path / "absent", code=2)
    (folder / INDEX).write_text("")
    with pytest.raises(RunError, match="nothing to repeat"):
        sample(folder, 1, 0)
    assert Results.open(folder).rows == ()
