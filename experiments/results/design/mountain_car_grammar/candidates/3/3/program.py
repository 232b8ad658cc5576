def compute_reward(before, after, action):
    velocity_change = 58.3 * (after.velocity - before.velocity)
    height_change = 4.48 * (after.height - before.height)
    velocity = -0.0255 * after.velocity
    return velocity_change + height_change + velocity, {"velocity_change": velocity_change, "height_change": height_change, "velocity": velocity}
