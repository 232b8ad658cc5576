"""Sparse-reward environments: compiled, vectorised, with exact snapshots and named features.

`dynamics.py` says what a task supplies and declares; `native.py` turns it into a Gymnasium environment, single or
vectorised; `registration.py` is the table of ids; `testing.py` is the compliance suite that every id passes.
"""
