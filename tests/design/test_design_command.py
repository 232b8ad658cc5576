"""``shapegym design`` as people use it: plan, design, report, resume, replay; and what it says of mistakes."""

from __future__ import annotations

import json
import shutil

import pytest
from fault_server import fails, serving
from typer.testing import CliRunner

from shapegym.experiments.cli import app


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["design", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


@pytest.fixture(scope="module")
def designed(tmp_path_factory):
    """A design with training, made once: two programs on a corridor."""
    folder = tmp_path_factory.mktemp("design") / "corridor"
    arguments = (
        "shapegym/Corridor-v0",
        "--grammar",
        "--rounds",
        1,
        "--candidates",
        2,
        "--workers",
        1,
        "--steps",
        400,
        "--out",
        folder,
    )
    said = run(*arguments, "--set", "num_envs=4", "--set", "n_steps=25", "--set", "batch_size=50", "--yes")
    return folder, said


def test_it_says_what_it_will_cost_and_what_it_has_cost(designed):
    said = designed[1]
    assert "At most 4 calls, 0 tokens read" in said
    assert "800 frames" in said
    assert "It took" in said
    assert "shapegym train shapegym/Corridor-v0 --reward" in said


def test_the_folder_holds_all_of_it(designed):
    folder, _ = designed
    rows = [json.loads(line) for line in (folder / "rounds.jsonl").read_text().splitlines()]
    assert [len(row["candidates"]) for row in rows] == [2]
    best = (folder / "candidates" / rows[0]["best"] / "program.py").read_text()
    assert (folder / "best.py").read_text() == best
    assert best.strip() in (folder / "report.md").read_text()
    outcome = json.loads((folder / "candidates" / rows[0]["best"] / "outcome.json").read_text())["outcome"]
    assert len(outcome["courses"]["success"]["values"]) == 10
    assert (folder / outcome["runs"][0] / "result.json").is_file()


def test_going_on_with_what_is_finished_asks_and_trains_nothing(designed):
    folder, _ = designed
    before = {path: path.read_bytes() for path in folder.rglob("*.json*")}
    run("--resume", folder, "--yes")
    assert {path: path.read_bytes() for path in folder.rglob("*.json*")} == before


@pytest.mark.slow
def test_a_replay_is_the_same_to_the_last_bit_trained_again(designed):
    folder, _ = designed
    assert "programs, findings, choices and results" in run("--replay", folder)


def test_a_replay_says_what_differs(designed, tmp_path):
    folder, _ = designed
    other = tmp_path / "edited"
    shutil.copytree(folder, other)
    assert "The same to the last bit: programs, findings and choices." in run("--replay", other, "--recorded")
    place = other / "candidates/1/1/findings.json"
    place.write_text(place.read_text().replace('"notes": []', '"notes": ["edited"]'))
    assert "findings differ: candidates/1/1/findings.json" in run("--replay", other, "--recorded", code=1)
    (other / "candidates/1/1/outcome.json").unlink()
    assert "outcome" in run("--replay", other, "--recorded", code=2)


def test_a_part_of_a_transcript_replays_that_part(designed, tmp_path):
    folder, _ = designed
    other = tmp_path / "cut"
    shutil.copytree(folder, other)
    lines = (other / "exchanges.jsonl").read_text().splitlines(keepends=True)
    (other / "exchanges.jsonl").write_text("".join(lines[:-1]))
    said = run("--replay", other, "--recorded", code=1)
    assert "it was broken off before" in said


def test_an_endpoint_that_fails_stops_it_and_says_how_to_go_on(tmp_path):
    pytest.importorskip("openai", reason="The openai client is not installed: pip install shapegym[llm]")
    folder = tmp_path / "d"
    with serving(fails(401, "bad key")) as server:
        said = run(
            "shapegym/Corridor-v0", "--model", "m", "--base-url", server.url, "--out", folder, "--yes", code=1
        )
    assert "refuses the key (401)" in said
    assert f"shapegym design --resume {folder}" in said
    assert "It was broken off" in (folder / "report.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Which environment?"),
        (("shapegym/Corridor-v0",), "Who writes the programs?"),
        (("shapegym/Corridor-v0", "--grammar", "--model", "m"), "Who writes the programs?"),
        (("shapegym/Coridor-v0", "--grammar"), "Did you mean"),
        (("shapegym/Corridor-v0", "--grammar", "--preset", "urika"), "eureka"),
        (("shapegym/Corridor-v0", "--grammar", "--feedback", "none.txt"), "none.txt is no file"),
        (("shapegym/Corridor-v0", "--grammar", "--prompts", "nowhere"), "folder of templates"),
        (("shapegym/Corridor-v0", "--grammar", "--recorded"), "add --replay"),
        (("--resume", "nowhere"), "holds no design"),
        (("--replay", "nowhere"), "holds no design"),
        (("--resume", "nowhere", "--steps", "5"), "--steps"),
    ],
)
def test_mistakes_are_explained(arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert said in run(*arguments, code=2)
