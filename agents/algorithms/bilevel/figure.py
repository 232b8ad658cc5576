"""The picture of a bi-level run: the weights of its reward, the learned discount and the task's return over training."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path
from typing import Any

from shapegym.agents.algorithms.bilevel.record import BLEND_FILE
from shapegym.agents.metrics import read_json_lines
from shapegym.shaping.atomic_file import replacing

BLEND_FIGURE = "blend.png"


def draw_blend(folder: Path) -> None:
    """Write the picture of ``blend.jsonl`` beside it, as a PNG, whole or not at all; none if no episode ended."""
    import matplotlib as mpl  # takes long, and few runs need it
    from matplotlib.figure import Figure

    rows = read_json_lines(folder / BLEND_FILE) if (folder / BLEND_FILE).exists() else []
    if not rows:
        return
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
        with replacing(folder / BLEND_FIGURE) as file:
            figure.savefig(file, format="png", dpi=110)
