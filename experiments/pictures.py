"""Picture files, drawn by matplotlib. Pages hold pictures that take their colours (`shapegym.experiments.reports.svg`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from shapegym.shaping.atomic_file import replacing

CURVES: dict[str, Any] = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
}
"""The style of curves over training."""


@contextmanager
def picture(path: Path, size: tuple[float, float], dpi: int, style: Any = None) -> Iterator[Figure]:
    """Hand out an empty figure, and write what was drawn on it: whole or not at all, in the format that the suffix names.

    Args:
        path: of the picture; its folder is made if there is none.
        size: in inches.
        dpi: dots an inch.
        style: parameters of matplotlib.
    """
    with mpl.rc_context(style):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            figure.savefig(file, format=path.suffix[1:], dpi=dpi)
