"""Subgoals that a teacher lays out for every layout, which agents see one by one (Words as Beacons)."""
