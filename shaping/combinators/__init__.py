"""Inner nodes: pure functions of what their operands measured. The smallest ones are in `shapegym.shaping.algebra`."""
