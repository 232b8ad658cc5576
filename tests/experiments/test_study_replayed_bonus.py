"""The study of replayed bonuses: what it says of made-up runs, that its suite compares nothing else, and that it goes on."""

from __future__ import annotations

import pytest

from shapegym.experiments.studies.claims import StudyRequest
from shapegym.experiments.studies.index import load_study
from shapegym.experiments.studies.papers.replayed_bonus import SUITE, findings
from shapegym.experiments.sweeps.results import ResultRow
from shapegym.experiments.sweeps.suite import load_suite
from shapegym.shaping import RND, Stamped
from shapegym.shaping.files.reward_files import from_data
from shapegym.shaping.tree import terms_of


def _row(strategy: str, seed: int, solved_at: int) -> ResultRow:
    steps = [*range(100, 1100, 100)]
    rates = [float(step >= solved_at) for step in steps]
    return ResultRow(
        id=f"chain/{strategy}/{seed}",
        task="chain",
        strategy=strategy,
        entry=f"chain/{strategy}",
        seed=seed,
        stage=0,
        variant={},
        digest="",
        steps=1000,
        success_rate=rates[-1],
        mean_return=rates[-1],
        mean_length=1.0,
        episodes=1,
        first_success=None,
        shaped_return=None,
        parts={},
        curve={"step": steps, "success_rate": rates, "mean_return": rates, "mean_length": rates},
        versions={},
    )


def test_it_says_who_was_sooner_and_by_how_much() -> None:
    rows = [_row("recomputed", seed, 300 + 10 * seed) for seed in range(5)]
    rows += [_row("stamped", seed, 700) for seed in range(5)] + [
        _row("sparse", seed, 2000) for seed in range(5)
    ]
    found = findings(tuple(rows))
    (claim,), (table,) = found.claims, found.tables
    assert claim.holds
    assert "probability 1.00" in claim.measured
    assert {row[0]: row[2:] for row in table.rows} == {
        "recomputed": (1.0, 400.0),
        "stamped": (1.0, 700.0),
        "sparse": (0.0, float("inf")),
    }


def test_no_difference_is_no_claim() -> None:
    rows = [_row(strategy, seed, 500) for strategy in ("recomputed", "stamped") for seed in range(5)]
    assert not findings(tuple(rows)).claims[0].holds


def test_the_suite_differs_in_nothing_but_the_stamp() -> None:
    suite = load_suite(SUITE)
    for task in suite.tasks:
        rewards = {name: from_data(data) for name, data in suite.strategies(task).items() if data is not None}
        stamps = [
            [term for term in terms_of(rewards[name]) if isinstance(term, Stamped)]
            for name in ("recomputed", "stamped")
        ]
        bonuses = [
            [term for term in terms_of(rewards[name]) if isinstance(term, RND)]
            for name in ("recomputed", "stamped")
        ]
        assert [len(found) for found in stamps] == [0, 1]
        assert bonuses[0] == bonuses[1]


def test_the_quick_form_runs_and_goes_on_where_it_was(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    study = load_study("replayed-bonus")
    said: list[str] = []
    request = StudyRequest(seeds=(100,), quick=True, say=said.append)
    first, again = study.run(request), study.run(request)
    assert first == again
    assert len(first.tables[0].rows) == 3
    assert "3 of 3 runs" in said[-1]
