"""Leaves: terms that measure transitions, and the state functions and selectors with which they read."""
