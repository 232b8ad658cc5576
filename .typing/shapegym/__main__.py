"""Runs the command line: `python -m shapegym`."""

from shapegym.experiments.cli import app

if __name__ == "__main__":
    app()
