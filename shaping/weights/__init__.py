"""Terms that measure a weight which moves while an agent trains: schedules, scales, multipliers, trust, bandits, blends."""
