def compute_reward(before, after, action):
    velocity_change = 0.828 * (after.velocity - before.velocity)
    position_change = 0.28 * (after.position - before.position)
    return velocity_change + position_change, {"velocity_change": velocity_change, "position_change": position_change}
