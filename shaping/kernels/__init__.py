"""Compiled loops over steps and lanes; they import NumPy and Numba only."""
