"""Sparse-reward environments, and reward shaping that means the same wherever a reward is used."""

from importlib.metadata import version

__version__ = version("shapegym")
