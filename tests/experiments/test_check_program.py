"""``shapegym check PROGRAM.py --env ENV``: what is wrong with a program, and exit codes by which scripts can tell."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from shapegym.experiments.cli import app
from shapegym.shaping.programs.references import reference

ENV = "shapegym/KeyDoor-v0"


def check(path: Path, *more: str, code: int) -> str:
    result = CliRunner().invoke(app, ["check", str(path), "--env", ENV, *more])
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def test_a_reference_program_is_clean(tmp_path: Path) -> None:
    path = tmp_path / "reward.py"
    path.write_text(reference("key_door").source)
    text = check(path, code=0)
    assert "A reward of near, key, door." in text
    assert "Nothing was found to be wrong with it" in text
    assert "leads an agent 100% of the way" in text


def test_findings_are_sentences_with_transitions(tmp_path: Path) -> None:
    path = tmp_path / "reward.py"
    path.write_text(reference("key_door").source.replace("0.05", "-0.05"))
    text = check(path, code=1)
    assert "Warning (sign): line " in text
    assert "agent_pos=(" in text


def test_what_is_refused_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "reward.py"
    path.write_text("import os\ndef potential(state):\n    return state.goal, {}\n")
    text = check(path, code=2)
    assert "line 1: Nothing can be imported" in text
    assert "Did you mean 'goal_pos'" in text


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--gamma", "1"], "between 0 and 1"),
        (["--pay", "task"], "--pay"),
        (["--feature", "nothing"], "no feature"),
    ],
)
def test_options_that_make_no_sense_for_a_program(tmp_path: Path, more: list[str], said: str) -> None:
    path = tmp_path / "reward.py"
    path.write_text(reference("key_door").source)
    assert said in check(path, *more, code=2)


def test_what_knows_the_answer_is_read_by_name_only(tmp_path: Path) -> None:
    path = tmp_path / "reward.py"
    path.write_text(
        "def compute_reward(before, after, action):\n    x = 1.0 if after.success else 0.0\n    return x, {'x': x}\n"
    )
    assert "no feature 'success'" in check(path, code=2)
    check(path, "--feature", "success", code=0)
