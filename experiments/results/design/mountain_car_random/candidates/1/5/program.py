def compute_reward(before, after, action):
    position = 0.145 * after.position
    position_nearer = 0.156 * (abs(before.position - -1.2) - abs(after.position - -1.2))
    return position + position_nearer, {"position": position, "position_nearer": position_nearer}
