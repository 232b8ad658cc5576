"""``shapegym record``: base data from a run, from random actions and from the optimum, and how it says no."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from shapegym.agents.base_policy import record_base
from shapegym.agents.finite.oracle import OptimalPolicy
from shapegym.experiments.cli import app
from shapegym.experiments.runs.request import RunConfig
from shapegym.experiments.runs.run import train
from shapegym.shaping.models.base_data import load_base

CORRIDOR = "shapegym/Corridor-v0"


def record(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["record", *map(str, arguments)], env={"COLUMNS": "200"})
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def test_what_is_recorded_is_what_the_function_records(tmp_path: Path) -> None:
    target = tmp_path / "new" / "base.npz"
    text = record(
        "optimal", "--env", CORRIDOR, "--out", target, "--steps", 100, "--feature", "state", "--seed", 3
    )
    assert str(target) in text
    record_base(
        OptimalPolicy(CORRIDOR), CORRIDOR, tmp_path / "own.npz", steps=100, seed=3, features=("state",)
    )
    assert load_base(target).digest == load_base(tmp_path / "own.npz").digest


def test_random_actions_take_arguments_of_the_environment(tmp_path: Path) -> None:
    target = tmp_path / "base.npz"
    record("random", "--env", CORRIDOR, "--env-arg", "length=4", "--out", target, "--steps", 200)
    data = load_base(target)
    assert "(4,)" in data.spaces[0]
    assert len(np.unique(data.action)) > 1


def test_a_run_is_recorded_on_its_own_task(tmp_path: Path) -> None:
    folder, target = tmp_path / "run", tmp_path / "base.npz"
    settings = {"num_envs": 2, "n_steps": 16, "batch_size": 32}
    train(RunConfig(CORRIDOR, 64, env_kwargs={"length": 4}, settings=settings, eval_episodes=2), folder)
    record(folder, "--out", target, "--steps", 50)
    assert len(load_base(target)) == 50
    assert "leave out --env" in record(folder, "--env", CORRIDOR, "--out", target, code=2)
    (folder / "model.npz").unlink()
    assert "--trust" in record(folder, "--out", target, code=2)
    record(folder, "--out", target, "--steps", 50, "--trust")
    (folder / "model.zip").unlink()
    assert "--resume" in record(folder, "--out", target, code=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["random", "--out", "base.npz"], "Add --env ID"),
        (["optimal", "--env", "CartPole-v1", "--out", "base.npz"], "no finite task"),
        (["random", "--env", "shapegym/Coridor-v0", "--out", "base.npz"], "no environment"),
        (["random", "--env", CORRIDOR, "--out", "base.csv"], ".npz"),
        (["random", "--env", CORRIDOR, "--feature", "height", "--out", "base.npz"], "height"),
        (["nowhere", "--out", "base.npz"], "no run folder"),
    ],
)
def test_mistakes_are_explained_and_leave_nothing(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in record(*arguments, code=2)
    assert not list(tmp_path.iterdir())
