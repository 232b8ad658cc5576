def compute_reward(before, after, action):
    velocity = 0.111 * after.velocity
    position_nearer = 0.0584 * (abs(before.position - 0.6) - abs(after.position - 0.6)) if after.height > 0.466 else 0.0
    return velocity + position_nearer, {"velocity": velocity, "position_nearer": position_nearer}
