"""The picture of a bi-level run: the weights of its reward, the learned discount and the task's return over training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from shapegym.shaping.files.atomic_file import replacing


def draw_blend(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write the picture as a PNG, whole or not at all.

    Args:
        rows: of ``blend.jsonl``, at least one.
        path: of the picture.
    """
    steps = [row["step"] for row in rows]
    style: Any = {"axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.25}
    with mpl.rc_context(style):
        figure = Figure(figsize=(7, 7), layout="constrained")
        weights, discount, task = figure.subplots(3, 1, sharex=True, height_ratios=(3, 1, 2))
        # weights that begin alike lie on each other; dashes let the lower one show
        for name, dashes in zip(rows[-1]["weights"], cycle(("-", "--", "-.", ":")), strict=False):
            weights.plot(steps, [row["weights"][name] for row in rows], dashes, label=name)
        weights.axhline(0.0, color="0.5", linewidth=0.8)
        weights.set(ylabel="weight (mean over the buffer)", title="What the reward was made of")
        if rows[-1]["weights"]:  # all may be held
            weights.legend(frameon=False)
        discount.plot(steps, [row["discount"] for row in rows], color="0.3")
        discount.set(ylabel="discount")
        paid = [(row["step"], row["task_return"]) for row in rows if row["task_return"] is not None]
        task.plot(*zip(*paid, strict=True) if paid else ([], []), color="0.15")
        task.set(ylabel="task return of an episode", xlabel="environment steps")
        with replacing(path) as file:
            figure.savefig(file, format="png", dpi=110)
