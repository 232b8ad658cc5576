def compute_reward(before, after, action):
    velocity_square = 3.23 * (after.velocity * after.velocity)
    position = 0.00277 * after.position
    position_nearer = -0.0807 * (abs(before.position - -0.46) - abs(after.position - -0.46))
    return velocity_square + position + position_nearer, {"velocity_square": velocity_square, "position": position, "position_nearer": position_nearer}
