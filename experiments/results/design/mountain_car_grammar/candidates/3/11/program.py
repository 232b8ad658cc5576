def compute_reward(before, after, action):
    velocity_change = 0.284 * (after.velocity - before.velocity) if after.velocity > -0.00951 else 0.0
    return velocity_change, {"velocity_change": velocity_change}
