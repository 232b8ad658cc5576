def compute_reward(before, after, action):
    action_2 = 0.2 * -(0.0122 * (1.59 if action == 2 else 0.0))
    velocity_square = 0.2 * -(0.276 * (after.velocity * after.velocity))
    return action_2 + velocity_square, {"action_2": action_2, "velocity_square": velocity_square}
