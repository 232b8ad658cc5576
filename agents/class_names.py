"""Classes by name, as files keep them: looked up among what is loaded already, never imported, and only of kinds that models name.

A file that names a class chooses what is called later. So a name leads to a network, policy, feature extractor, optimiser, buffer
or number type and to nothing else; of torch, to its layers and optimisers only.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.buffers import BaseBuffer

NAMED = (torch.nn.Module, torch.optim.Optimizer, BaseBuffer, np.generic)
"""What a class must derive from to be kept by its name."""

_OF_TORCH = ("torch.nn.modules.", "torch.optim.")


def name_of(cls: type) -> str:
    """Return ``module:Class``."""
    return f"{cls.__module__}:{cls.__qualname__}"


def can_be_named(cls: Any, kinds: tuple[type, ...] = NAMED) -> bool:
    """Whether `class_named` finds this class again."""
    return isinstance(cls, type) and _find(name_of(cls), kinds) is cls


def class_named(name: Any, kinds: tuple[type, ...] = NAMED) -> type:
    """Return the class called ``name`` if it is loaded and derives from one of ``kinds``.

    Raises:
        ValueError: if it does not, or is not loaded.
    """
    if (found := _find(name, kinds)) is None:
        raise ValueError(
            f"it names the class {name!r}, which is not loaded, or of no kind that a model is made of; a module of your own is "
            "loaded with --import MODULE"
        )
    return found


def _find(name: Any, kinds: tuple[type, ...]) -> type | None:
    module, _, path = name.partition(":") if isinstance(name, str) else ("", "", "")
    if module.startswith("torch.") and not module.startswith(_OF_TORCH):
        return None
    found: Any = sys.modules.get(module)
    for part in path.split("."):  # `vars`, because asking a module for an attribute may import another
        found = vars(found).get(part) if hasattr(found, "__dict__") else None
    return found if isinstance(found, type) and issubclass(found, kinds) else None
