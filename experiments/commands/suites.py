"""``shapegym suites``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Column
from rich.text import Text

from shapegym.experiments.console import Imports, explained, out
from shapegym.experiments.errors import RunError
from shapegym.experiments.tables import table

if TYPE_CHECKING:
    from shapegym.experiments.sweeps.suite import Suite


def suites(
    name: Annotated[str, typer.Argument(help="Show a ready suite, or a file (.yaml).")] = "",
    as_yaml: Annotated[
        bool, typer.Option("--yaml", help="Print the suite's file, to change and to sweep.")
    ] = False,
    _imports: Imports = None,
) -> None:
    """List the ready suites, or show what one compares."""
    from shapegym.experiments.sweeps.ready import ready_suites
    from shapegym.experiments.sweeps.suite import load_suite

    with explained():
        if as_yaml and not name:
            raise RunError("--yaml prints one suite: name it (`shapegym suites` lists them).")
        if name:
            suite = load_suite(name)
            if as_yaml:
                out.print(Text(suite.path.read_text(encoding="utf-8").rstrip()), soft_wrap=True)
            else:
                _show(suite)
            return
        headings = (
            Column(each, justify="right", no_wrap=True)
            for each in ("runs", "steps", "quick runs", "quick steps")
        )
        rows = (
            (suite.name, escape(suite.title), *_size(suite, quick=False), *_size(suite, quick=True))
            for suite in map(load_suite, ready_suites())
        )
        out.print(table("suite", "what it compares", *headings, rows=rows, bare=True))
        out.print("[dim]Run one with `shapegym sweep SUITE`, or its quick part with --quick.[/]")


def _show(suite: Suite) -> None:
    out.print(f"[bold]{escape(suite.title)}[/]")
    if suite.about:
        out.print(escape(suite.about.strip()))
    whole: dict[str, Any] = {"overflow": "fold", "no_wrap": True}  # to be copied
    tasks = table(
        Column("task", **whole),
        Column("environment", **whole),
        Column("steps", justify="right", no_wrap=True),
        rows=((name, escape(task.env), f"{task.steps:,}") for name, task in suite.tasks.items()),
        bare=True,
        pad_edge=False,
    )
    compared = table(
        Column("task", **whole),
        Column("agent", no_wrap=True),
        Column("tags", no_wrap=True),
        Column("strategies", overflow="fold"),
        rows=(
            (name, task.algo or suite.algo, "\n".join(task.tags), ", ".join(suite.strategies(name)))
            for name, task in suite.tasks.items()
        ),
        bare=True,
        pad_edge=False,
    )
    out.print(tasks, compared)
    for field, values in suite.sweep.items():
        out.print(f"swept: {escape(f'{field}={values}')}")
    for title, part in (("whole", False), *((("--quick", True),) if suite.quick else ())):
        runs, steps = _size(suite, quick=part)
        seeds = ", ".join(map(str, suite.seeds_of(quick=part)))
        names = ", ".join(dict.fromkeys(task for task, _ in suite.entries(quick=part)))
        out.print(f"{title}: {runs} runs, {steps} steps; tasks {names}; seeds {seeds}")


def _size(suite: Suite, *, quick: bool) -> tuple[str, str]:
    """Runs and their steps, before anything is swept."""
    if quick and suite.quick is None:
        return "", ""
    seeds = len(suite.seeds_of(quick=quick))
    budgets = [suite.steps_of(task, quick=quick) for task, _ in suite.entries(quick=quick)]
    return f"{len(budgets) * seeds:,}", f"{sum(budgets) * seeds / 1e3:,.0f} k"
