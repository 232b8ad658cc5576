"""Sparse-reward environments, and reward shaping that means the same wherever a reward is used.

Importing the package registers its environments with Gymnasium under ``shapegym/``.
"""

from importlib.metadata import version

from shapegym.envs.registration import register_all

__version__ = version("shapegym")

register_all()
