"""Captions as models read them: which of them differ, and rows of bytes for a network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def distinct_texts(rows: np.ndarray) -> tuple[list[bytes], np.ndarray]:
    """Return the captions that differ, in UTF-8 and in order of appearance, and which of them each row is.

    What is no UTF-8 is read as U+FFFD, so that a caption is the same where it is labelled and where it is looked up.

    Args:
        rows: captions (B, L) uint8, zero-padded.
    """
    width = rows.shape[1]
    content = np.ascontiguousarray(rows, dtype=np.uint8).tobytes()
    seen: dict[bytes, int] = {}
    places = [
        seen.setdefault(content[start : start + width], len(seen))
        for start in range(0, width * len(rows), width)
    ]
    return [_text(row) for row in seen], np.array(places, dtype=np.int64)


def as_rows(texts: Sequence[bytes], width: int) -> np.ndarray:
    """Return captions as rows of bytes, (M, ``width``) uint8, zero-padded; what is longer is cut."""
    return np.frombuffer(b"".join(text[:width].ljust(width, b"\0") for text in texts), np.uint8).reshape(
        len(texts), width
    )


def _text(row: bytes) -> bytes:
    text = row.rstrip(b"\0")
    return text if text.isascii() else text.decode("utf-8", "replace").encode()
