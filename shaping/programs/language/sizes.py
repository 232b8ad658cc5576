"""How large a program may be: so that reading, compiling and running it takes bounded time and memory."""

from __future__ import annotations

SOURCE_BYTES = 20_000
NODES = 4_000
"""Of Python's syntax tree."""
DEPTH = 40
"""Expressions and blocks inside of one another."""
BRANCHES = 150
"""Conditionals of all kinds after loops are spelled out: compile time grows faster than their number."""
WORK = 1_500
"""Operations on one number each, after loops are spelled out."""
PARTS = 32
SLOTS = 16
COMPLAINTS = 12
"""That are said at once."""
NAME_LENGTH = 40
