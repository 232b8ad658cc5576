"""PCG64 (XSL-RR 128/64) and NumPy's bounded integers on it, in Python's own integers.

Sources: O'Neill (2014), section 6.3; Lemire (2019), algorithm 5; `shuffle` is Durstenfeld's, whose bounds are drawn by
masking and rejection.
"""

import numpy as np

MULTIPLIER = 0x2360ED051FC65DA44385DF649FCCF645
MASK32, MASK64, MASK128 = 2**32 - 1, 2**64 - 1, 2**128 - 1


class Pcg64:
    def __init__(self, seed):
        words = [int(word) for word in np.random.SeedSequence(seed).generate_state(4, np.uint64)]
        self.increment = ((words[2] << 64 | words[3]) << 1 | 1) & MASK128
        self.state = self.increment  # one step from zero
        self.state = (self.state + (words[0] << 64 | words[1])) & MASK128
        self._advance()
        self.half = None

    def _advance(self):
        self.state = (self.state * MULTIPLIER + self.increment) & MASK128

    def uint64(self):
        self._advance()
        folded, turn = (self.state >> 64) ^ (self.state & MASK64), self.state >> 122
        return (folded >> turn | folded << (64 - turn)) & MASK64

    def uint32(self):
        if self.half is not None:
            value, self.half = self.half, None
            return value
        whole = self.uint64()
        self.half = whole >> 32
        return whole & MASK32

    def integers(self, low, high):
        span = high - low
        if span == 1:
            return low
        while True:
            product = self.uint32() * span
            if product % 2**32 >= 2**32 % span:
                return low + product // 2**32

    def interval(self, maximum):
        if maximum == 0:
            return 0
        mask = 2 ** maximum.bit_length() - 1
        while True:
            value = self.uint32() & mask
            if value <= maximum:
                return value

    def shuffle(self, values):
        for i in range(len(values) - 1, 0, -1):
            j = self.interval(i)
            values[i], values[j] = values[j], values[i]
