"""What a feature is that costs a look at the whole grid, and is read only where it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gymnasium import Space

if TYPE_CHECKING:
    from shapegym.envs.grid.dynamics import GridTask


@dataclass(frozen=True)
class Reading:
    """A feature beyond the standard ones.

    Attributes:
        space: Its space, by task.
        write: (task, pad, cells, facts, mask, out): writes the rows in `mask` of `out` (B, ...).
    """

    space: Callable[[GridTask], Space[Any]]
    write: Callable[..., None]
