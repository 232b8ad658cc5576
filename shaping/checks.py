"""What a hyper-parameter may be. A bool is an int to Python, and never meant as one here."""

from __future__ import annotations

import math
from typing import TypeGuard


def is_number(value: object) -> TypeGuard[float]:
    """Whether ``value`` is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def is_integer(value: object, low: int) -> bool:
    """Whether ``value`` is an integer of at least ``low``."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= low
