"""The picture of a comparison: who solves the task, and what each strategy was paid for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from shapegym.experiments.demo.demo_tasks import COLOURS, DemoTask
from shapegym.experiments.pictures import CURVES, picture

Episodes = Sequence[Mapping[str, object]]
"""Rows of ``episodes.jsonl``."""

_POINTS = 30


def binned(rows: Episodes, key: str, steps: int) -> NDArray[np.float64]:
    """Mean of ``key`` over the episodes that ended in each of 30 equal stretches of training; empty ones repeat the last."""
    places = [min(int(row["step"] * _POINTS / steps), _POINTS - 1) for row in rows]  # type: ignore[operator]
    counts = np.bincount(places, minlength=_POINTS)
    sums = np.bincount(places, [float(row[key]) for row in rows], _POINTS)  # type: ignore[arg-type]
    known = np.maximum.accumulate(np.where(counts > 0, np.arange(_POINTS), -1))
    means = np.append(sums / np.maximum(counts, 1), 0.0)[known]  # 0 before the first
    return np.convolve(np.pad(means, (2, 0), mode="edge"), np.full(3, 1 / 3), mode="valid")


def draw(
    tasks: Sequence[DemoTask], episodes: Mapping[tuple[str, str], Sequence[Episodes]], path: Path
) -> None:
    """Write the comparison as a PNG.

    Args:
        tasks: one column each.
        episodes: (task, strategy) -> the training episodes of each seed.
        path: of the picture.
    """
    style = CURVES | {"font.size": 12, "axes.titlesize": 14, "font.family": "DejaVu Sans"}
    with picture(path, (13, 8.6), 110, style) as figure:
        axes = figure.subplots(2, len(tasks), squeeze=False)
        for (above, below), task in zip(axes.T, tasks, strict=True):
            for name in task.strategies:
                runs = episodes[task.name, name]
                _curve(above, task, runs, "success", color=COLOURS[name], label=task.labels[name], alpha=0.12)
            above.set(title=task.title, ylabel="success rate", ylim=(-0.03, 1.05))
            hacked, colour = episodes[task.name, "misleading"], COLOURS["misleading"]
            _curve(below, task, hacked, "shaped_return", color=colour, label="what the agent was paid")
            _curve(below, task, hacked, "task_return", "--", color="0.15", label="what the task was worth")
            below.set(title=task.trap, ylabel="return of an episode")
            below.legend(loc="center right", frameon=True, framealpha=0.9)
        axes[0, -1].legend(loc="center right", frameon=True, framealpha=0.9, title="trained on")
        seeds = len(next(iter(episodes.values())))
        figure.suptitle("One agent, one task, four rewards", fontsize=18, fontweight="bold")
        figure.supxlabel(
            f"PPO. Line: mean over {seeds} seeds; band: lowest to highest seed. Episodes of training, smoothed.",
            fontsize=11,
            color="0.35",
        )


def _curve(
    ax: Axes,
    task: DemoTask,
    seeds: Sequence[Episodes],
    key: str,
    line: str = "-",
    *,
    color: str,
    label: str,
    alpha: float = 0.15,
) -> None:
    """Mean and range of the seeds over training."""
    steps = np.linspace(0, task.steps, _POINTS)
    curves = np.stack([binned(rows, key, task.steps) for rows in seeds])
    ax.fill_between(steps, curves.min(axis=0), curves.max(axis=0), color=color, alpha=alpha, linewidth=0)
    ax.plot(steps, curves.mean(axis=0), line, color=color, linewidth=2.6, label=label)
    ax.set(xlabel="environment steps", xlim=(0, task.steps))
    ax.xaxis.set_major_formatter(lambda value, _: f"{value / 1000:.0f}k")
