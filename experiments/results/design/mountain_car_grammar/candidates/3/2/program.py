def compute_reward(before, after, action):
    velocity_square_2 = 0.0795 * (after.velocity * after.velocity)
    return velocity_square_2, {"velocity_square_2": velocity_square_2}
