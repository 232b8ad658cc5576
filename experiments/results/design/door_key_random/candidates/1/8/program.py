def compute_reward(before, after, action):
    goal_key_nearer = 0.0317 * (distance(before.goal_pos, before.key_pos) - distance(after.goal_pos, after.key_pos)) if after.key_pos[1] > 6.45 else 0.0
    return goal_key_nearer, {"goal_key_nearer": goal_key_nearer}
