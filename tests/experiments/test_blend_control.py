"""The study of BARFI on control tasks: its quick form runs, its suite is what it reports; its claims need all seeds."""

import pytest

from shapegym.experiments.studies.claims import StudyRequest
from shapegym.experiments.studies.index import load_study
from shapegym.experiments.studies.papers.blend_control import FAMILIES, HEURISTICS, METHODS
from shapegym.experiments.sweeps.suite import load_suite
from shapegym.shaping.files.reward_files import from_data
from shapegym.shaping.tree import terms_of
from shapegym.shaping.weights.blend import LearnedWeight


def test_the_quick_form_has_every_method():
    findings = load_study("blend-control").run(StudyRequest(seeds=(100,), quick=True))
    scores, learned = findings.tables
    assert scores.columns == ("method", "reversed")
    assert [row[0] for row in scores.rows] == list(METHODS.values())
    assert [row[0] for row in learned.rows][:3] == ["weight: task", "weight: heuristic", "weight: bias"]
    assert len(findings.claims) == 2


def test_the_suite_differs_in_nothing_but_the_use_of_heuristics():
    suite = load_suite("blend")
    assert list(suite.tasks) == [f"{family}_{name}" for family in FAMILIES for name in HEURISTICS]
    for family in FAMILIES:
        tasks = [suite.tasks[f"{family}_{name}"] for name in HEURISTICS]
        assert len({(task.env, task.steps, str(task.env_kwargs), str(task.settings)) for task in tasks}) == 1
    for name in suite.tasks:
        for strategy, data in suite.strategies(name).items():
            weights = [term for term in terms_of(from_data(data)) if isinstance(term, LearnedWeight)]
            assert all(weight.learn == (strategy == "barfi") for weight in weights)
            assert len(weights) >= 1


@pytest.mark.slow
def test_all_claims_hold_on_the_reported_seeds():
    study = load_study("blend-control")
    findings = study.run(StudyRequest(seeds=tuple(range(study.seeds)), workers=2))
    assert all(claim.holds for claim in findings.claims), [
        claim.measured for claim in findings.claims if not claim.holds
    ]
