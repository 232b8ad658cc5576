"""Bi-level reward blending: rewards whose weights are learned so that training on them serves the task (BARFI's parts)."""
