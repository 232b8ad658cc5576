def compute_reward(before, after, action):
    velocity_square = 3.17 * (before.velocity * before.velocity) if after.velocity > -0.0339 else 0.0
    return velocity_square, {"velocity_square": velocity_square}
