"""Checks of what papers claim, one module each; see `shapegym.experiments.study` for what a module holds."""
