"""From a computed report to text."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from shapegym.experiments.reports import figures, words
from shapegym.experiments.reports.page import Page
from shapegym.experiments.visible import finalized


def html(page: Page) -> str:
    """One file with its style and pictures, which asks nothing of the network."""
    return _rendered(page, "report.html", escaped=True)


def markdown(page: Page) -> str:
    """The same without the pictures."""
    return _rendered(page, "report.md", escaped=False)


def _rendered(page: Page, name: str, *, escaped: bool) -> str:
    template = templates("reports", escaped=escaped).get_template(name)
    return template.render(page=page, sections=figures.SECTIONS, version=version("shapegym"))


@cache
def templates(*rooms: str, escaped: bool = True) -> Environment:
    """Return the templates of some rooms of `shapegym.experiments`, with what they write numbers by."""
    found = Environment(
        loader=ChoiceLoader([PackageLoader(f"shapegym.experiments.{room}") for room in rooms]),
        autoescape=escaped,
        finalize=finalized,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found.globals["zip"] = zip
    told = (
        words.number,
        words.counted,
        words.score,
        words.interval,
        words.percent,
        words.p_value,
        words.steps,
        words.seconds,
    )
    found.filters |= {each.__name__: each for each in told} | {"cell": _cell, "fenced": _fenced}
    return found


def _cell(text: object) -> str:
    """Text that Markdown takes for nothing else, in one line."""
    plain = " ".join(str(text).split())
    return "".join(f"\\{letter}" if letter in r"\`*_[]<>|#~&" else letter for letter in plain)


def _fenced(text: str, language: str) -> str:
    """A block of code whose fence is longer than any within."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"
