"""Checks of the arguments that builders of grid tasks share."""

from __future__ import annotations


def at_least(name: str, value: int, least: int) -> None:
    """Check an integer knob.

    Raises:
        TypeError: `value` is no integer.
        ValueError: It is below `least`.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
