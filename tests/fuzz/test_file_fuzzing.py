"""Three hundred strange files and folders, of every kind that the project reads; `python -m fuzzing` in benchmarks runs any number.

A reader says what is wrong with a file in an error of its type, or takes it. It never runs what it holds, never leaves its folder,
never dies, waits or takes the memory.
"""

import pytest
from fuzzing.cases import cases, prepare
from fuzzing.trial import GOOD


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    prepare(folder)
    return folder


@pytest.mark.parametrize("start", range(0, 300, 50))
def test_strange_files_are_refused_or_read(prepared, start):
    outcomes = cases(range(start, start + 50), prepared)
    assert [outcome for outcome in outcomes if outcome.kind not in GOOD] == []
