"""Codes: what a model makes of s_{t+1}, for terms that remember where an agent has been."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from shapegym.shaping.errors import ObservationError


def codes_after(reader: str, outputs: Mapping[str, np.ndarray], dtype: Any, width: int = 0) -> np.ndarray:
    """Return the output ``after`` of a model, or its first where it has none of that name, (B, d).

    Args:
        reader: the term, as messages name it.
        outputs: of the model.
        dtype: of the codes.
        width: d of the codes before, or 0 if there were none.

    Raises:
        ObservationError: if codes are of another width than before.
    """
    values = outputs["after"] if "after" in outputs else next(iter(outputs.values()))
    codes = np.ascontiguousarray(values.reshape(len(values), -1), dtype=dtype)
    if width and codes.shape[1] != width:
        raise ObservationError(
            f"{reader} reads codes of {codes.shape[1]} numbers, and remembers codes of {width}: its state is that of another model."
        )
    return codes
