"""Terms that are fitted to experience. Their weights are plain arrays of the state: visible, saved, resumed to the bit."""

from shapegym.shaping.learned.occupancy import OccupancyPenalty

__all__ = ["OccupancyPenalty"]
