def compute_reward(before, after, action):
    goal_pos_0_nearer = 0.0223 * (abs(before.goal_pos[0] - 0.803) - abs(after.goal_pos[0] - 0.749))
    return goal_pos_0_nearer, {"goal_pos_0_nearer": goal_pos_0_nearer}
