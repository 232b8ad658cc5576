"""The functions that a notebook calls: `sweep`, `report` and `compare` without a command line."""

from __future__ import annotations

import json
import shutil

import pytest
import yaml

from shapegym import experiments
from shapegym.experiments import RunError, Suite, compare, load_suite, report, sweep
from shapegym.experiments.sweeps.results import Results

SUITE = {
    "title": "Two rewards on a corridor",
    "seeds": 2,
    "settings": {"num_envs": 4, "n_steps": 16, "batch_size": 64, "n_epochs": 1},
    "eval": {"points": 2, "episodes": 4},
    "rewards": {
        "sparse": None,
        "count": {"sum": ["task_reward", {"count_bonus": {"key": "features.state", "beta": 0.1}}]},
    },
    "tasks": {"corridor": {"env": "shapegym/Corridor-v0", "steps": 128}},
    "quick": {"seeds": 1},
}


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("swept") / "sweep"
    return sweep(SUITE, folder, workers=1)


def test_every_name_is_there():
    assert all(hasattr(experiments, name) for name in experiments.__all__)
    assert set(experiments.__all__) <= set(dir(experiments))
    with pytest.raises(AttributeError, match="no attribute 'swep'"):
        _ = experiments.swep


def test_a_sweep_of_data_returns_the_rows_of_its_folder(swept):
    assert {row.id for row in swept.rows} == {
        f"corridor/{name}/{seed}" for name in ("sparse", "count") for seed in (0, 1)
    }
    assert (swept.failures, swept.jobs) == ({}, 4)
    assert sorted(swept.rows, key=lambda row: row.id) == sorted(
        Results.open(swept.folder).rows, key=lambda row: row.id
    )


def test_a_folder_goes_on_with_what_it_was_asked_for(swept, tmp_path):
    folder = shutil.copytree(swept.folder, tmp_path / "sweep")
    again = sweep(folder, workers=1)
    assert (again.rows, again.failures) == (swept.rows, {})
    (folder / "runs" / "corridor" / "count" / "1" / "result.json").unlink()
    (folder / "results.jsonl").unlink()
    again = sweep(folder, workers=1)
    assert [row.mean_return for row in again.rows] == [row.mean_return for row in swept.rows]


def test_a_suite_that_was_changed_in_memory_is_swept_as_it_is(tmp_path):
    path = tmp_path / "two.yaml"
    path.write_text(yaml.safe_dump(SUITE))
    suite = load_suite(path)
    assert load_suite(suite.as_source()).model_dump() == suite.model_dump()
    path.unlink()  # a sweep goes on wherever it lies
    assert suite.as_source()["name"] == "two"
    changed = suite.model_copy(update={"seeds": [7]})
    assert load_suite(json.loads(json.dumps(changed.as_source()))).model_dump() == changed.model_dump()
    found = sweep(changed, tmp_path / "sweep", quick=True, only="sparse", seeds=[8], workers=1)
    assert [row.id for row in found.rows] == ["corridor/sparse/8"]
    assert found.folder == tmp_path / "sweep"


def test_a_suite_made_in_python_is_checked_as_a_file_is():
    with pytest.raises(RunError, match=r"suite: tasks\.corridor\.env: There is no environment"):
        load_suite({**SUITE, "tasks": {"corridor": {"env": "shapegym/Coridor-v0", "steps": 1}}})
    with pytest.raises(RunError, match=r"suite: reward: There is no key 'reward'\. Did you mean 'rewards'"):
        load_suite({"reward": {}, **SUITE})
    with pytest.raises(RunError, match="suite: seeds: should "):
        load_suite({**SUITE, "seeds": "two"})
    made = Suite.model_validate({**SUITE, "rewards": {"novel": "novelty"}})
    assert load_suite(made).rewards["novel"] is not None


def test_what_cannot_run_is_refused(tmp_path):
    with pytest.raises(RunError, match="There is no suite 'lader'"):
        sweep("lader", tmp_path / "x", workers=1)
    with pytest.raises(RunError, match="local, ray or ray://"):
        sweep(SUITE, tmp_path / "x", on="moon")


def test_a_report_is_written_where_it_says(swept, tmp_path):
    assert report(str(swept.folder)) == swept.folder / "report.html"
    page = report(swept.folder, tmp_path / "page.html")
    assert "Two rewards on a corridor" in page.read_text()
    assert page.with_suffix(".md").is_file()
    with pytest.raises(RunError, match=r"such as report\.html"):
        report(swept.folder, tmp_path / "page.pdf")


def test_comparisons_are_data(swept):
    (found,) = compare(f"{swept.folder}:count", f"{swept.folder}:sparse", on="return")
    assert [(line.task, line.pairs) for line in found.tasks] == [("corridor", 2)]
    with pytest.raises(RunError, match="compared with itself"):
        compare(swept.folder, swept.folder)
