def compute_reward(before, after, action):
    velocity_square = 2.04 * (after.velocity * after.velocity)
    return velocity_square, {"velocity_square": velocity_square}
