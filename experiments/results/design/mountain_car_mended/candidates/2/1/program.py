def compute_reward(before, after, action):
    position_change = 0.0707 * (after.position - before.position)
    velocity_square = 3.35 * (after.velocity * after.velocity)
    return position_change + velocity_square, {"position_change": position_change, "velocity_square": velocity_square}
