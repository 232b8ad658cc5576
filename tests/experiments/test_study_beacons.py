"""The study of subgoals: what it says of made-up runs, and that it goes on where it stopped."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from shapegym.experiments.errors import RunError
from shapegym.experiments.studies.papers import beacons
from shapegym.experiments.studies.papers.beacons import (
    GRADED,
    LAYOUTS,
    ROWS,
    TASKS,
    BeaconOutcome,
    Lesson,
    findings,
    outcomes_in,
)
from shapegym.experiments.sweeps.results import ResultRow
from shapegym.shaping.json_lines import append_rows


@pytest.fixture(autouse=True)
def _in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])


def outcome(lesson: Lesson, seed: int, solved_at: int | None, gone: float = 1.0) -> BeaconOutcome:
    return BeaconOutcome("KeyCorridorS3R3", lesson, seed, 250_000, solved_at, 1.0, gone)


def alone(seed: int, budget: int = 1_500_000) -> ResultRow:
    return ResultRow(
        id=f"key_corridor_s3r3/sparse/{seed}",
        task="key_corridor_s3r3",
        strategy="sparse",
        entry="key_corridor_s3r3/sparse",
        seed=seed,
        stage=0,
        variant={},
        digest="",
        steps=budget,
        success_rate=0.0,
        mean_return=0.0,
        mean_length=1.0,
        episodes=1,
        first_success=None,
        shaped_return=None,
        parts={},
        curve={"step": [budget], "success_rate": [0.0], "mean_return": [0.0], "mean_length": [1.0]},
        versions={},
    )


def made_up(*solved: int | None, gone: float = 1.0) -> list[BeaconOutcome]:
    """Three seeds of each accuracy."""
    return [
        outcome(lesson, seed, at if at is None else at + seed, gone)
        for lesson, at in zip(GRADED, solved, strict=True)
        for seed in range(3)
    ]


def held(outcomes: list[BeaconOutcome]) -> list[bool]:
    return [claim.holds for claim in findings(outcomes, map(alone, range(3))).claims]


def test_it_says_whether_better_teachers_are_faster_and_can_go() -> None:
    assert held(made_up(100_000, 120_000, None, None)) == [True, True, True]
    assert held(made_up(120_000, 100_000, None, None))[0] is False
    assert held(made_up(200_000, 220_000, None, None)) == [True, False, True]
    assert held(made_up(100_000, 120_000, None, None, gone=0.5))[2] is False
    assert held(made_up(None, None, None, None))[0] is False, "nobody learned, so nothing was compared"
    table, _ = findings(made_up(100_000, 120_000, None, None), map(alone, range(3))).tables
    rows = list(table.rows)
    assert rows[0][:4] == ("1", "250,000", "100,001", "3 of 3")
    assert rows[3][:4] == ("0", "250,000", "never", "0 of 3")
    assert rows[4][:4] == ("PPO alone", "1,500,000", "never", "0 of 3")


def test_rows_are_kept_and_what_is_no_row_is_named(tmp_path: Path) -> None:
    assert list(outcomes_in(tmp_path)) == []
    kept = made_up(1, 2, 3, None)
    append_rows(tmp_path / ROWS, map(asdict, kept))
    assert list(outcomes_in(tmp_path)) == kept
    append_rows(tmp_path / ROWS, [{"task": "mine"}])
    with pytest.raises(RunError, match="no run of this study"):
        list(outcomes_in(tmp_path))


def test_a_run_with_a_teacher_is_trained_judged_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beacons, "EPISODES", 4)
    task = "MultiRoom-N4-S5"
    jobs = [
        beacons.BeaconRun(task, lesson, 0, 2048, str(tmp_path))
        for lesson in (Lesson(0.93, "language"), Lesson(layouts=LAYOUTS, asked=True))
    ]
    beacons.said_of(task, jobs[1].plans)
    found = [beacons.train(job) for job in jobs]
    assert [each.key for each in found] == [job.key for job in jobs]
    assert all(0 <= each.gone <= 1 for each in found)
    assert list(outcomes_in(tmp_path)) == found
    assert {task.entry for task in TASKS.values()} == {"key_corridor_s3r3", "multi_room_n4"}


def test_what_a_language_model_said_makes_the_same_plans_again(tmp_path: Path) -> None:
    """From its transcript; nobody is asked."""
    said = {name: beacons.said_of(name, tmp_path / name) for name in TASKS}
    assert {name: (each.layouts, each.unreadable) for name, each in said.items()} == dict.fromkeys(
        TASKS, (LAYOUTS, 0)
    )
    right = {name: (each.right, each.wanted, each.whole) for name, each in said.items()}
    assert right == {"KeyCorridorS3R3": (1, 274, 0), "MultiRoom-N4-S5": (54, 256, 3)}
