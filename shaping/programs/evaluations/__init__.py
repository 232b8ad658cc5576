"""Three evaluations of a typed tree that agree to the last bit: plain Python, a Numba kernel, and an interpreter of its own."""
