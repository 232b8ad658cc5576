"""`tabulate` by the short way: it lives in `shapegym.agents.finite.tabulate`."""

from shapegym.agents.finite.tabulate import Tables, tabulate

__all__ = ["Tables", "tabulate"]
