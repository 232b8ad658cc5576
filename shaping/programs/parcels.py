"""What passes through the wall: a JSON document and plain arrays, as bytes. Nothing of it can be run; sizes are checked first."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

_DTYPES = ("|b1", "|i1", "|u1", "<i2", "<i4", "<i8", "<u2", "<u4", "<u8", "<f2", "<f4", "<f8")
_LENGTH = 8
READY = b"!"
"""What the child says when it has shut all doors and is about to look at its job."""
LARGEST_HEAD = 2**22
"""Bytes of the JSON document."""


def packed_parcel(said: Any, arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return a document and arrays as bytes."""
    plain = {
        name: np.ascontiguousarray(array, array.dtype.newbyteorder("<")) for name, array in arrays.items()
    }
    forms = [[name, array.dtype.str, list(array.shape)] for name, array in plain.items()]
    head = json.dumps({"said": said, "arrays": forms}).encode()
    return b"".join(
        [len(head).to_bytes(_LENGTH, "big"), head, *(array.tobytes() for array in plain.values())]
    )


def opened_parcel(content: bytes) -> tuple[Any, dict[str, np.ndarray]]:
    """Return what `packed_parcel` packed; raises a ValueError for anything else."""
    length = int.from_bytes(content[:_LENGTH], "big")
    if length > min(LARGEST_HEAD, len(content)):
        raise ValueError("it says that it is longer than it is")
    document = json.loads(content[_LENGTH : _LENGTH + length])
    arrays, at = {}, _LENGTH + length
    for name, dtype, shape in document["arrays"]:
        if dtype not in _DTYPES or not all(isinstance(side, int) and side >= 0 for side in shape):
            raise ValueError(f"it has an array of {dtype!r:.20} and shape {shape!r:.60}")
        end = at + math.prod(shape) * np.dtype(dtype).itemsize
        if end > len(content):
            raise ValueError("it has fewer numbers than it says")
        arrays[name] = np.frombuffer(content[at:end], dtype).reshape(shape)
        at = end
    return document["said"], arrays
