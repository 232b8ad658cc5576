"""Finite tasks as data: one compiled stepper serves them all, and an exact solver says what is optimal."""
