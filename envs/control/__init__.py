"""Sparse control tasks: continuous state, a reward of 1 once the task is solved, and 0 at every other step."""
