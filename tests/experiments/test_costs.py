"""What a run took is written beside its result, survives interruption, and can be shown elsewhere."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from shapegym.agents.profiling import SECTIONS, Costs
from shapegym.experiments.cli import app
from shapegym.experiments.errors import RunError
from shapegym.experiments.runs import costs, run_folder
from shapegym.experiments.runs.request import RunConfig
from shapegym.experiments.runs.run import train

REWARD = {"sum": ["task_reward", {"count_bonus": {"key": "features.state", "beta": 0.1}}]}
REQUEST = RunConfig(
    "shapegym/Corridor-v0",
    1024,
    reward=REWARD,
    settings={"num_envs": 4, "n_steps": 32, "batch_size": 64},
    checkpoint_every=256,
    eval_episodes=4,
)
SMALL = ["--steps", "256", "--set", "num_envs=4", "--set", "n_steps=32", "--set", "batch_size=64"]


def shapegym(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def on_disk(folder: Path) -> dict[str, Any]:
    return json.loads((folder / run_folder.COSTS).read_text())


def test_a_run_says_what_it_cost(tmp_path):
    train(REQUEST, tmp_path / "run")
    data = on_disk(tmp_path / "run")
    assert list(data) == ["seconds", "frames_per_second", "resumed", "threads", "shares", "terms"]
    assert sorted(data["shares"]) == sorted(SECTIONS)
    assert sum(data["shares"].values()) == pytest.approx(1, abs=1e-5)
    assert min(data["shares"].values()) >= 0
    assert list(data["terms"]) == ["task_reward", "count_bonus"]
    assert 0 < sum(data["terms"].values()) <= data["shares"]["reward"]
    assert data["seconds"] * data["frames_per_second"] == pytest.approx(1024, abs=0.1)
    assert data["resumed"] == 0


def test_a_resumed_run_adds_to_the_costs_of_its_checkpoint(tmp_path):
    class Stop(Exception):
        pass

    def interrupt(step: int, _episodes: object) -> None:
        if step >= 700:
            raise Stop

    with pytest.raises(Stop):
        train(REQUEST, tmp_path, progress=interrupt)
    earlier = costs.read(tmp_path)
    assert earlier.frames == 512  # of the last checkpoint: what came after it is lost and counts for nothing
    train(REQUEST, tmp_path, resume=True)
    both = costs.read(tmp_path)
    assert both.frames == 1024
    assert both.resumed == 1
    assert both.seconds > earlier.seconds
    assert all(both.sections[name] >= earlier.sections[name] * 0.99 for name in SECTIONS)


def test_costs_come_back_from_their_file(tmp_path):
    spent = Costs(1000, dict(zip(SECTIONS, (4.0, 1.0, 2.0, 3.0, 0.0), strict=True)), {"bonus": 2.5}, 2)
    costs.write(tmp_path, spent)
    assert costs.read(tmp_path) == spent
    assert on_disk(tmp_path)["shares"]["environment"] == 0.4
    assert costs.read(tmp_path / "elsewhere") == Costs()


@pytest.mark.parametrize("text", ["{", "[]", '{"seconds": 1}', '{"seconds": "x"}'])
def test_damaged_costs_are_named(text, tmp_path):
    (tmp_path / run_folder.COSTS).write_text(text)
    with pytest.raises(RunError, match=r"costs\.json (is|holds)"):
        costs.read(tmp_path)


def test_profile_shows_the_reward_term_by_term(tmp_path):
    reward = tmp_path / "reward.yaml"
    reward.write_text(json.dumps({"reward": REWARD}))
    run = ["train", "shapegym/Corridor-v0", "--reward", str(reward), *SMALL]
    assert "Where the time went" not in shapegym(*run, "--out", str(tmp_path / "a"))
    text = shapegym(*run, "--out", str(tmp_path / "b"), "--profile")
    assert "256 steps in" in text
    for line in (*SECTIONS, "count_bonus"):
        assert f"{line} │" in text


class WandbError(Exception):
    pass


@pytest.fixture
def wandb(monkeypatch) -> SimpleNamespace:
    """A stand-in that writes down what it is asked."""
    seen = SimpleNamespace(begun=[], finished=[], summary={}, refuse="")

    def init(**options):
        if seen.refuse:
            raise WandbError(seen.refuse)
        folder = Path(options["dir"])
        seen.begun.append(options)
        seen.logged_before = (folder / run_folder.TENSORBOARD).exists()
        return SimpleNamespace(
            summary=seen.summary, finish=lambda exit_code=0: seen.finished.append(exit_code)
        )

    module = ModuleType("wandb")
    module.__dict__.update(init=init, Error=WandbError)
    monkeypatch.setitem(sys.modules, "wandb", module)
    return seen


def test_a_project_gets_the_request_the_logs_and_the_result(wandb, tmp_path):
    folder = tmp_path / "run"
    shapegym("train", "shapegym/Corridor-v0", *SMALL, "--out", str(folder), "--wandb", "corridors")
    (options,) = wandb.begun
    assert options["project"] == "corridors"
    assert options["name"] == "run"
    assert options["sync_tensorboard"] is True
    assert options["config"] == run_folder.read_config(folder)
    assert "wandb" not in options["config"]
    assert options["resume"] is None
    assert not wandb.logged_before  # it can follow only logs that are opened later
    assert wandb.summary == json.loads((folder / run_folder.RESULT).read_text())
    assert wandb.finished == [0]


def test_a_broken_run_is_shown_as_broken_and_goes_on_when_resumed(wandb, tmp_path):
    def stop(step: int, _episodes: object) -> None:
        if step >= 400:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(REQUEST, tmp_path, progress=stop, wandb="corridors")
    assert wandb.finished == [1]
    shapegym("train", "--resume", str(tmp_path), "--wandb", "corridors", "--profile")
    assert wandb.begun[1]["resume"] == "auto"
    assert wandb.finished == [1, 0]


def test_a_refused_project_leaves_nothing_behind(wandb, tmp_path):
    wandb.refuse = "no key"
    folder = tmp_path / "run"
    text = shapegym(
        "train", "shapegym/Corridor-v0", *SMALL, "--out", str(folder), "--wandb", "corridors", code=2
    )
    assert "refuses the run: no key" in text
    assert not folder.exists()


def test_a_missing_wandb_is_named_before_anything_begins(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "wandb", None)  # importing it fails
    folder = tmp_path / "run"
    run = ["train", "shapegym/Corridor-v0", *SMALL, "--out", str(folder)]
    assert "pip install 'shapegym[wandb]'" in shapegym(*run, "--wandb", "corridors", code=2)
    assert not folder.exists()
    shapegym(*run)  # nobody asks for it


def test_wandb_is_not_imported_unasked():
    code = "import sys; import shapegym.experiments.runs.run; sys.exit('wandb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
