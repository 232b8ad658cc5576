"""Small pictures as text: SVG that takes its colours from the page, so that it is right in light, dark and print.

Series have a slot: 0 is the baseline, in the colour of text; 1 to `SLOTS` have colours of their own (``report.css``).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

SLOTS = 8
"""Colours beside that of the baseline, and so the most series in a picture but it."""

Numbers = Any
"""A sequence or array of numbers."""

_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 20, 10, 40


@dataclass(frozen=True)
class Curve:
    """A curve of a contender with its pointwise interval; arrays of one length."""

    contender: str
    at: NDArray[Any]
    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


class Chart:
    """A picture with two axes.

    Args:
        x: range of the horizontal axis.
        y: range of the vertical axis.
        x_label: what it shows.
        y_label: what it shows.
        title: for those who hear the page.
    """

    WIDTH, HEIGHT = 420, 250

    def __init__(
        self, x: tuple[float, float], y: tuple[float, float], x_label: str, y_label: str, title: str
    ) -> None:
        self._x, self._y = _widened(x), _widened(y)
        self._title = title
        self._body: list[Markup] = []
        self._axes(x_label, y_label)

    def band(self, x: Numbers, low: Numbers, high: Numbers, slot: int) -> None:
        """Fill between two curves."""
        there = _points(self._across(x), self._up(high))
        back = _points(self._across(x)[::-1], self._up(low)[::-1])
        self._body.append(Markup('<path class="b{}" d="M{}L{}Z"/>').format(slot, there, back))

    def line(self, x: Numbers, y: Numbers, slot: int, name: str) -> None:
        """Draw a curve, which says its name under the pointer; of a single point, a dot."""
        across, up = self._across(x), self._up(y)
        dot = Markup('<circle class="d{}" cx="{:.1f}" cy="{:.1f}" r="4"><title>{}</title></circle>')
        curve = Markup('<path class="l{}" d="M{}"><title>{}</title></path>')
        self._body.append(
            dot.format(slot, across[0], up[0], name)
            if len(across) == 1
            else curve.format(slot, _points(across, up), name)
        )

    def curves(self, curves: Sequence[Curve], slots: Mapping[str, int]) -> Chart:
        """Draw curves over all their bands, the first on top; ``slots`` holds the colours of contenders."""
        for curve in reversed(curves):
            self.band(curve.at, curve.low, curve.high, slots[curve.contender])
        for curve in reversed(curves):
            self.line(curve.at, curve.mean, slots[curve.contender], curve.contender)
        return self

    def __html__(self) -> str:
        """The picture, as templates take it."""
        return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
            self.WIDTH, self.HEIGHT, self._title, Markup("").join(self._body)
        )

    def _axes(self, x_label: str, y_label: str) -> None:
        bottom, right = self.HEIGHT - _BOTTOM, self.WIDTH - _RIGHT
        marks = [
            Markup(
                '<path class="grid" d="M{} {:.1f}H{}"/><text x="{}" y="{:.1f}" text-anchor="end">{}</text>'
            ).format(_LEFT, up, right, _LEFT - 6, up + 4, short(value))
            for value, up in _placed(self._y, self._up)
        ] + [
            Markup('<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
                across, bottom + 16, short(value)
            )
            for value, across in _placed(self._x, self._across)
        ]
        middle = (bottom + _TOP) / 2
        self._body += [
            *marks,
            Markup('<path class="axis" d="M{} {}H{}"/>').format(_LEFT, bottom, right),
            Markup('<text x="{}" y="{}" text-anchor="middle" class="label">{}</text>').format(
                (_LEFT + right) / 2, self.HEIGHT - 6, x_label
            ),
            Markup(
                '<text transform="translate(11 {}) rotate(-90)" text-anchor="middle" class="label">{}</text>'
            ).format(middle, y_label),
        ]

    def _across(self, values: Numbers) -> Any:
        return _onto(values, self._x, _LEFT, self.WIDTH - _RIGHT)

    def _up(self, values: Numbers) -> Any:
        return _onto(values, self._y, self.HEIGHT - _BOTTOM, _TOP)


def staircase(x: Numbers, y: Numbers, end: float) -> tuple[Any, Any]:
    """A step function, which has each value from its x on, up to ``end``, as the corners of a line."""
    edges = np.append(np.asarray(x, np.float64), max(end, float(x[-1])))
    return np.repeat(edges, 2)[1:-1], np.repeat(np.asarray(y, np.float64), 2)


def whisker(estimate: float, low: float, high: float, reference: float | None, slot: int | str) -> Markup:
    """An interval within 0 to 1, and a mark where the baseline is."""
    at = [4 + 112 * min(max(value, 0.0), 1.0) for value in (estimate, low, high, reference or 0.0)]
    mark = Markup('<path class="mark" d="M{:.1f} 1V17"/>').format(at[3]) if reference is not None else ""
    return Markup(
        '<svg class="whisker" viewBox="0 0 120 18" aria-hidden="true"><path class="grid" d="M4 9H116"/>{}'
        '<path class="w{}" d="M{:.1f} 9H{:.1f}"/><circle class="d{}" cx="{:.1f}" cy="9" r="4"/></svg>'
    ).format(mark, slot, at[1], at[2], slot, at[0])


def bars(parts: Iterable[tuple[str, float, int]], low: float, high: float) -> Markup:
    """Numbers side by side from zero, the negative ones to the left.

    Args:
        parts: name, number and slot of each.
        low: left end of the picture, at most 0.
        high: its right end, at least 0.
    """
    width = 200.0
    scale = width / (high - low) if high > low else 0.0
    zero = -low * scale
    ends = [zero, zero]
    body = []
    for name, value, slot in parts:
        side, length = int(value > 0), abs(value) * scale
        start = ends[1] if side else ends[0] - length
        ends[side] += length if side else -length
        body.append(
            Markup(
                '<rect class="f{}" x="{:.1f}" y="2" width="{:.1f}" height="12"><title>{}: {}</title></rect>'
            ).format(slot, start, length, name, short(value))
        )
    return Markup(
        '<svg class="bars" viewBox="0 0 200 16" aria-hidden="true">{}<path class="axis" d="M{:.1f} 0V16"/></svg>'
    ).format(Markup("").join(body), zero)


def short(value: float) -> str:
    """A number in few letters: 120k, 0.25, 3."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else str(value)
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers between two others, at most ``most``."""
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * digit for digit in (1, 2, 2.5, 5, 10) if power * digit >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]


def _widened(ends: tuple[float, float]) -> tuple[float, float]:
    """A range that is not empty."""
    low, high = ends
    room = max(abs(low), 1.0) * 0.5 if high - low <= 1e-9 * max(abs(low), abs(high), 1.0) else 0.0
    return low - room, high + room


def _placed(ends: tuple[float, float], place: Any) -> list[tuple[float, float]]:
    values = ticks(*ends)
    return list(zip(values, place(values).tolist(), strict=True))


def _onto(values: Numbers, source: tuple[float, float], start: float, end: float) -> Any:
    share = (np.asarray(values, np.float64) - source[0]) / (source[1] - source[0])
    return start + np.clip(share, 0.0, 1.0) * (end - start)


def _points(x: Sequence[float], y: Sequence[float]) -> str:
    return " ".join(f"{a:.1f} {b:.1f}" for a, b in zip(x, y, strict=True))
