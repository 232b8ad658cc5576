"""Digests of plain data: the same request has the same one on every machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def digest_of(data: Any) -> str:
    """Return sixteen hexadecimal digits that change with any part of plain data, whatever the order of its keys."""
    text = json.dumps(data, sort_keys=True, default=_listed)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _listed(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else list(value)
