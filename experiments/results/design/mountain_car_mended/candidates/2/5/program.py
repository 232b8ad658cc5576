def compute_reward(before, after, action):
    velocity_square = 0.495 * (after.velocity * after.velocity)
    return velocity_square, {"velocity_square": velocity_square}
