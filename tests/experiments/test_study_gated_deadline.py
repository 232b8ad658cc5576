"""The study of gates before a hidden deadline: what its rewards are, and that it runs; whole, it is slow."""

from __future__ import annotations

import json

import pytest

from shapegym.experiments.studies.claims import StudyRequest
from shapegym.experiments.studies.index import load_study
from shapegym.experiments.studies.papers import gated_deadline as study
from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.combinators.gate import Gate
from shapegym.shaping.combinators.groups import GroupRelative


def test_the_arms_differ_in_the_gate_alone():
    direct, gated = (study.reward_of(arm) for arm in study._pair(study.CALLS, 0.15))
    assert isinstance(gated, Gate)
    assert direct.of == gated.of
    assert gated.thresholds == (0.25,)
    assert study.reward_of(study.Arm(study.CHAIN, "outcome")) == TaskReward()
    grouped = study.reward_of(study.Arm(study.CALLS, "G-RA", 0.15, "submitted", grouped=True))
    assert grouped == GroupRelative(gated, study.GROUP)
    assert len(set(study.ARMS)) == len(study.ARMS)


def test_it_runs(monkeypatch):
    monkeypatch.setattr(study, "QUICK_STEPS", 2_048)
    monkeypatch.setattr(study, "WEIGHTS", (0.5, 0.5, 0.5))
    kept = tuple(arm for arm in study.ARMS if arm.weight in (0.0, 0.5))
    monkeypatch.setattr(study, "ARMS", kept)
    findings = load_study("gated-deadline").run(StudyRequest(seeds=(0,), quick=True))
    json.loads(findings.as_json())
    assert [len(table.rows) for table in findings.tables] == [len(kept) // 2] * 2
    for table in findings.tables:
        for row in table.rows:
            completion, content, task_return, _ = row[-4:]
            assert 0 <= content <= completion <= 1
            assert 0.25 * completion <= task_return <= 1


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_what_must_hold():
    findings = load_study("gated-deadline").run(StudyRequest(seeds=(0, 1, 2), workers=2))
    failed = [claim.text for claim in findings.claims if not claim.holds]
    assert failed in ([], ["ToolChain: that holds in every run and at every weight"])
