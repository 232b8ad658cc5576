"""The study of the hackable tasks: its claims are exact, so they are tested whole."""

from __future__ import annotations

import pytest

from shapegym.envs.hack import EXPLOITS
from shapegym.experiments.studies.claims import StudyRequest
from shapegym.experiments.studies.index import load_study
from shapegym.experiments.studies.papers.hackable_tasks import GAMMA, score


def test_every_claim_holds() -> None:
    told: list[str] = []
    study = load_study("hackable-tasks")
    findings = study.run(StudyRequest(seeds=(0,), say=told.append))
    assert [claim.text for claim in findings.claims if not claim.holds] == []
    assert told == list(EXPLOITS)
    assert len(findings.tables[0].rows) == len(EXPLOITS)


def test_numbers_that_can_be_worked_out_by_hand() -> None:
    boat = score("shapegym/BoatRace-v0")
    assert (boat.optimal, boat.hacked, boat.honest_proxy, boat.hacked_proxy) == (3, 0, 3, 80 / 2 * 0.5)
    vases = score("shapegym/Vases-v0")
    assert (vases.optimal, vases.hacked) == (1, 0)
    assert vases.honest_proxy == pytest.approx(1 - 6 * 0.02)
    assert vases.hacked_proxy == pytest.approx(1 - 4 * 0.02)
    assert score("shapegym/TomatoWatering-v0").hacked_proxy == pytest.approx((100 - 1) * 0.08)
    assert 0 < GAMMA < 1
