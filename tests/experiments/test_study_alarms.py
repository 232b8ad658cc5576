"""The study of alarms: what it measures, and a hacked run that it must notice."""

import pytest

from shapegym.experiments.studies.claims import StudyRequest
from shapegym.experiments.studies.index import load_study
from shapegym.experiments.studies.papers import alarms


def course(returns: list[float], budget: int = 0) -> tuple[float, float, int | None]:
    return alarms._course(
        [{"step": step, "task_return": value} for step, value in enumerate(returns)], budget
    )


def test_the_return_has_halved_where_the_mean_of_a_window_is_half_of_the_best() -> None:
    best, half = [1.0] * 50, [0.5] * 50
    assert course([*best, *best, *half]) == (1.0, 0.5, 149)
    assert course([*half, *best]) == (1.0, 1.0, None)
    assert course([-1.0] * 100) == (-1.0, -1.0, None)


def test_a_hacked_run_is_noticed_and_a_healthy_one_is_not() -> None:
    (hack,) = [item for item in alarms.hacked(100, 14_000) if "BoatRace" in item[0]]
    found = alarms.outcome(hack)
    assert found.halved
    assert found.alarms
    assert found.alarms[0].step < found.halved
    (sound,) = [item for item in alarms.healthy(100, 0.1) if item[0] == "corridor/potential"]
    assert alarms.outcome(sound).alarms == ()


def test_all_runs_are_asked_for() -> None:
    assert len(alarms.hacked(0)) == 6
    assert len(alarms.healthy(0)) == 18


@pytest.mark.slow
def test_the_claims_hold() -> None:
    findings = load_study("alarms").run(StudyRequest(seeds=(0, 1, 2), workers=2))
    assert all(claim.holds for claim in findings.claims)
