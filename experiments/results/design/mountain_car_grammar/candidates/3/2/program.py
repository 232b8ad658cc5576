def compute_reward(before, after, action):
    velocity_square = 1.04 * (after.velocity * after.velocity) if after.position > -0.134 else 0.0
    return velocity_square, {"velocity_square": velocity_square}
