"""An audit as something to read: a page that needs nothing else, plain data, or text in a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from shapegym.experiments.audit.evidence import Audit
from shapegym.experiments.audit.maps import as_svg, as_table, caption
from shapegym.experiments.audit.shares import Shares
from shapegym.experiments.audit.walkthrough import ExploitStep
from shapegym.experiments.plain import finite
from shapegym.experiments.reports.render import templates
from shapegym.experiments.reports.svg import bars
from shapegym.experiments.tables import table

_MOST_STEPS = 12
"""Steps of a way that a terminal is shown."""


def facts(audit: Audit) -> Iterator[tuple[str, str]]:
    """Yield what was found in words, heading by heading."""
    yield "claimed", "; ".join([str(audit.claimed), *dict.fromkeys(audit.losses)])
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
        templates("audit", "reports")
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
    said = {
        "claimed": str(audit.claimed),
        "verdict": audit.verdict,
        "sound": audit.sound,
        "proved": audit.proved,
    }
    return dict(finite(asdict(audit) | said))


def show(audit: Audit, console: Console) -> None:
    """Print the audit."""
    console.print(escape(audit.reward), style="bold")
    console.print(f"on {audit.env}, gamma {audit.gamma:g}; {audit.basis}")
    color = "green" if audit.sound and audit.proved else "yellow" if audit.sound else "bold red"
    console.print(f"\n[{color}]{escape(audit.verdict)}[/]\n")
    told = ((heading, escape(text)) for heading, text in facts(audit) if heading != "exploits")
    console.print(table(Column(style="dim", no_wrap=True), rows=told, bare=True, show_header=False))
    if audit.exploit is not None:
        found = audit.exploit
        if found.lead:
            console.print(_steps("The way there" if found.turn else "What it does", found.lead))
        if found.turn:
            console.print(_steps("Round and round", found.turn))
    if audit.shares:
        console.print(_returns(audit))
    if slots := _slots(audit):
        console.print(_part_table(audit, slots))
    for heat in audit.maps:
        console.print(f"\n{caption(heat)}", style="italic")
        console.print(as_table(heat, console.width))
    console.print()
    for note in audit.notes:
        console.print(note, style="dim", markup=False)


def _steps(title: str, lines: tuple[ExploitStep, ...]) -> Table:
    rows = []
    for line in lines[-_MOST_STEPS:]:
        chance = "" if line.probability > 1 - 1e-9 else f" ({line.probability:.0%})"
        event = f"{line.event}{chance}".strip()
        rows.append((escape(line.at), line.action, escape(event), f"{line.shaped:.3g}", f"{line.task:.3g}"))
    more = len(lines) - _MOST_STEPS
    caption = f"... after {more} other steps" if more > 0 else None
    headings = ("state", "action", "what happens")
    return table(
        *headings, numbers=("reward", "task"), rows=rows, bare=True, title=f"\n{title}", caption=caption
    )


def _returns(audit: Audit) -> Table:
    """Task and shaped return by behaviour."""
    rows = ((escape(each.behaviour), f"{each.task:.4g}", f"{each.shaped:.4g}") for each in audit.shares)
    title = "\nReturns of an episode"
    return table("behaviour", numbers=("task", "this reward"), rows=rows, bare=True, title=title)


def _part_table(audit: Audit, names: Iterable[str]) -> Table:
    rows = ((name, *(_share(each, name) for each in audit.shares)) for name in names)
    behaviours = [escape(each.behaviour) for each in audit.shares]
    return table("part", numbers=behaviours, rows=rows, bare=True, title="\nWho pays, by magnitude")


def _share(each: Shares, name: str) -> str:
    return f"{each.shares[name]:.0%} ({each.paid[name]:.3g})" if name in each.shares else ""


def _slots(audit: Audit) -> dict[str, int]:
    names = dict.fromkeys(name for each in audit.shares for name in each.shares)
    return {name: 1 + place % 8 for place, name in enumerate(names)}
