"""Environments that are not ours: named features, and what agents see of them."""
