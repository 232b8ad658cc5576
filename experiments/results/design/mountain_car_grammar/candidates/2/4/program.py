def compute_reward(before, after, action):
    velocity = 0.135 * after.velocity
    position_change = 0.0577 * (after.position - before.position)
    return velocity + position_change, {"velocity": velocity, "position_change": position_change}
