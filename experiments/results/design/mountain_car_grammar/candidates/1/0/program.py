def compute_reward(before, after, action):
    velocity_square = 0.576 * (after.velocity * after.velocity) if after.velocity < 0.0474 else 0.0
    return velocity_square, {"velocity_square": velocity_square}
