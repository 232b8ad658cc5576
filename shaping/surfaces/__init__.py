"""The places where a reward enters reinforcement learning; each translates its API into `Transitions`."""
