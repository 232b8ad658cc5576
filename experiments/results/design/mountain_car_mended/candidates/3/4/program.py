def compute_reward(before, after, action):
    position_nearer_2 = 0.0933 * (abs(before.position - 0.361) - abs(after.position - 0.361)) if after.height > 0.694 else 0.0
    return position_nearer_2, {"position_nearer_2": position_nearer_2}
