"""The study of occupancy penalties: its exact half on a few points, its runs only in outline."""

from __future__ import annotations

import pytest

from shapegym.experiments.studies.claims import StudyRequest
from shapegym.experiments.studies.papers.orpo_tomato import (
    PENALTIES,
    PPO_COEFFICIENTS,
    run,
    score,
    setting,
    trained,
)


def test_the_proxy_is_perfect_where_the_base_policy_goes() -> None:
    here = setting()
    assert 0.999 < here.r < 1
    assert 0 < here.advised < 0.05


def test_occupancies_keep_what_actions_lose() -> None:
    for coefficient in (0.01, 0.1):
        assert score(("sqrt_chi2", coefficient, None), steps=20).task > 6.67
        assert score(("action_kl", coefficient, None), steps=20).task < 0.1
    assert score(("action_kl", 1.0, None), steps=20).task > 6.67


def test_the_quick_form_reports_every_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shapegym.experiments.studies.papers.orpo_tomato.trained", lambda case, steps: 1.0)
    findings = run(StudyRequest(seeds=(0,), quick=True))
    sweep, runs = findings.tables
    assert len(sweep.rows) == 3
    assert sweep.columns[1:] == PENALTIES
    assert len(runs.rows) == len(PPO_COEFFICIENTS)
    assert findings.claims[0].holds


def test_a_short_run_learns_from_the_base_policy() -> None:
    assert trained((1.0, 100), steps=2_048) > 0


@pytest.mark.slow
def test_every_claim_holds() -> None:
    findings = run(StudyRequest(seeds=(0, 1, 2, 3, 4)))
    assert [claim.text for claim in findings.claims if not claim.holds] == []
