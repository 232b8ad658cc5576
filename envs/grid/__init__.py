"""Compiled grid worlds: MiniGrid to the bit."""
