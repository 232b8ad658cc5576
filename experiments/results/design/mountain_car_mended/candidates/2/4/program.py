def compute_reward(before, after, action):
    velocity_nearer = 1.05 * (abs(before.velocity - 0.07) - abs(after.velocity - 0.07))
    position_change = 0.0577 * (after.position - before.position)
    return velocity_nearer + position_change, {"velocity_nearer": velocity_nearer, "position_change": position_change}
