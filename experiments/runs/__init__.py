"""One training run: what is asked, its folder, its costs, and whether it can start."""
