def compute_reward(before, after, action):
    position_change = 0.0812 * (after.position - before.position)
    velocity_square = 4.65 * (before.velocity * before.velocity)
    return position_change + velocity_square, {"position_change": position_change, "velocity_square": velocity_square}
