"""What a person can get wrong at the command line."""

from importlib import import_module
from typing import Any


class RunError(Exception):
    """A run that cannot be started or continued; the message says why and what to do."""


def optional(module: str, message: str) -> Any:
    """Import a package that not everybody has.

    Raises:
        RunError: with this message, if it is not installed.
    """
    try:
        return import_module(module)
    except ImportError:
        raise RunError(message) from None
