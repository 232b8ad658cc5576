"""Characters that would steer a terminal or a browser are shown, not sent."""

import io
import unicodedata

import pytest
import typer
from markupsafe import Markup
from rich.table import Table
from rich.text import Text

from shapegym.experiments import console
from shapegym.experiments.errors import RunError
from shapegym.experiments.reports.render import templates
from shapegym.experiments.visible import VisibleConsole, visible

TRICKS = "a\x1b[2J\x1b]0;title\x07b\x00c\rd\x9be\u202ef\u2066g\u2028h\ud800i\U000e0041j"


def steers(text: str) -> bool:
    """Whether a character controls something, or stands for the direction of writing or for nothing."""
    bidi = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
    return any(
        unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp")
        or unicodedata.bidirectional(letter) in bidi
        or letter in "\u200b\u200e\u200f\u061c\ufeff\U000e0041"
        for letter in text
        if letter not in "\n\t"
    )


def test_what_would_not_be_seen_is_spelled_out():
    assert visible("plain näme\n\tof \N{SLEEPY FACE}") == "plain näme\n\tof \N{SLEEPY FACE}"
    assert visible("\x1b[31m\u202e\x00") == r"\x1b[31m\u202e\x00"
    assert not steers(visible("".join(map(chr, range(0x110000)))))


def test_consoles_show_them():
    screen = io.StringIO()
    shown = VisibleConsole(file=screen, force_terminal=True, color_system=None, width=200)
    table = Table(TRICKS, title=TRICKS)
    table.add_row(Text(TRICKS))
    for thing in (TRICKS, Text(TRICKS), table):
        shown.print(thing, markup=False)
    assert not steers(screen.getvalue())
    assert r"\x1b[2J" in screen.getvalue()


def test_errors_and_warnings_show_them_and_no_line_looks_like_another_message(monkeypatch, capsys):
    monkeypatch.setattr(console, "err", VisibleConsole(stderr=True, width=200))
    with pytest.raises(typer.Exit), console.explained():
        raise RunError(f"The file {TRICKS}\nError: all is well")
    said = capsys.readouterr().err
    assert not steers(said)
    assert "\n  Error: all is well" in said


@pytest.mark.parametrize("escaped", [True, False])
def test_templates_show_them(escaped):
    template = templates("reports", escaped=escaped).from_string(
        "{{ text }}{{ markup }}{{ number }}{{ path }}"
    )
    page = template.render(text=f"<b>{TRICKS}", markup=Markup("<i>\x1b</i>"), number=1.5, path=Text(TRICKS))
    assert not steers(page)
    assert page.startswith("&lt;b&gt;a" if escaped else "<b>a")
    assert r"<i>\x1b</i>1.5" in page
