"""``shapegym sweep``: options, what it shows and how it ends. Training is replaced by something quick."""

from __future__ import annotations

import io
import json
import shutil
from collections import deque
from contextlib import nullcontext
from dataclasses import replace

import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner

from shapegym.experiments.cli import app
from shapegym.experiments.errors import RunError
from shapegym.experiments.runs import run_folder
from shapegym.experiments.runs.request import RunConfig, request_of
from shapegym.experiments.sweeps import local_pool as pool
from shapegym.experiments.sweeps import loop as sweeping
from shapegym.experiments.sweeps.board import Board, leaderboard
from shapegym.experiments.sweeps.loop import JobEvent, attempt
from shapegym.experiments.sweeps.plan import Job
from shapegym.experiments.sweeps.results import Results
from shapegym.experiments.sweeps.workspace import read_plan

COUNT = {"count_bonus": {"key": "features.state", "beta": 0.1}}
SUITE = {
    "title": "Tiny",
    "seeds": 2,
    "settings": {"num_envs": 4, "n_steps": 32, "batch_size": 64},
    "rewards": {"sparse": None, "count": {"sum": ["task_reward", COUNT]}},
    "tasks": {"corridor": {"env": "shapegym/Corridor-v0", "steps": 1000}},
    "quick": {"seeds": 1, "budget": 0.5},
}


class Here:
    """Runs jobs in this process."""

    def __init__(self, workers=None):
        self.workers = workers

    def run(self, jobs, folder, on_event):
        for each in jobs:
            on_event(attempt(each, folder, on_event))


@pytest.fixture
def suite(tmp_path, monkeypatch):
    """A suite file in the working folder; strategies called "sparse" fail while `failing` holds something."""

    def train(config, folder, *, resume=False, progress=None, wandb=""):
        if failing and folder.parent.name == "sparse":
            raise failing[0]
        run_folder.create(folder, request_of(config))
        progress(config.steps // 2, None)
        good = config.reward is not None
        result = {
            "episodes": 2,
            "success_rate": 0.5 if good else 0.0,
            "mean_return": 0.25 if good else -0.0,
            "mean_length": 5.0,
            "steps_to_first_success": None,
            "shaped_return": None,
            "parts": {},
        }
        run_folder.write_text(folder / run_folder.RESULT, json.dumps(result))

    failing = deque()
    monkeypatch.setattr(sweeping, "train", train)
    monkeypatch.setattr(pool, "LocalPool", lambda workers: nullcontext(Here(workers)))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(SUITE))
    return failing


def shapegym(*arguments, code=0):
    result = CliRunner().invoke(app, ["sweep", *arguments])
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())  # long lines are wrapped


def rows(folder):
    return Results.open(folder).rows


def test_a_sweep_shows_its_runs_and_ends_with_a_leaderboard(suite, tmp_path):
    said = shapegym("tiny.yaml")
    assert "[3/4] corridor/count/1: success 50%, task return 0.250" in said
    assert "shapegym report sweeps/tiny" in said
    assert said.index("│ count") < said.index("│ sparse")  # the better one first
    assert len(rows(tmp_path / "sweeps/tiny")) == 4
    assert "[" not in shapegym("sweeps/tiny").partition("Report")[0].replace(
        "[1m", ""
    )  # nothing is run again


def test_options_say_what_is_run(suite, tmp_path):
    shapegym("tiny.yaml", "--quick", "--only", "count", "--out", "a")
    assert [(row.id, row.steps) for row in rows(tmp_path / "a")] == [("corridor/count/0", 500)]
    shapegym("tiny.yaml", "--seeds", "3", "--only", "sparse", "--out", "b")
    assert [row.seed for row in rows(tmp_path / "b")] == [0, 1, 2]
    shapegym("tiny.yaml", "--set", "reward.count_bonus.beta=0.1,0.2", "--out", "c")
    assert len(rows(tmp_path / "c")) == 6
    shapegym(
        "tiny.yaml",
        "--set",
        "settings.learning_rate=log:0.0001..0.01",
        "--search",
        "random",
        "--trials",
        "3",
        "--out",
        "d",
    )
    assert len(rows(tmp_path / "d")) == 12
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump({**SUITE, "sweep": {"settings.gamma": [0.9, 0.99]}}))
    shapegym("tiny.yaml", "--out", "e")
    assert {row.variant["settings.gamma"] for row in rows(tmp_path / "e")} == {0.9, 0.99}


def test_ablation_is_a_flag(suite, tmp_path):
    rewards = {
        "both": {
            "sum": [
                "task_reward",
                COUNT,
                {"scale": {"by": 0.5, "of": {"count_bonus": {"key": "obs", "beta": 0.1}}}},
            ]
        }
    }
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump({**SUITE, "rewards": rewards, "seeds": 1}))
    shapegym("tiny.yaml", "--ablate")
    strategies = {row.strategy for row in rows(tmp_path / "sweeps/tiny")}
    assert "both" in strategies
    assert sum(name.startswith("both-without-") for name in strategies) == 2


