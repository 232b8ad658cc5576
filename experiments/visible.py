"""Text that came from files, as terminals and browsers may show it: what would steer them is spelled out.

Escape sequences, NUL, carriage returns, marks that turn the direction of writing or show nothing, halves of surrogate pairs. Every
console and every template goes through here, so nothing that is printed or written has to think of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from markupsafe import Markup
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    r"""Return the text with what would not be seen written as Python writes it, ``\x1b``; lines and tabs stay."""
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def finalized(value: Any) -> Any:
    """Return what a template writes for a value; what is markup already, or makes its own, stays so."""
    return Markup(visible(Markup(value))) if hasattr(value, "__html__") else visible(str(value))


class VisibleConsole(Console):
    """A console that shows texts as `visible` has them."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the segments of something to print."""
        for segment in super().render(renderable, options):
            unseen = not segment.control and _UNSEEN.search(segment.text)
            yield Segment(visible(segment.text), segment.style) if unseen else segment
