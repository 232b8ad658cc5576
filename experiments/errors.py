"""What a person can get wrong at the command line."""

from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def unless_refused(what: str) -> Iterator[None]:
    """Turn what the machine refuses in the block (rights, space, memory, a folder that is gone) into a `RunError`.

    Args:
        what: cannot go on; begins the sentence.
    """
    try:
        yield
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise RunError(f"{what} cannot go on: {error.strerror or error}{where}.") from error
    except MemoryError as error:
        raise RunError(f"{what} cannot go on: there is not enough memory. {error}".rstrip()) from error


class DesignError(RunError):
    """A design of a reward that cannot be begun, continued or replayed."""