def test_halving_goes_on_from_its_folder(suite, tmp_path):
    options = ("--set", "settings.learning_rate=0.001,0.002,0.003", "--search", "halving", "--only", "count")
    shapegym("tiny.yaml", *options)
    folder = tmp_path / "sweeps/tiny"
    done = [row.id for row in rows(folder)]
    assert {"count-tuned"} < {row.strategy for row in rows(folder)}
    with (folder / "results.jsonl").open("r+") as file:  # the winner's runs are lost, folders and all
        file.truncate(0)
    shutil.rmtree(folder / "runs/corridor/count-tuned")
    shapegym("sweeps/tiny")
    assert [row.id for row in rows(folder)] == done


def test_failures_are_listed_and_tried_again(suite, tmp_path):
    suite.append(OSError(28, "No space left on device"))
    said = shapegym("tiny.yaml", code=1)
    assert "2 of 4 runs failed" in said
    assert "corridor/sparse/0: [Errno 28] No space left on device" in said
    assert "sweeps/tiny/failures.jsonl" in said
    suite.clear()
    shapegym("sweeps/tiny")
    assert len(rows(tmp_path / "sweeps/tiny")) == 4


def test_an_interrupted_sweep_says_how_to_go_on(suite):
    suite.append(KeyboardInterrupt())
    assert "Go on with: shapegym sweep sweeps/tiny" in shapegym("tiny.yaml", code=130)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "nothing"),
        (["tiny.yaml", "--on", "moon"], "local, ray or ray://"),
        (["tiny.yaml", "--only", "zzz"], "zzz"),
        (["tiny.yaml", "--search", "gird", "--set", "settings.gamma=0.9"], "grid"),
        (["tiny.yaml", "--search", "random"], "Nothing is swept"),
        (["tiny.yaml", "--trials", "3"], "leave out the number of trials"),
        (["tiny.yaml", "--set", "reward.cuont_bonus.beta=1"], "count_bonus"),
    ],
)
def test_mistakes_are_explained_before_anything_runs(suite, tmp_path, arguments, message):
    said = shapegym(*arguments, code=2)
    assert message in said
    assert "Traceback" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.yaml"]


def test_ranges_of_a_suite_are_searched(suite, tmp_path):
    text = yaml.safe_dump({**SUITE, "sweep": {"reward.count_bonus.beta": "log:0.01..1.0"}})
    (tmp_path / "tiny.yaml").write_text(text)
    shapegym("tiny.yaml", "--search", "random", "--trials", "3", "--only", "count")
    values = {job.variant["reward.count_bonus.beta"] for job in read_plan(tmp_path / "sweeps/tiny").jobs}
    assert len(values) == 3
    assert all(0.01 <= value <= 1 for value in values)
    assert "a grid is made of values" in shapegym("tiny.yaml", "--out", "other", code=2)


def test_a_folder_goes_on_as_it_was_asked_for(suite, tmp_path):
    shapegym("tiny.yaml")
    before = read_plan(tmp_path / "sweeps/tiny")
    assert "leave out --seeds" in shapegym("sweeps/tiny", "--seeds", "5", code=2)
    assert read_plan(tmp_path / "sweeps/tiny") == before
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump({**SUITE, "settings": {"num_envs": 8}}))
    assert "settings.num_envs was 4 and is 8" in shapegym("tiny.yaml", code=2)


def test_a_pool_has_workers():
    with pytest.raises(RunError, match="at least 1"):
        pool.LocalPool(0)


# --- the table


def drawn(board, height=40):
    console = Console(file=io.StringIO(), width=90, height=height)
    console.print(board)
    return console.file.getvalue()


def test_the_board_tells_what_goes_on_and_fits_the_terminal():
    config = RunConfig("shapegym/Corridor-v0", 1000)
    jobs = [Job("task", f"s{number}", config) for number in range(30)]
    board = Board({})
    board.set_jobs(jobs)
    assert "30,000 steps left" in drawn(board)
    board.show(JobEvent("started", "task/s29/0"))
    board.show(JobEvent("progress", "task/s29/0", 250))
    board.show(JobEvent("failed", "task/s28/0", message="no\nreason"))
    text = drawn(board, height=20)
    lines = text.splitlines()
    assert len(lines) <= 20
    assert "25%" in next(line for line in lines if "task/s29" in line)
    assert "task/s28" in text
    assert "more" in text
    assert "1 of 30 runs" in text
    assert "about" in text
    assert (
        board.line(JobEvent("failed", "task/s28/0", message="no\nreason")) == "[1/30] task/s28/0 failed: no"
    )
    board.show(JobEvent("skipped", "task/s29/0"))
    assert "1 of 30 runs" in drawn(board)


def test_the_leaderboard_weighs_tasks_equally_and_leaves_tuning_out(suite, tmp_path):
    shapegym("tiny.yaml")
    row = rows(tmp_path / "sweeps/tiny")[0]
    made = [replace(row, task="a", entry="a/x", success_rate=1.0) for _ in range(3)]
    made += [
        replace(row, task="b", entry="b/x", success_rate=0.0),
        replace(row, task="a", entry="a/y@1", stage=1),
    ]
    made += [replace(row, task="a", entry=f"a/z~{'long' * 20}={value}") for value in (1, 2)]
    console = Console(file=io.StringIO(), width=80)
    console.print(leaderboard(made))
    text = console.file.getvalue()
    assert "50%" in text
    assert "y@1" not in text
    assert "…" not in text
    assert "=1" in text
    assert "=2" in text
