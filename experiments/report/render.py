"""From a computed report to text."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version

from jinja2 import Environment, PackageLoader, StrictUndefined

from shapegym.experiments.report import figures, words
from shapegym.experiments.report.page import Page


def html(page: Page) -> str:
    """One file with its style and pictures, which asks nothing of the network."""
    return _templates(escaped=True).get_template("report.html").render(page=page, **_shared())


def markdown(page: Page) -> str:
    """The same without the pictures."""
    return _templates(escaped=False).get_template("report.md").render(page=page, **_shared())


def _shared() -> dict[str, object]:
    return {"sections": figures.SECTIONS, "version": version("shapegym")}


@cache
def _templates(*, escaped: bool) -> Environment:
    templates = Environment(
        loader=PackageLoader("shapegym.experiments.report"),
        autoescape=escaped,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.globals["zip"] = zip
    templates.filters |= {
        "number": words.number,
        "counted": words.counted,
        "score": words.score,
        "interval": words.interval,
        "percent": words.percent,
        "p_value": words.p_value,
        "steps": words.steps,
        "seconds": words.seconds,
        "cell": _cell,
        "fenced": _fenced,
    }
    return templates


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
