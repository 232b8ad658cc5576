"""Heat maps over the cells of a grid: what a reward pays where, and the potential that is in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from rich.table import Table
from rich.text import Text

from shapegym.experiments.reports.svg import short

Array = NDArray[np.float64]

PICTURES = (".png", ".svg")
"""Suffixes of files that `draw` writes."""

_LETTERS = 8
"""Width of a number in a terminal."""

_BRIGHT = 380
"""Red, green and blue of a cell add up to more where black letters are read better than white ones."""

_ENDS = {
    -1: (178, 24, 43),
    0: (247, 247, 247),
    1: (33, 102, 172),
}  # red to white to blue, told apart by most eyes


@dataclass(frozen=True, eq=False)
class HeatMap:
    """Numbers on a grid."""

    title: str  # what they are
    values: Array  # (rows, columns); NaN where the agent is never

    @property
    def reach(self) -> float:
        """The largest magnitude; 0 if there is none."""
        return float(np.nanmax(np.abs(self.values), initial=0.0))


def over_cells(title: str, positions: NDArray[np.int64], values: Array) -> HeatMap:
    """Return the mean of the values (N,) of states in each cell, by positions (N, 2) as (row, column)."""
    rows, columns = (positions.max(axis=0) + 1).tolist()
    cell = positions[:, 0] * columns + positions[:, 1]
    count = np.bincount(cell, minlength=rows * columns)
    total = np.bincount(cell, values, rows * columns)
    means = np.divide(total, count, out=np.full(rows * columns, np.nan), where=count > 0)
    return HeatMap(title, means.reshape(rows, columns))


def caption(heat: HeatMap) -> str:
    """Return the title with the magnitude of the darkest cell."""
    return f"{heat.title}, up to {short(heat.reach)}"


def as_table(heat: HeatMap, width: int) -> Table:
    """Return the map for a terminal: with numbers where they fit into ``width`` letters, else signs."""
    table = Table.grid()
    cell = _number if heat.values.shape[1] * _LETTERS <= width else _sign
    for row in heat.values:
        table.add_row(*(cell(float(value), heat.reach) for value in row))
    return table


def as_svg(heat: HeatMap) -> Markup:
    """Return the map as a picture for a page; a number shows under the pointer."""
    side, (rows, columns) = 24, heat.values.shape
    body = [
        Markup(
            '<rect x="{}" y="{}" width="23" height="23" fill="rgb{}"><title>({}, {}): {}</title></rect>'
        ).format(column * side, row * side, color, row, column, short(value))
        for row, column, value, color in _painted(heat)
    ]
    return Markup(
        '<svg class="heat" viewBox="0 0 {} {}" width="{}" role="img" aria-label="{}">{}</svg>'
    ).format(
        columns * side - 1,
        rows * side - 1,
        min(max(columns * side, 180), 480),
        heat.title,
        Markup("").join(body),
    )


def draw(maps: list[HeatMap], path: Path) -> None:
    """Write the maps beside each other as one picture, in the format that the file's suffix names, one of `PICTURES`."""
    from matplotlib.ticker import MaxNLocator

    from shapegym.experiments.pictures import picture

    with picture(path, (4.2 * len(maps), 3.8), 130) as figure:
        for place, heat in enumerate(maps):
            axes = figure.add_subplot(1, len(maps), place + 1)
            limit = heat.reach or 1.0
            axes.set_facecolor("0.75")
            image = axes.imshow(heat.values, cmap="RdBu", vmin=-limit, vmax=limit)
            axes.set_title(heat.title, fontsize=10)
            axes.set(xlabel="column", ylabel="row")
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_locator(MaxNLocator(integer=True))
            figure.colorbar(image, ax=axes, shrink=0.8)


def _painted(heat: HeatMap) -> Iterator[tuple[int, int, float, tuple[int, int, int]]]:
    for (row, column), value in np.ndenumerate(heat.values):
        if np.isfinite(value):
            yield row, column, float(value), _color(float(value), heat.reach)


def _color(value: float, reach: float) -> tuple[int, int, int]:
    share = abs(value) / reach if reach else 0.0
    end = _ENDS[1 if value > 0 else -1]
    red, green, blue = (round(zero + share * (full - zero)) for zero, full in zip(_ENDS[0], end, strict=True))
    return red, green, blue


def _number(value: float, reach: float) -> Text:
    text = f"{round(value, 12):.2g}" if np.isfinite(value) else ""
    return Text(f"{text:>{_LETTERS - 1}} ", _style(value, reach))


def _sign(value: float, reach: float) -> Text:
    size = abs(value) / reach if reach and np.isfinite(value) else 0.0
    sign = " " if np.isnan(value) else "·" if size < 1e-9 else "+" if value > 0 else "-"
    return Text(f"{sign} ", _style(value, reach))


def _style(value: float, reach: float) -> str:
    if not np.isfinite(value):
        return ""
    color = _color(value, reach)
    return f"{'black' if sum(color) > _BRIGHT else 'white'} on rgb({color[0]},{color[1]},{color[2]})"
