"""Snapshots: the exact state of some lanes as a plain dict of arrays, checked before it is taken back.

A snapshot can be copied, kept in an archive, or saved with `numpy.savez(path, **snapshot)`; it holds the
lanes' state, random streams and episode clocks, so that an environment continues from it bit for bit.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Snapshot = dict[str, NDArray[Any]]


class SnapshotError(ValueError):
    """A snapshot that does not belong to this environment, or that was changed since it was taken."""


def lane_indices(lanes: Sequence[int] | NDArray[np.int64] | None, num_envs: int) -> NDArray[np.int64]:
    """Check a choice of lanes; None means all of them.

    Raises:
        ValueError: Not a one-dimensional sequence of distinct integers in 0 .. num_envs - 1.
    """
    if lanes is None:
        return np.arange(num_envs)
    index = np.asarray(lanes)
    if index.ndim != 1 or index.size == 0 or index.dtype.kind not in "iu":
        raise ValueError(f"lanes must be a non-empty sequence of integers, got {lanes!r}")
    if index.min() < 0 or index.max() >= num_envs or np.unique(index).size != index.size:
        raise ValueError(f"lanes must be distinct and in 0 .. {num_envs - 1}, got {lanes!r}")
    return index.astype(np.int64)


def take(arrays: Mapping[str, NDArray[Any]], fingerprint: str, lanes: NDArray[np.int64]) -> Snapshot:
    """Copy the rows `lanes` of the arrays (B, ...) into a snapshot."""
    rows = {name: array[lanes] for name, array in arrays.items()}
    return {"fingerprint": np.array(fingerprint), "checksum": _checksum(rows), **rows}


def put(
    snapshot: Mapping[str, NDArray[Any]],
    arrays: Mapping[str, NDArray[Any]],
    fingerprint: str,
    lanes: NDArray[np.int64],
) -> None:
    """Write a snapshot back into the rows `lanes` of the arrays, after checking all of it.

    Raises:
        SnapshotError: Other task, other keys, shapes or dtypes, or content that does not match the checksum.
    """
    if not isinstance(snapshot, Mapping):
        raise SnapshotError(f"a snapshot is a mapping of arrays, got {type(snapshot).__name__}")
    taken_from = snapshot.get("fingerprint", fingerprint)
    if str(taken_from) != fingerprint:
        raise SnapshotError(f"the snapshot was taken from {taken_from}, this is {fingerprint}")
    wanted = {"fingerprint", "checksum", *arrays}
    if set(snapshot) != wanted:
        missing, unknown = sorted(wanted - set(snapshot)), sorted(map(str, set(snapshot) - wanted))
        raise SnapshotError(f"the snapshot's keys do not fit: missing {missing}, unknown {unknown}")
    rows = {name: np.asarray(snapshot[name]) for name in arrays}
    for name, array in arrays.items():
        expected = (len(lanes), *array.shape[1:])
        if rows[name].dtype != array.dtype or rows[name].shape != expected:
            raise SnapshotError(
                f"snapshot[{name!r}] must be {array.dtype} of shape {expected}, "
                f"got {rows[name].dtype} of shape {rows[name].shape}"
            )
    if not np.array_equal(snapshot["checksum"], _checksum(rows)):
        raise SnapshotError(
            "the snapshot's content was changed after it was taken: its checksum does not match"
        )
    for name, array in arrays.items():
        array[lanes] = rows[name]


def _checksum(rows: Mapping[str, NDArray[Any]]) -> NDArray[np.uint32]:
    """CRC-32 of names and contents: made-up state indices must not reach compiled code, which trusts them."""
    crc = 0
    for name in sorted(rows):
        crc = zlib.crc32(np.ascontiguousarray(rows[name]).data, zlib.crc32(name.encode(), crc))
    return np.array(crc, np.uint32)
