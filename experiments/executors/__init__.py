"""Where runs can go besides the cores of this machine (`shapegym.experiments.pool`)."""
