"""A picture that is drawn in the coordinates of its task, with smooth edges."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

PAPER, FLOOR, WALL, INK, DIM = (250, 250, 248), (236, 236, 230), (84, 90, 104), (40, 44, 52), (150, 152, 158)
AGENT, GOAL, KEY, DOOR, THING = (208, 64, 56), (72, 160, 96), (222, 172, 48), (146, 100, 62), (72, 120, 190)

_FINER = 2
"""Pixels are drawn as so many squared, and averaged."""

Color = tuple[int, int, int]
Point = tuple[float, float]


class Canvas:
    """A picture.

    Args:
        width, height: In pixels; rounded up to even numbers, which video formats need.
        x: Coordinates of the left and the right edge; by default pixels.
        y: Coordinates of the upper and the lower edge; by default pixels.
    """

    def __init__(
        self,
        width: float,
        height: float,
        x: tuple[float, float] | None = None,
        y: tuple[float, float] | None = None,
    ) -> None:
        self._size = 2 * int(np.ceil(width / 2)), 2 * int(np.ceil(height / 2))
        self._left, self._upper = (x or (0.0, 0.0))[0], (y or (0.0, 0.0))[0]
        self._scale_x = _FINER * width / (x[1] - x[0]) if x else _FINER
        self._scale_y = _FINER * height / (y[1] - y[0]) if y else _FINER
        self._image = Image.new("RGB", (_FINER * self._size[0], _FINER * self._size[1]), PAPER)
        self._pen = ImageDraw.Draw(self._image)

    def box(self, corner: Point, other: Point, color: Color) -> None:
        """Fill a rectangle between two corners, which may be empty."""
        (left, right), (upper, lower) = map(sorted, zip(self._at(corner), self._at(other), strict=True))
        if right - left >= 1 and lower - upper >= 1:
            self._pen.rectangle((left, upper, right - 1, lower - 1), fill=color)

    def disc(self, centre: Point, pixels: float, color: Color, *, hollow: bool = False) -> None:
        """Fill a circle, or draw its rim; its radius is in pixels."""
        (x, y), r = self._at(centre), _FINER * pixels
        if hollow:
            self._pen.ellipse((x - r, y - r, x + r, y + r), outline=color, width=2 * _FINER)
        else:
            self._pen.ellipse((x - r, y - r, x + r, y + r), fill=color)

    def line(self, points: Sequence[Point], color: Color, pixels: float = 2) -> None:
        """Draw lines from point to point, with round joints."""
        self._pen.line([self._at(point) for point in points], color, round(_FINER * pixels), joint="curve")

    def shape(self, points: Sequence[Point], color: Color) -> None:
        """Fill a polygon."""
        self._pen.polygon([self._at(point) for point in points], color)

    def text(
        self, where: Point, words: str, color: Color = INK, pixels: int = 13, anchor: str = "la"
    ) -> None:
        """Write, from the left end of the upper edge of the letters unless `anchor` says otherwise (in Pillow's words)."""
        self._pen.text(self._at(where), words, color, _font(_FINER * pixels), anchor)

    def pixels(self) -> NDArray[np.uint8]:
        """The picture, (rows, columns, 3)."""
        return np.asarray(self._image.resize(self._size, Image.Resampling.BOX))

    def _at(self, point: Point) -> Point:
        return (point[0] - self._left) * self._scale_x, (point[1] - self._upper) * self._scale_y


@cache
def _font(size: int) -> Any:
    return ImageFont.load_default(size)
