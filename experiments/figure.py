"""The picture of a comparison: who solves the task, and what each strategy was paid for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from shapegym.experiments.demo_tasks import COLOURS, DemoTask

Episodes = Sequence[Mapping[str, object]]
"""Rows of ``episodes.jsonl``."""

_POINTS = 30


def binned(rows: Episodes, key: str, steps: int) -> NDArray[np.float64]:
    """Mean of ``key`` over the episodes that ended in each of 30 equal stretches of training; empty ones repeat the last."""
    sums, counts = np.zeros(_POINTS), np.zeros(_POINTS)
    for row in rows:
        place = min(int(row["step"] * _POINTS / steps), _POINTS - 1)  # type: ignore[operator]
        sums[place] += float(row[key])  # type: ignore[arg-type]
        counts[place] += 1
    values = np.full(_POINTS, np.nan)
    values[counts > 0] = sums[counts > 0] / counts[counts > 0]
    last = 0.0
    for place in range(_POINTS):
        last = values[place] = last if np.isnan(values[place]) else values[place]
    return _smooth(values)


def _smooth(values: NDArray[np.float64], width: int = 3) -> NDArray[np.float64]:
    padded = np.pad(values, (width - 1, 0), mode="edge")
    return np.convolve(padded, np.full(width, 1 / width), mode="valid")


def draw(
    tasks: Sequence[DemoTask], episodes: Mapping[tuple[str, str], Sequence[Episodes]], path: Path
) -> None:
    """Write the comparison as a PNG.

    Args:
        tasks: one column each.
        episodes: (task, strategy) -> the training episodes of each seed.
        path: of the picture.
    """
    style: Any = {
        "font.size": 12,
        "axes.titlesize": 14,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.alpha": 0.25,
        "font.family": "DejaVu Sans",
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=(13, 8.6), layout="constrained")
        axes = figure.subplots(2, len(tasks), squeeze=False)
        for column, task in enumerate(tasks):
            runs = {name: episodes[task.name, name] for name in task.strategies}
            _draw_success(axes[0, column], task, runs)
            _draw_hacking(axes[1, column], task, runs["misleading"])
        axes[0, -1].legend(loc="center right", frameon=True, framealpha=0.9, title="trained on")
        seeds = len(next(iter(episodes.values())))
        figure.suptitle("One agent, one task, four rewards", fontsize=18, fontweight="bold")
        figure.supxlabel(
            f"PPO. Line: mean over {seeds} seeds; band: lowest to highest seed. Episodes of training, smoothed.",
            fontsize=11,
            color="0.35",
        )
        partial = path.with_name(f".{path.name}.partial.png")
        figure.savefig(partial, dpi=110)
        partial.replace(path)


def _draw_success(ax: Axes, task: DemoTask, runs: Mapping[str, Sequence[Episodes]]) -> None:
    steps = np.linspace(0, task.steps, _POINTS)
    for name, seeds in runs.items():
        curves = np.stack([binned(rows, "success", task.steps) for rows in seeds])
        ax.fill_between(
            steps, curves.min(axis=0), curves.max(axis=0), color=COLOURS[name], alpha=0.12, linewidth=0
        )
        ax.plot(steps, curves.mean(axis=0), color=COLOURS[name], linewidth=2.6, label=task.labels[name])
    ax.set(
        title=task.title,
        xlabel="environment steps",
        ylabel="success rate",
        ylim=(-0.03, 1.05),
        xlim=(0, task.steps),
    )
    ax.xaxis.set_major_formatter(lambda value, _: f"{value / 1000:.0f}k")


def _draw_hacking(ax: Axes, task: DemoTask, seeds: Sequence[Episodes]) -> None:
    steps = np.linspace(0, task.steps, _POINTS)
    for key, label, colour, line in (
        ("shaped_return", "what the agent was paid", COLOURS["misleading"], "-"),
        ("task_return", "what the task was worth", "0.15", "--"),
    ):
        curves = np.stack([binned(rows, key, task.steps) for rows in seeds])
        ax.fill_between(steps, curves.min(axis=0), curves.max(axis=0), color=colour, alpha=0.15, linewidth=0)
        ax.plot(steps, curves.mean(axis=0), line, color=colour, linewidth=2.6, label=label)
    ax.set(title=task.trap, xlabel="environment steps", ylabel="return of an episode", xlim=(0, task.steps))
    ax.xaxis.set_major_formatter(lambda value, _: f"{value / 1000:.0f}k")
    ax.legend(loc="center right", frameon=True, framealpha=0.9)
