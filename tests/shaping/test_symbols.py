"""Networks of symbols and rows that come again: faster ways to what plain torch gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from shapegym.shaping.kernels.symbols import gather_sums, scatter_sums
from shapegym.shaping.models.bodies import Symbols
from shapegym.shaping.networks import SMALLEST_TO_SORT, distinct_rows


def _plain(symbols: Symbols, rows: torch.Tensor) -> torch.Tensor:
    hot = torch.nn.functional.one_hot(rows.nan_to_num(0.0).clamp(0, 15).long(), 16).flatten(1)
    return hot.to(symbols.embeddings.weight.dtype) @ symbols.embeddings.weight


def test_symbols_are_a_linear_layer_on_one_hot_numbers_with_its_gradients_twice_over() -> None:
    symbols = Symbols(6, 5)
    rows = torch.tensor([[0, 1, 2, 3, 4, 15], [16, 300, -1, 0, float("nan"), 2], [0, 1, 2, 0, 0, 0.0]])
    weight = symbols.embeddings.weight
    torch.testing.assert_close(symbols(rows), _plain(symbols, rows))
    gradients = []
    for sums in (symbols(rows), _plain(symbols, rows)):
        (once,) = torch.autograd.grad(sums.pow(3).sum(), weight, create_graph=True)
        (twice,) = torch.autograd.grad(once.square().sum(), weight)
        gradients.append((once.detach(), twice))
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("places", [1, 3, 4, 10])
def test_sums_are_taken_place_by_place_and_row_by_row(places: int) -> None:
    generator = np.random.default_rng(places)
    rows = generator.integers(-1, 5, (9, places)).astype(np.float32)
    rows[0] = np.nan
    table, sums = (generator.normal(size=shape).astype(np.float32) for shape in ((places, 4, 3), (9, 3)))
    gathered, scattered = np.zeros_like(sums), table.copy()
    for row in range(9):
        for i in range(places):
            symbol = 0 if np.isnan(rows[row, i]) else int(np.clip(rows[row, i], 0, 3))
            gathered[row] += table[i, symbol]
            scattered[i, symbol] += sums[row]
    got = np.full_like(sums, 7.0)
    gather_sums(rows, table, got)
    assert got.tobytes() == gathered.tobytes()
    got = table.copy()
    scatter_sums(rows, sums, got)
    assert got.tobytes() == scattered.tobytes()


@pytest.mark.parametrize("width", [1, 2, 5])
def test_rows_that_come_again_are_found(width: int) -> None:
    generator = np.random.default_rng(0)
    rows = generator.integers(0, 3, (SMALLEST_TO_SORT, width)).astype(np.float32)
    distinct, places = distinct_rows(rows)
    assert len(distinct) == len(np.unique(rows, axis=0)) < len(rows)
    np.testing.assert_array_equal(distinct[places], rows)


def test_rows_that_hardly_ever_come_again_are_left_as_they_are() -> None:
    rows = np.random.default_rng(0).normal(size=(SMALLEST_TO_SORT, 2)).astype(np.float32)
    assert distinct_rows(rows) == (rows, None)
