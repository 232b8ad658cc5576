"""Exact answers on finite tasks: rewards as tables, searched models, occupancies, optimal policies."""
