def compute_reward(before, after, action):
    position_nearer = -(0.2 * (0.235 * (abs(before.position - -1.2) - abs(after.position - -1.2)) if after.position < -0.309 else 0.0))
    velocity = 0.22 * after.velocity
    return position_nearer + velocity, {"position_nearer": position_nearer, "velocity": velocity}
