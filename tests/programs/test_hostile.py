"""Hostile and broken programs: refused with a reason or contained, and nothing of them is run."""

from __future__ import annotations

import builtins
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces
from hostile_programs import CANARY, CONTAINED, HOSTILE, body, value

from shapegym.shaping.programs.abstraction import Abstraction, abstraction_from
from shapegym.shaping.programs.evaluations.interpreter import Interpreter
from shapegym.shaping.programs.evaluations.kernel import ProgramKernel
from shapegym.shaping.programs.evaluations.monty import why_not
from shapegym.shaping.programs.language.complaint import Complaint, ProgramError
from shapegym.shaping.programs.program import read_program
from shapegym.shaping.programs.wall import Job, behind_wall

ABSTRACTION = abstraction_from(
    {"pos": spaces.Box(0, 7, (2,), int), "has_key": spaces.Box(0, 1, (), bool)},
    spaces.Discrete(3),
    spaces.Box(-1.0, 1.0, (3,)),
)
COLUMNS = {("action", "action"): np.arange(6).reshape(2, 3) % 3}


@contextmanager
def untouched() -> Iterator[None]:
    """Fails if a file is opened, a connection or process made, or the environment changed, while a program is read."""

    def caught(*args: object, **kwargs: object) -> None:
        raise AssertionError(f"a program reached {args[:1]}")

    environment = dict(os.environ)
    with pytest.MonkeyPatch.context() as patch:
        for place, name in ((builtins, "open"), (os, "system"), (socket, "socket"), (subprocess, "Popen")):
            patch.setattr(place, name, caught)
        yield
    assert dict(os.environ) == environment
    assert not Path(CANARY).exists()


def complaints_of(source: str, abstraction: Abstraction | None) -> tuple[Complaint, ...]:
    """What reading a program complains of."""
    try:
        with untouched():
            read_program(source, abstraction)
    except ProgramError as error:
        return error.complaints
    return ()


def test_there_are_many_of_them() -> None:
    assert len(HOSTILE) >= 80


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_program_is_refused_with_a_reason(name: str) -> None:
    complaints = complaints_of(HOSTILE[name], ABSTRACTION)
    assert 1 <= len(complaints) <= 12
    for complaint in (*complaints, *complaints_of(HOSTILE[name], None)):
        assert complaint.message.endswith((".", "?"))
        assert len(str(complaint)) < 600


@pytest.mark.parametrize("name", CONTAINED)
def test_what_is_no_number_follows_ieee_and_is_the_same_everywhere(name: str) -> None:
    program = read_program(CONTAINED[name], ABSTRACTION)
    columns = {("action", "action"): np.array([0, 1, 2])}
    compiled, plain = ProgramKernel(program), Interpreter(program)
    memories = program.fresh_memory(3), program.fresh_memory(3)
    for _ in range(3):
        values = [
            evaluate(columns, 3, memory) for evaluate, memory in zip((compiled, plain), memories, strict=True)
        ]
        assert np.array_equal(*values, equal_nan=True)
    assert not np.isfinite(values[0]).all()


def test_behind_the_wall_a_program_is_read_and_run_twice() -> None:
    source = body("near = -norm(after.pos)", end="return near + 0.5 * action, {'near': near}")
    columns = {**COLUMNS, ("after", "pos"): np.arange(12).reshape(2, 3, 2)}
    outcome = behind_wall(Job(source, ABSTRACTION, columns), seconds=30)
    assert outcome.passed, outcome
    assert outcome.parts == ("near",)
    assert outcome.evaluations == ("kernel", "interpreter", *(() if why_not() else ("monty",)))
    assert outcome.values is not None
    expected = -np.hypot(columns["after", "pos"][..., 0], columns["after", "pos"][..., 1])
    assert np.allclose(outcome.values, [expected + 0.5 * COLUMNS["action", "action"], expected])
    assert any("opens no file and no connection" in wall for wall in outcome.walls)
    assert (
        sum("Landlock" in wall or "seccomp" in wall for wall in outcome.walls) == 2
    )  # there, or said plainly


def test_behind_the_wall_what_takes_too_long_is_ended() -> None:
    lanes = np.zeros((1, 400_000), dtype=np.int64)
    slow = body("x = 0.0", "for i in range(300):\n    x += sin(x + i)", end="return x + action, {}")
    outcome = behind_wall(Job(slow, ABSTRACTION, {("action", "action"): lanes}), seconds=1)
    assert not outcome.passed
    assert "1 s" in outcome.failure


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name == "full-width name" else pytest.mark.slow)
        for name in [*HOSTILE, *CONTAINED]
    ],
)
def test_behind_the_wall_each_is_refused_or_contained(name: str) -> None:
    source = {**HOSTILE, **CONTAINED}[name]
    outcome = behind_wall(Job(source, ABSTRACTION, COLUMNS))
    assert not outcome.failure
    if name in HOSTILE:
        assert outcome.complaints
        assert outcome.values is None
    else:
        assert outcome.passed
        assert outcome.values is not None
        assert not np.isfinite(outcome.values).all()
    assert not Path(CANARY).exists()


BREAK_OUT = """
import os, socket, sys
from shapegym.shaping.programs import cell
walls = [cell._limit(2**30)]
packages = {what: cell._package(what) for what in cell._DONE_BY}
walls += [cell._confine(what, package) for what, package in packages.items()]
walls.append(cell._shut(5))

def held(attempt):
    try:
        attempt()
    except (OSError, MemoryError):
        return True
    return False

print(held(lambda: open("/etc/passwd")), held(lambda: open(sys.argv[1], "w")), held(socket.socket), held(os.pipe))
print(held(lambda: bytearray(2**31)), *walls)
"""


def test_the_child_can_open_nothing_once_the_doors_are_shut(tmp_path: Path) -> None:
    command = [sys.executable, "-c", BREAK_OUT, str(tmp_path / "made")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.startswith("True True True True\nTrue")
    assert not (tmp_path / "made").exists()


def test_the_child_has_none_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "canary")
    seen = {}

    def caught(command: list[str], **options: object) -> None:
        seen.update(options)
        raise OSError("stopped here")

    monkeypatch.setattr(subprocess, "Popen", caught)
    with pytest.raises(OSError, match="stopped here"):
        behind_wall(Job(value("action"), ABSTRACTION, COLUMNS))
    assert "canary" not in str(seen["env"])
