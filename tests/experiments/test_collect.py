"""Parts of a comparison are put together without their run folders, and nothing of them is lost or made up."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from shapegym.experiments.cli import app
from shapegym.experiments.errors import RunError
from shapegym.experiments.runs.request import RunConfig
from shapegym.experiments.sweeps.collection import collect
from shapegym.experiments.sweeps.entry import sweep
from shapegym.experiments.sweeps.loop import attempt
from shapegym.experiments.sweeps.plan import Job, Plan, run_path
from shapegym.experiments.sweeps.results import INDEX, Results
from shapegym.experiments.sweeps.verification import repeat
from shapegym.experiments.sweeps.workspace import PLAN, SWEEP, open_workspace, read_plan

CONFIG = RunConfig(
    env="shapegym/Corridor-v0",
    steps=200,
    env_kwargs={"length": 5},
    settings={"num_envs": 4, "n_steps": 16, "batch_size": 32},
    eval_every=100,
    eval_episodes=4,
)
COUNT = {"sum": ["task_reward", {"count_bonus": {"key": "features.state", "beta": 0.1}}]}


def part(
    folder: Path, strategy: str, reward: Any, seeds: range, *, done: int | None = None, **other: Any
) -> Path:
    """A sweep of one entry, of which the first runs are done."""
    jobs = tuple(
        Job("corridor", strategy, replace(CONFIG, reward=reward, seed=seed, **other)) for seed in seeds
    )
    workspace = open_workspace(folder, Plan("made", "Made", jobs))
    for job in jobs[:done]:
        assert attempt(job, folder, lambda event: None).kind == "finished"
        workspace.record(job)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    part(folder / "sparse", "sparse", None, range(2))
    part(folder / "count", "count", COUNT, range(3), done=2)
    return folder


@pytest.fixture
def parts(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "parts"))


def rows(folder: Path) -> dict[str, str]:
    return {row.id: row.as_line() for row in Results.open(folder).rows}


def edit_row(folder: Path, number: int, change: Callable[[dict[str, Any]], None]) -> None:
    lines = [json.loads(line) for line in (folder / INDEX).read_text().splitlines()]
    change(lines[number])
    (folder / INDEX).write_text("".join(json.dumps(line) + "\n" for line in lines))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_all_rows_and_all_that_was_asked_for_are_there_and_no_run_folders(
    parts: Path, tmp_path: Path
) -> None:
    before = contents(parts)
    found = collect([parts / "sparse", parts / "count"], tmp_path / "all")
    assert (found.new, found.rows, found.planned) == (4, 4, 5)
    assert rows(tmp_path / "all") == rows(parts / "sparse") | rows(parts / "count")
    assert {job.id for job in read_plan(tmp_path / "all").jobs} == {
        *(f"corridor/sparse/{seed}" for seed in range(2)),
        *(f"corridor/count/{seed}" for seed in range(3)),
    }
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == [PLAN, INDEX, SWEEP]
    assert contents(parts) == before


def test_parts_may_come_later_in_any_order_and_twice(parts: Path, tmp_path: Path) -> None:
    collect([parts / "sparse", parts / "count"], tmp_path / "at once")
    assert collect([parts / "count"], tmp_path / "one by one").new == 2
    assert collect([parts / "sparse"], tmp_path / "one by one").new == 2
    assert collect([parts / "sparse", parts / "count"], tmp_path / "one by one").new == 0
    collect([tmp_path / "one by one"], tmp_path / "again")
    assert (
        {name.split("/")[-1]: text for name, text in contents(tmp_path / "at once").items()}
        == {name.split("/")[-1]: text for name, text in contents(tmp_path / "one by one").items()}
        == {name.split("/")[-1]: text for name, text in contents(tmp_path / "again").items()}
    )


def test_a_sweep_goes_on_with_what_is_missing_and_keeps_the_rest(parts: Path, tmp_path: Path) -> None:
    collect([parts / "sparse", parts / "count"], tmp_path / "all")
    known = rows(tmp_path / "all")
    went_on = sweep(tmp_path / "all", workers=1)
    assert went_on.jobs == len(went_on.rows) == 5
    assert {path.name for path in (tmp_path / "all/runs/corridor/count").iterdir()} == {"2"}
    assert not (tmp_path / "all/runs/corridor/sparse").exists()
    assert known.items() < rows(tmp_path / "all").items()
    assert collect([tmp_path / "all"], tmp_path / "more").rows == 5


def test_a_sweep_with_run_folders_still_forgets_rows_that_have_none(parts: Path) -> None:
    shutil.rmtree(parts / "sparse/runs/corridor/sparse/1")
    workspace = open_workspace(parts / "sparse")
    assert set(workspace.rows) == {"corridor/sparse/0"}


def test_rows_are_repeated_from_the_plan_and_forged_ones_found(parts: Path, tmp_path: Path) -> None:
    folder = tmp_path / "all"
    collect([parts / "sparse", parts / "count"], folder)
    job = next(job for job in read_plan(folder).jobs if job.id == "corridor/count/1")
    honest = repeat(job, folder, tmp_path / "first")
    assert honest.differences == ()
    assert honest.failures == ()
    number = list(rows(folder)).index(job.id)
    edit_row(folder, number, lambda row: row.update(success_rate=0.123, mean_return=-3.0))
    forged = repeat(job, folder, tmp_path / "second")
    assert {line.split(":")[0] for line in forged.differences} == {"success_rate", "mean_return"}
    assert forged.failures


def test_the_commands_show_it(parts: Path, tmp_path: Path) -> None:
    def shapegym(*arguments: Any, code: int = 0) -> str:
        result = CliRunner().invoke(app, [*map(str, arguments)], env={"COLUMNS": "300"})
        assert result.exit_code == code, result.output
        return " ".join(result.output.split())

    folder = tmp_path / "all"
    assert "4 new results: 4 of 5 planned runs" in shapegym(
        "collect", parts / "sparse", parts / "count", "--out", folder
    )
    shapegym("report", folder)
    text = (folder / "report.md").read_text()
    assert "4 of 5 runs are finished" in text
    said = shapegym("verify", folder, "--only", "count/1")
    assert "4 results fit what was asked for; their run folders are not there." in said
    assert "corridor/count/1: equal to the bit." in said
    shutil.copytree(run_path(parts / "count", "corridor/count/1"), run_path(folder, "corridor/count/1"))
    said = shapegym("verify", folder, "--runs", 0)
    assert "4 results fit what was asked for, 1 with a run folder that agrees." in said
    said = shapegym("verify", parts / "count", "--runs", 0)
    assert "2 results are those of their run folders." in said
    assert "finished of those with 'ride'" in shapegym("verify", folder, "--only", "ride", code=2)
    edit_row(folder, 0, lambda row: row.update(digest="0" * 16))
    assert "has a result of the request 0000000000000000" in shapegym("verify", folder, "--runs", 0, code=1)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda parts: edit_row(parts / "count", 0, lambda row: row.update(episodes=7)),
            "differ in episodes",
        ),
        (lambda parts: (parts / "count" / INDEX).unlink(), "no results.jsonl"),
        (lambda parts: (parts / "count" / SWEEP).unlink(), "no sweep.json"),
        (lambda parts: shutil.rmtree(parts / "count/runs"), "is no run folder"),
    ],
)
def test_what_does_not_hold_is_not_collected(
    parts: Path, tmp_path: Path, spoil: Callable[[Path], object], message: str
) -> None:
    collect([parts / "sparse"], tmp_path / "all")
    before = contents(tmp_path / "all")
    spoil(parts)
    for target in (tmp_path / "all", tmp_path / "new"):
        with pytest.raises(RunError, match=message):
            collect([parts / "sparse", parts / "count"], target)
    assert contents(tmp_path / "all") == before
    assert not (tmp_path / "new").exists()


def test_parts_that_ask_for_other_things_are_refused(parts: Path, tmp_path: Path) -> None:
    longer = part(tmp_path / "longer", "sparse", None, range(1), steps=256)
    with pytest.raises(
        RunError, match=r"corridor/sparse/0 asks for something else.*steps was 200 and is 256"
    ):
        collect([parts / "sparse", longer], tmp_path / "all")
    stranger = tmp_path / "stranger"
    open_workspace(stranger, Plan("other", "Other", (Job("corridor", "sparse", CONFIG),)))
    (stranger / INDEX).touch()
    with pytest.raises(RunError, match=r"the sweep of other, .* of made"):
        collect([parts / "sparse", stranger], tmp_path / "all")
    assert not (tmp_path / "all").exists()


def test_two_results_of_one_run_are_refused(parts: Path, tmp_path: Path) -> None:
    collect([parts / "sparse"], tmp_path / "first")
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    edit_row(tmp_path / "second", 0, lambda row: row.update(checksum="f" * 16))
    with pytest.raises(RunError, match=r"second has another result of corridor/sparse/0"):
        collect([tmp_path / "first", tmp_path / "second"], tmp_path / "all")


def test_nothing_else_is_written_over(parts: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="a sweep with run folders"):
        collect([parts / "sparse"], parts / "count")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/mine.txt").write_text("mine")
    with pytest.raises(RunError, match="not empty, and no sweep"):
        collect([parts / "sparse"], tmp_path / "notes")
    with pytest.raises(RunError, match="nothing to collect"):
        collect([], tmp_path / "all")
