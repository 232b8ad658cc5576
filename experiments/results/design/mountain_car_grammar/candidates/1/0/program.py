def compute_reward(before, after, action):
    position_nearer_2 = -0.552 * (abs(before.position - -0.667) - abs(after.position - -0.667)) if after.position < -0.26 else 0.0
    velocity = 0.22 * after.velocity
    return position_nearer_2 + velocity, {"position_nearer_2": position_nearer_2, "velocity": velocity}
