"""The algorithms that agents learn with, a module each, and what the library asks of them."""
