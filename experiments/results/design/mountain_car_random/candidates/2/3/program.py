def compute_reward(before, after, action):
    velocity_nearer = 3.87 * (abs(before.velocity - 0.07) - abs(after.velocity - 0.07))
    return velocity_nearer, {"velocity_nearer": velocity_nearer}
