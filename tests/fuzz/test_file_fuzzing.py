"""Three hundred strange files and folders, of every kind that the project reads; `python -m fuzzing` in benchmarks runs any number.

A reader says what is wrong with a file in an error of its type, or takes it. It never runs what it holds, never leaves its folder,
never dies, waits or takes the memory.
"""

import pytest
from fuzzing.cases import pool, share
from fuzzing.trial import GOOD


@pytest.fixture(scope="module")
def process():
    with pool(1) as executor:
        yield executor


@pytest.mark.parametrize("start", range(0, 300, 50))
def test_strange_files_are_refused_or_read(process, start):
    outcomes = process.submit(share, range(start, start + 50)).result()
    assert [outcome for outcome in outcomes if outcome.kind not in GOOD] == []
