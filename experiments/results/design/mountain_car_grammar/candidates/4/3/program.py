def compute_reward(before, after, action):
    position = 0.0027 * after.position
    velocity_square = 0.902 * (after.velocity * after.velocity)
    return position + velocity_square, {"position": position, "velocity_square": velocity_square}
