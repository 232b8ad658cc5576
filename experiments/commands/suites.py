"""``shapegym suites``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from shapegym.experiments.console import explained, out

if TYPE_CHECKING:
    from shapegym.experiments.suite import Suite


def suites(
    name: Annotated[str, typer.Argument(help="Show a ready suite, or a file (.yaml).")] = "",
) -> None:
    """List the ready suites, or show what one compares."""
    from shapegym.experiments.suite import load_suite, ready_suites

    with explained():
        if name:
            _show(load_suite(name))
            return
        table = Table("suite", "what it compares", box=None, padding=(0, 2, 0, 0))
        for heading in ("runs", "steps", "quick runs", "quick steps"):
            table.add_column(heading, justify="right", no_wrap=True)
        for suite in map(load_suite, ready_suites()):
            table.add_row(
                suite.name, escape(suite.title), *_size(suite, quick=False), *_size(suite, quick=True)
            )
        out.print(table)
        out.print("[dim]Run one with `shapegym sweep SUITE`, or its quick part with --quick.[/]")


def _show(suite: Suite) -> None:
    out.print(f"[bold]{escape(suite.title)}[/]", highlight=False)
    if suite.about:
        out.print(escape(suite.about.strip()), highlight=False)
    tasks, strategies = (Table(box=None, padding=(0, 2, 0, 0), pad_edge=False) for _ in range(2))
    for table in (tasks, strategies):
        table.add_column("task", overflow="fold", no_wrap=True)  # to be copied, as the next column
    tasks.add_column("environment", overflow="fold", no_wrap=True)
    tasks.add_column("steps", justify="right", no_wrap=True)
    for heading in ("agent", "tags"):
        tasks.add_column(heading, overflow="fold")
    strategies.add_column("strategies", overflow="fold")
    for name, task in suite.tasks.items():
        tasks.add_row(
            name, escape(task.env), f"{task.steps:,}", task.algo or suite.algo, ", ".join(task.tags)
        )
        strategies.add_row(name, ", ".join(suite.strategies(name)))
    out.print(tasks, strategies, highlight=False)
    for field, values in suite.sweep.items():
        out.print(f"swept: {escape(f'{field}={values}')}", highlight=False)
    for title, part in (("whole", False), *((("--quick", True),) if suite.quick else ())):
        runs, steps = _size(suite, quick=part)
        seeds = ", ".join(map(str, suite.seeds_of(quick=part)))
        names = ", ".join(dict.fromkeys(task for task, _ in suite.entries(quick=part)))
        out.print(f"{title}: {runs} runs, {steps} steps; tasks {names}; seeds {seeds}", highlight=False)


def _size(suite: Suite, *, quick: bool) -> tuple[str, str]:
    """Runs and their steps, before anything is swept."""
    if quick and suite.quick is None:
        return "", ""
    seeds = len(suite.seeds_of(quick=quick))
    budgets = [suite.steps_of(task, quick=quick) for task, _ in suite.entries(quick=quick)]
    return f"{len(budgets) * seeds:,}", f"{sum(budgets) * seeds / 1e6:.1f} M"
