"""The study of guards: its quick form has the shape of the whole, and its exact half is right."""

from __future__ import annotations

import pytest

from shapegym.experiments.studies.claims import StudyRequest
from shapegym.experiments.studies.index import load_study
from shapegym.experiments.studies.papers import guards


def test_the_quick_form_scores_every_guard() -> None:
    findings = load_study("guards").run(StudyRequest(seeds=(0,), quick=True))
    shares, success = findings.tables
    assert shares.columns == ("reward", "TomatoWatering", "mean")
    assert [row[0] for row in shares.rows] == list(guards.rewards("TomatoWatering", 1024))
    assert all(0.0 <= float(cell) <= 1.0 for row in success.rows for cell in row[1:])
    assert findings.claims[-1].holds


@pytest.mark.parametrize("hold", ["equal", "at_least"])
def test_proxies_held_at_the_peak_beat_every_fixed_weight(hold: str) -> None:
    held, score = guards.constrained_peak(hold)
    fixed = max(guards.regularised([weight, weight], 0.2)[1] for weight in (0.1, 0.2, 0.3, 0.5, 1.0))
    assert held[1] == pytest.approx(0.6, abs=0.01)
    assert score >= fixed


def test_thresholds_come_from_the_exact_solution() -> None:
    scale = guards.scale_of("BoatRace")
    assert (scale.optimal, scale.part) == (3.0, 3.0)  # three laps, two arrows each, half a lap an arrow


@pytest.mark.slow
def test_the_claims_that_are_robust_hold() -> None:
    findings = load_study("guards").run(StudyRequest(seeds=(0, 1, 2), workers=2))
    held = {claim.text.partition(",")[0] for claim in findings.claims if claim.holds}
    for guard in ("task", "delta", "potential", "clip", "gate"):
        assert f"{guard} earns more of the tasks than task + part" in held
    assert "delta earns more of the tasks than task" in held
