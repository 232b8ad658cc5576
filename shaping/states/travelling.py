"""Functions on their way to another process, which may not know them: those of notebooks, and of scripts that begin workers."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from functools import reduce
from typing import Any, TypeAlias

import cloudpickle

from shapegym.shaping.errors import UnknownNameError, said_as

Luggage: TypeAlias = str | bytes
"""The module that defines a function, or the function itself."""


def packed(function: Callable[..., Any]) -> Luggage:
    """Return what another process needs to have ``function``: its module's name, or itself where no import would bring it."""
    module = sys.modules.get(function.__module__)
    if function.__module__ != "__main__" and module is not None:
        try:
            reduce(getattr, function.__qualname__.split("."), module)
        except AttributeError:  # defined in a function
            pass
        else:
            return function.__module__
    return bytes(cloudpickle.dumps(function))


def unpacked(luggage: Luggage, name: str) -> Callable[..., Any] | None:
    """Return the function, or None after importing its module, which registers it.

    Raises:
        UnknownNameError: if the module cannot be imported here.
    """
    if isinstance(luggage, bytes):
        return cloudpickle.loads(luggage)  # it is part of a pickle
    with said_as(
        UnknownNameError,
        ImportError,
        f"The state function {name!r} is defined in the module {luggage!r}, which this process cannot import: ",
        ". Install it, or put its folder on PYTHONPATH.",
    ):
        importlib.import_module(luggage)
    return None
