"""Expressions and what they remember, as files."""
