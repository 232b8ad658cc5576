"""Reward expressions over transitions: terms measure, combinators combine."""
