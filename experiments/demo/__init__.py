"""The demonstration: four rewards on two sparse tasks."""
