"""``shapegym study``: what it lists, what it says, and how it ends."""

import json
import math

import numpy as np
import pytest
from typer.testing import CliRunner

from shapegym.experiments.cli import app
from shapegym.experiments.errors import RunError
from shapegym.experiments.processes import in_processes
from shapegym.experiments.studies import index
from shapegym.experiments.studies.claims import Claim, Findings, ResultTable, StudyRequest
from shapegym.experiments.studies.index import Study, load_study, study_names

RUNNER = CliRunner()


def findings(request: StudyRequest, *, holds: bool = True) -> Findings:
    request.say("busy")
    return Findings(
        claims=(Claim("two is even", np.bool_(holds), f"{len(request.seeds)} looked"),),  # type: ignore[arg-type]
        tables=(ResultTable("Numbers", ("name", "value"), (("two", np.float64(2.0)), ("[red]", 3))),),
        notes=("a [note]",),
    )


@pytest.fixture
def fake(monkeypatch):
    def use(run) -> None:
        monkeypatch.setattr(index, "load_study", lambda name: Study(name, "Two is even.", 4, run))

    return use


def test_every_study_has_a_claim_a_number_of_seeds_and_a_name_that_finds_it() -> None:
    result = RUNNER.invoke(app, ["study"])
    assert result.exit_code == 0
    for name in study_names():
        found = load_study(name)
        assert found.name == name
        assert found.claim.endswith(".")
        assert found.seeds >= 1
        assert name in result.output


def test_it_prints_what_was_found_and_writes_it(fake, tmp_path) -> None:
    fake(findings)
    result = RUNNER.invoke(app, ["study", "two", "--out", str(tmp_path / "two.json")])
    assert result.exit_code == 0, result.output
    for text in ("Two is even.", "holds: two is even (4 looked)", "[red]", "a [note]", "4 seed(s)"):
        assert text in result.output
    written = json.loads((tmp_path / "two.json").read_text())
    assert written["claims"] == [{"text": "two is even", "holds": True, "measured": "4 looked"}]
    assert written["tables"][0]["rows"] == [["two", 2.0], ["[red]", 3]]


def test_findings_are_strict_json_in_a_new_folder(fake, tmp_path) -> None:
    numbers = (float("nan"), -math.inf, np.float64("inf"), 1.0)
    fake(lambda _: Findings((), (ResultTable("Numbers", ("a", "b", "c", "d"), (numbers,)),)))
    target = tmp_path / "new" / "two.json"
    result = RUNNER.invoke(app, ["study", "two", "--out", str(target)])
    assert result.exit_code == 0, result.output
    (table,) = json.loads(target.read_text(), parse_constant=pytest.fail)["tables"]
    assert table["rows"] == [[None, None, None, 1.0]]


def test_a_claim_that_does_not_hold_is_an_exit_code_of_1(fake) -> None:
    fake(lambda request: findings(request, holds=False))
    result = RUNNER.invoke(app, ["study", "two"])
    assert result.exit_code == 1
    assert "does not hold: two is even" in result.output
    quick = RUNNER.invoke(app, ["study", "two", "--quick"])
    assert quick.exit_code == 0
    assert "1 looked" in quick.output
    assert "undecided: two is even" in quick.output
    assert "decide nothing" in quick.output


def test_an_unknown_study_is_an_exit_code_of_2_and_names_the_nearest() -> None:
    result = RUNNER.invoke(app, ["study", "blend-grit"])
    assert result.exit_code == 2
    assert "blend-grid" in result.stderr
    with pytest.raises(RunError, match="no study"):
        load_study("nothing")


def test_rows_that_do_not_fit_their_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        ResultTable("Numbers", ("name", "value"), (("two",),))


@pytest.mark.parametrize("workers", [1, 2])
def test_items_are_worked_on_in_order(workers) -> None:
    assert in_processes(math.factorial, range(5), workers) == [
        1,
        1,
        2,
        6,
        24,
    ]  # a function that any process can import
