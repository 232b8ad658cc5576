"""How frozen dataclasses are written: in short, as Python makes them again, or in full, as what random streams are derived from."""

from __future__ import annotations

from dataclasses import MISSING, fields, is_dataclass
from typing import Any

LONGEST_LINE = 150
"""Characters of what an environment or a finding says of itself."""


def in_short(value: Any) -> str:
    """Return ``Potential('obs[0]', gamma=0.99)``: what a dataclass is made from, without fields that have their default.

    The first field and fields without a default are written without their names.
    """
    shown = []
    items = [item for item in fields(value) if item.init]
    for place, item in enumerate(sorted(items, key=lambda item: bool(item.kw_only))):
        held = getattr(value, item.name)
        default = item.default if item.default_factory is MISSING else item.default_factory()
        if type(held) is type(default) and held == default:
            continue
        named = item.kw_only or (place and default is not MISSING)
        shown.append(f"{item.name}={held!r}" if named else repr(held))
    return f"{type(value).__qualname__}({', '.join(shown)})"


def in_full(value: Any) -> str:
    """Return a text with every field of a dataclass and of those in it.

    Random streams are derived from it, so another way of writing would be another run.
    """
    if isinstance(value, tuple):
        items = [in_full(item) for item in value]
        return f"({', '.join(items)}{',' * (len(items) == 1)})"
    if not is_dataclass(value) or isinstance(value, type):
        return repr(value)
    held = ", ".join(f"{item.name}={in_full(getattr(value, item.name))}" for item in fields(value))
    return f"{type(value).__qualname__}({held})"


def cut(text: str, longest: int = LONGEST_LINE) -> str:
    """Return a line of at most ``longest`` characters."""
    return text if len(text) <= longest else f"{text[: longest - 4]} ..."
