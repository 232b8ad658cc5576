"""The study of learned blending: its quick form has all of its tables, and the hyper-gradient agrees at any seed."""

from __future__ import annotations

import numpy as np
import pytest

from shapegym.envs.tabular.open_grid import open_grid
from shapegym.experiments.studies.claims import StudyRequest
from shapegym.experiments.studies.index import load_study
from shapegym.experiments.studies.papers import blend_grid


def test_quick_form_has_every_table_and_agrees_with_differences():
    findings = load_study("blend-grid").run(StudyRequest(seeds=(100,), quick=True))
    main, by_decay, *_, by_terms = findings.tables
    assert [row[0] for row in main.rows] == [*blend_grid.ALTERNATIVES, "BARFI"]
    assert main.columns[1:] == blend_grid.HEURISTICS
    assert len(by_decay.rows) == 2 * len(main.rows)
    assert [row[0] for row in by_terms.rows] == list(blend_grid.TERMS)
    claim = next(claim for claim in findings.claims if "cosine" in claim.text)
    assert claim.holds, claim.measured


def test_more_terms_agree_better():
    implicit, unrolled = blend_grid.agreement(101)
    for found in (implicit, unrolled):
        errors = [each.error for each in found]
        assert errors == sorted(errors, reverse=True)
        assert found[-1].cosine > 0.999
        assert errors[-1] < 0.01


def test_heuristics_are_what_they_are_called():
    task = open_grid().task
    near, far = 23, 0
    assert task.features["agent_pos"][near].tolist() == [4, 3]
    good, half, reverse = (
        blend_grid.heuristic_values(task, name) for name in ("good", "half-wrong", "reversed")
    )
    assert good[near] > good[far]
    np.testing.assert_array_equal(reverse, -good)
    below, right = task.features["agent_pos"].tolist().index([1, 0]), 1
    assert half[below] > half[far] > half[right]
    assert not blend_grid.heuristic_values(task, "none").any()


def test_a_potential_telescopes_at_the_learners_discount():
    task = open_grid().task
    shaping = blend_grid.blended(task, "reversed", "PBRS")[0][-1]
    potential = np.where(task.terminal, 0.0, blend_grid.heuristic_values(task, "reversed"))
    path = [0, 5, 10, 11, 16, 17]
    gamma = blend_grid.learner.INNER_GAMMA
    paid = sum(gamma**t * shaping[s, 0, path[t + 1]] for t, s in enumerate(path[:-1]))
    assert paid == pytest.approx(gamma ** (len(path) - 1) * potential[path[-1]] - potential[path[0]])


@pytest.mark.slow
def test_the_whole_claim():
    study = load_study("blend-grid")
    findings = study.run(StudyRequest(seeds=tuple(range(study.seeds)), workers=2))
    assert all(claim.holds for claim in findings.claims[:3]), findings.claims
