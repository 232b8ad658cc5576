"""NumPy's PCG64 generator inside kernels: the same seed gives the numbers of `numpy.random.Generator`.

A lane's stream is five uint64: state (high, low), increment (high, low), and the buffered half of the last
64-bit output with bit 32 set while it is there. Sources: O'Neill (2014), "PCG: A family of simple fast
space-efficient statistically good algorithms for random number generation", XSL-RR 128/64; Lemire (2019), "Fast
random integer generation in an interval". tests/envs/test_grid_pcg64.py holds it to NumPy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapegym.envs._jit import jit

STREAM_WORDS = 5
STATE_HIGH, STATE_LOW, INCREMENT_HIGH, INCREMENT_LOW, BUFFER = range(STREAM_WORDS)

_MULTIPLIER_HIGH = np.uint64(0x2360ED051FC65DA4)
_MULTIPLIER_LOW = np.uint64(0x4385DF649FCCF645)
_LOW_HIGH = _MULTIPLIER_LOW >> np.uint64(32)
_LOW_LOW = _MULTIPLIER_LOW & np.uint64(0xFFFFFFFF)
_MASK32 = np.uint64(0xFFFFFFFF)
_BUFFERED = np.uint64(1 << 32)
_ZERO, _ONE, _S32, _S58, _S63, _S64 = (np.uint64(n) for n in (0, 1, 32, 58, 63, 64))


def seed_stream(seed: int | None) -> NDArray[np.uint64]:
    """The stream (5,) of `gymnasium.utils.seeding.np_random(seed)`; None takes fresh entropy."""
    return pack_stream(np.random.PCG64(seed).state)


def pack_stream(state: Mapping[str, Any]) -> NDArray[np.uint64]:
    """A stream (5,) from the `state` of a `numpy.random.PCG64`."""
    inner = state["state"]
    words = [inner["state"] >> 64, inner["state"], inner["inc"] >> 64, inner["inc"], 0]
    if state["has_uint32"]:
        words[BUFFER] = int(_BUFFERED) | int(state["uinteger"])
    return np.array([word & (2**64 - 1) for word in words], np.uint64)


@jit
def next_uint32(stream: NDArray[np.uint64]) -> np.uint64:
    """The next 32 random bits: the low half of a 64-bit output, then its high half."""
    buffered = stream[BUFFER]
    if buffered != _ZERO:
        stream[BUFFER] = _ZERO
        return buffered & _MASK32
    high, low = stream[STATE_HIGH], stream[STATE_LOW]
    # state * multiplier + increment modulo 2^128, from 32-bit partial products.
    a0, a1 = low & _MASK32, low >> _S32
    p00, p01, p10, p11 = a0 * _LOW_LOW, a0 * _LOW_HIGH, a1 * _LOW_LOW, a1 * _LOW_HIGH
    middle = (p00 >> _S32) + (p01 & _MASK32) + (p10 & _MASK32)
    product_low = (p00 & _MASK32) | (middle << _S32)
    product_high = p11 + (p01 >> _S32) + (p10 >> _S32) + (middle >> _S32)
    product_high += high * _MULTIPLIER_LOW + low * _MULTIPLIER_HIGH
    low = product_low + stream[INCREMENT_LOW]
    high = product_high + stream[INCREMENT_HIGH] + (_ONE if low < product_low else _ZERO)
    stream[STATE_HIGH], stream[STATE_LOW] = high, low
    folded, turn = high ^ low, high >> _S58
    output = (folded >> turn) | (folded << ((_S64 - turn) & _S63))
    stream[BUFFER] = _BUFFERED | (output >> _S32)
    return output & _MASK32


@jit
def integers(stream: NDArray[np.uint64], low: int, high: int) -> int:
    """`Generator.integers(low, high)`, low <= result < high, for spans below 2^32 - 1."""
    if high - low <= 1:
        return low
    span = np.uint64(high - low)
    product = next_uint32(stream) * span
    if (product & _MASK32) < span:
        threshold = (_MASK32 - (span - _ONE)) % span
        while (product & _MASK32) < threshold:
            product = next_uint32(stream) * span
    return low + int(np.int64(product >> _S32))


@jit
def interval(stream: NDArray[np.uint64], maximum: int) -> int:
    """NumPy's `random_interval`, 0 <= result <= maximum, which `Generator.shuffle` draws from."""
    if maximum == 0:
        return 0
    mask = 1
    while mask < maximum:
        mask = 2 * mask + 1
    value = int(np.int64(next_uint32(stream))) & mask
    while value > maximum:
        value = int(np.int64(next_uint32(stream))) & mask
    return value


@jit
def shuffle(stream: NDArray[np.uint64], values: NDArray[np.int64], n: int) -> None:
    """`Generator.shuffle` of a list of the first `n` values."""
    for i in range(n - 1, 0, -1):
        j = interval(stream, i)
        values[i], values[j] = values[j], values[i]
