"""Codes: what a model makes of s_{t+1}, for terms that remember where an agent has been."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from shapegym.shaping.errors import ObservationError


def codes_of(
    reader: str, outputs: Mapping[str, np.ndarray], dtype: Any, width: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return codes of s_t and of s_{t+1}: the outputs ``before`` and ``after`` of a model, (B, d) each.

    Without ``after`` the codes of s_{t+1} are the first output. Without ``before`` there are none of s_t: (0, d).

    Args:
        reader: the term, as messages name it.
        outputs: of the model.
        dtype: of the codes.
        width: d of the codes before, or 0 if there were none.

    Raises:
        ObservationError: if codes are of another width than before.
    """
    values = outputs["after"] if "after" in outputs else next(iter(outputs.values()))
    after = np.ascontiguousarray(values.reshape(len(values), -1), dtype=dtype)
    if width and after.shape[1] != width:
        raise ObservationError(
            f"{reader} reads codes of {after.shape[1]} numbers, and remembers codes of {width}: its state is that of another model."
        )
    if "before" not in outputs:
        return after[:0], after
    return np.ascontiguousarray(outputs["before"].reshape(after.shape), dtype=dtype), after
