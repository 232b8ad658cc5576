"""Sparse-reward environments and reward shaping that means the same wherever reinforcement learning uses a reward."""

from importlib.metadata import version

__version__ = version("shapegym")
