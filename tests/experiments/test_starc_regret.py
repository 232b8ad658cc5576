"""The study of distances and regret: what is a theorem holds on any seed; the order of correlations needs all of them."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from shapegym.experiments.studies.claims import StudyRequest
from shapegym.experiments.studies.index import load_study
from shapegym.experiments.studies.papers import starc_regret


def test_quick_form_shows_the_invariances():
    study = load_study("starc-regret")
    findings = study.run(StudyRequest(seeds=(100, 101, 102), quick=True))
    order, invariance = findings.claims[:2], findings.claims[2:]
    assert "24 pairs" in order[0].text
    assert all(claim.holds for claim in invariance), invariance
    assert [row[0] for row in findings.tables[0].rows] == list(starc_regret.DISTANCES)
    assert [row[0] for row in findings.tables[1].rows] == list(starc_regret.DISGUISES)


def test_a_task_is_measured_alike_twice():
    for first, second in zip(starc_regret.sample(100), starc_regret.sample(100), strict=True):
        np.testing.assert_array_equal(first, second)


def test_correlations_are_the_textbooks():
    rng = np.random.default_rng(0)
    pairs = rng.normal(size=(5, 4, 7))
    found = starc_regret.correlations(pairs)
    flat = pairs.reshape(20, 7)
    assert found.pearson[2, 1] == pytest.approx(np.corrcoef(flat[:, 2], flat[:, 6])[0, 1])
    assert found.spearman[2, 1] == pytest.approx(spearmanr(flat[:, 2], flat[:, 6]).statistic)
    assert (found.low <= found.pearson).all()
    assert (found.pearson <= found.high).all()


@pytest.mark.slow
def test_the_whole_claim():
    study = load_study("starc-regret")
    findings = study.run(StudyRequest(seeds=tuple(range(study.seeds))))
    assert all(claim.holds for claim in findings.claims), findings.claims
