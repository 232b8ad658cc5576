"""Leaves: terms that measure transitions."""
