"""Metrics files: every row or none, torn tails, resumed runs."""

import math

import pytest

from shapegym.agents.errors import MetricsFileError
from shapegym.agents.metrics import JsonLines, read_json_lines


def test_rows_come_back_and_append_goes_on(tmp_path):
    path = tmp_path / "new" / "rows.jsonl"
    file = JsonLines(path)
    file.append([{"step": 1, "parts": {"a": 0.5}}, {"step": 2, "success": None}])
    file.append([])
    file.append([{"step": 3}])
    assert read_json_lines(path) == [
        {"step": 1, "parts": {"a": 0.5}},
        {"step": 2, "success": None},
        {"step": 3},
    ]


def test_a_resumed_run_drops_the_rows_that_it_repeats(tmp_path):
    path = tmp_path / "rows.jsonl"
    JsonLines(path).append([{"step": step} for step in (5, 10, 15)])
    file = JsonLines(path, resume_at=10)
    assert list(file.rows()) == [{"step": 5}, {"step": 10}]
    file.append([{"step": 12}])
    assert [row["step"] for row in read_json_lines(path)] == [5, 10, 12]
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_run_does_not_mix_with_another(tmp_path):
    JsonLines(tmp_path / "rows.jsonl").append([{"step": 5}])
    with pytest.raises(MetricsFileError, match="holds rows of another run"):
        JsonLines(tmp_path / "rows.jsonl")
    assert read_json_lines(tmp_path / "rows.jsonl") == [{"step": 5}]


def test_a_torn_last_line_is_left_out_and_then_written_over(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"step": 1}\n{"step": 2, "ret')
    assert read_json_lines(path) == [{"step": 1}]
    JsonLines(path, resume_at=9).append([{"step": 3}])
    assert [row["step"] for row in read_json_lines(path)] == [1, 3]


@pytest.mark.parametrize("line", ["{", "[1]", '{"step": "x"}', '{"reward": 1}', "\x00"])
def test_a_damaged_line_is_named(tmp_path, line):
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{{"step": 1}}\n{line}\n{{"step": 2}}\n')
    with pytest.raises(MetricsFileError, match="line 2"):
        read_json_lines(path)


def test_a_number_that_json_does_not_know_writes_nothing(tmp_path):
    file = JsonLines(tmp_path / "rows.jsonl")
    with pytest.raises(ValueError, match="JSON compliant"):
        file.append([{"step": 1}, {"step": 2, "return": math.nan}])
    assert not (tmp_path / "rows.jsonl").exists()
