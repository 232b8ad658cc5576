"""An audit as something to read: a page that needs nothing else, plain data, or text in a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from shapegym.experiments.audit.evidence import Audit
from shapegym.experiments.audit.maps import as_svg, as_table, caption
from shapegym.experiments.audit.shares import Shares
from shapegym.experiments.audit.walkthrough import Line
from shapegym.experiments.report.svg import bars

_MOST_STEPS = 12
"""Steps of a way that a terminal is shown."""


def facts(audit: Audit) -> Iterator[tuple[str, str]]:
    """Yield what was found in words, heading by heading."""
    yield "claimed", "; ".join([audit.claimed.name.lower(), *dict.fromkeys(audit.losses)])
    if not audit.pays_task:
        yield "task", "The task reward is no part of it: the agent is paid by this reward alone."
    if audit.certificate is not None:
        yield "certificate", str(audit.certificate)
    if audit.telescoping is not None:
        test = audit.telescoping
        share = f"{test.unexplained:.2%} of what is paid is not explained by where an episode begins and ends"
        yield (
            "telescoping",
            f"{share} (largest {test.deviation:.3g}, {test.episodes} episodes); 0 for a potential.",
        )
    for distance in audit.distances:
        interval = "" if distance.low is None else f"  [{distance.low:.3f}, {distance.high:.3f}]"
        yield distance.name, f"{distance.value:.3f}{interval}"
    if audit.searched:
        yield "exploits", "none" if audit.exploit is None else audit.exploit.summary


def html(audit: Audit) -> str:
    """Return one file with its style and pictures."""
    return (
        _templates()
        .get_template("audit.html")
        .render(
            audit=audit,
            facts=list(facts(audit)),
            pictures=[(caption(heat), as_svg(heat)) for heat in audit.maps],
            parts=_slots(audit),
            shares=[
                (each, bars([(n, s, _slots(audit)[n]) for n, s in each.shares.items()], 0.0, 1.0))
                for each in audit.shares
            ],
            version=version("shapegym"),
        )
    )


def as_data(audit: Audit) -> dict[str, Any]:
    """Return the audit as plain data, for JSON."""
    data = asdict(audit)
    data["claimed"] = audit.claimed.name.lower()
    data |= {"verdict": audit.verdict, "sound": audit.sound}
    return {key: _plain(value) for key, value in data.items()}


def show(audit: Audit, console: Console) -> None:
    """Print the audit."""
    console.print(escape(audit.reward), style="bold", highlight=False)
    console.print(f"on {audit.env}, gamma {audit.gamma:g}; {audit.basis}", highlight=False)
    color = "green" if audit.sound and audit.searched else "yellow" if audit.sound else "bold red"
    console.print(f"\n[{color}]{escape(audit.verdict)}[/]\n", highlight=False)
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    for heading, text in facts(audit):
        if heading != "exploits":
            table.add_row(heading, escape(text))
    console.print(table)
    if audit.exploit is not None:
        found = audit.exploit
        if found.lead:
            console.print(_steps("The way there" if found.turn else "What it does", found.lead))
        if found.turn:
            console.print(_steps("Round and round", found.turn))
    for part in (_returns(audit), _part_table(audit)):
        if part is not None:
            console.print(part)
    for heat in audit.maps:
        console.print(f"\n{caption(heat)}", style="italic", highlight=False)
        console.print(as_table(heat, console.width))
    console.print()
    for note in audit.notes:
        console.print(note, style="dim", highlight=False, markup=False)


def _steps(title: str, lines: tuple[Line, ...]) -> Table:
    more = len(lines) - _MOST_STEPS
    table = Table(
        "state",
        "action",
        "what happens",
        title=f"\n{title}",
        title_justify="left",
        box=None,
        padding=(0, 2, 0, 0),
    )
    for heading in ("reward", "task"):
        table.add_column(heading, justify="right")
    for line in lines[-_MOST_STEPS:]:
        chance = "" if line.probability > 1 - 1e-9 else f" ({line.probability:.0%})"
        event = f"{line.event}{chance}".strip()
        table.add_row(escape(line.at), line.action, escape(event), f"{line.shaped:.3g}", f"{line.task:.3g}")
    if more > 0:
        table.caption = f"... after {more} other steps"
    return table


def _returns(audit: Audit) -> Table | None:
    """Task and shaped return, and shares, by behaviour."""
    if not audit.shares:
        return None
    table = Table(title="\nReturns of an episode", title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("behaviour")
    for heading in ("task", "this reward"):
        table.add_column(heading, justify="right")
    for each in audit.shares:
        table.add_row(escape(each.behaviour), f"{each.task:.4g}", f"{each.shaped:.4g}")
    return table


def _part_table(audit: Audit) -> Table | None:
    names = list(_slots(audit))
    if not names:
        return None
    table = Table(title="\nWho pays, by magnitude", title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("part")
    for each in audit.shares:
        table.add_column(escape(each.behaviour), justify="right")
    for name in names:
        table.add_row(name, *(_share(each, name) for each in audit.shares))
    return table


def _share(each: Shares, name: str) -> str:
    return f"{each.shares[name]:.0%} ({each.paid[name]:.3g})" if name in each.shares else ""


def _slots(audit: Audit) -> dict[str, int]:
    names = dict.fromkeys(name for each in audit.shares for name in each.shares)
    return {name: 1 + place % 8 for place, name in enumerate(names)}


def _plain(value: Any) -> Any:
    """Arrays as lists, NaN as null."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@cache
def _templates() -> Environment:
    return Environment(
        loader=ChoiceLoader(
            [PackageLoader("shapegym.experiments.audit"), PackageLoader("shapegym.experiments.report")]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
