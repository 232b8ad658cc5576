"""Kernels of the engine's books: are all parts finite, what has each episode earned so far.

Arrays are C-contiguous. N terms, K addends, T steps, B lanes. Of a step, ``task`` rewards and ``shaped`` ones (an output) are (B,),
and so are the marks ``first``, ``terminated``, ``truncated`` and ``active`` (bool); of a block all have an axis of steps in front.
"""

from __future__ import annotations

import numpy as np

from shapegym.shaping.kernels._jit import jit


@jit
def screen_parts(parts: np.ndarray, active: np.ndarray) -> int:
    """Zero the parts (N, B) of inactive rows; return the number of active rows, or -1 if an active part is not finite."""
    num_lanes = active.shape[0]
    count = 0
    for lane in range(num_lanes):
        count += active[lane]
    if count < num_lanes:
        for lane in range(num_lanes):
            if not active[lane]:
                parts[:, lane] = 0.0
    finite = True
    for term in range(parts.shape[0]):
        for lane in range(num_lanes):
            finite &= np.isfinite(parts[term, lane])
    return count if finite else -1


@jit
def book_step(
    contributions: np.ndarray,
    num_paid: int,
    task: np.ndarray,
    first: np.ndarray,
    terminated: np.ndarray,
    truncated: np.ndarray,
    active: np.ndarray,
    shaped: np.ndarray,
    books: np.ndarray,
) -> int:
    """Sum the first ``num_paid`` contributions (K, B) left to right into ``shaped`` (B,); keep the books of the open episodes.

    A row that is no transition is paid nothing: its contributions are set to 0, whatever a combinator makes of zero parts.

    Args:
        books: steps and sums of task reward, shaped reward and each addend over the open episode, (3 + K, B).

    Returns:
        How many episodes ended; or -1 - lane, with the books untouched, if the shaped reward of that lane is not finite.
    """
    num_addends, num_lanes = contributions.shape
    # One pass over the lanes for each array: these loops run several lanes at a time.
    for lane in range(num_lanes):
        if not active[lane]:
            contributions[:, lane] = 0.0
    shaped[:] = 0.0
    for addend in range(num_paid):
        for lane in range(num_lanes):
            shaped[lane] += contributions[addend, lane]
    for lane in range(num_lanes):
        if not np.isfinite(shaped[lane]):
            return -1 - lane
    ended = 0
    for lane in range(num_lanes):
        if active[lane]:
            if first[lane]:
                books[:, lane] = 0.0
            books[0, lane] += 1.0
            books[1, lane] += task[lane]
            ended += terminated[lane] | truncated[lane]
    for lane in range(num_lanes):
        books[2, lane] += shaped[lane]
    for addend in range(num_addends):
        for lane in range(num_lanes):
            books[3 + addend, lane] += contributions[addend, lane]
    return ended


@jit
def book_block(
    contributions: np.ndarray,
    num_paid: int,
    task: np.ndarray,
    first: np.ndarray,
    terminated: np.ndarray,
    truncated: np.ndarray,
    active: np.ndarray,
    shaped: np.ndarray,
    books: np.ndarray,
    ended_where: np.ndarray,
    ended_books: np.ndarray,
) -> int:
    """`book_step` for each of T steps, in order; contributions are (K, T, B).

    Args:
        books: of the open episodes, (3 + K, B).
        ended_where: output, step and lane of each episode that ended, (>= number of ends, 2) int64.
        ended_books: output, its books, (>= number of ends, 3 + K).

    Returns:
        How many episodes ended; or -1 - (t * B + lane) if the shaped reward of that step is not finite.
    """
    num_steps, num_lanes = task.shape
    ended = 0
    for t in range(num_steps):
        count = book_step(
            contributions[:, t],
            num_paid,
            task[t],
            first[t],
            terminated[t],
            truncated[t],
            active[t],
            shaped[t],
            books,
        )
        if count < 0:
            return count - t * num_lanes
        if count > 0:
            for lane in range(num_lanes):
                if active[t, lane] and (terminated[t, lane] or truncated[t, lane]):
                    ended_where[ended, 0] = t
                    ended_where[ended, 1] = lane
                    ended_books[ended, :] = books[:, lane]
                    ended += 1
    return ended
